//! Where rows of equal length are in registers, if the rows follow each other without gaps.

use crate::simd::Real;

/// Bytes of p that are computed place by place: a small part of the level-2 cache, but enough to
/// make up for what each place begins with.
const CHUNK: usize = 64 << 10;

/// Periods in a chunk, at least: what each place begins with would take as long as what it
/// computes.
const LEAST: usize = 8;

/// Rows that fill a whole number of registers, twice: the places of the ends of rows repeat after
/// each half. Two registers in the same place are computed at a time, to hide latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    width: usize,
    lanes: usize,
    /// Registers and rows of a half.
    pub(super) registers: usize,
    pub(super) rows: usize,
}

/// A register in a half of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number.
    pub(super) register: usize,
    /// The row of its first lane, and that of its last one.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The column of its first lane.
    pub(super) column: usize,
    /// Lanes from the first one to the end of its row.
    pub(super) end: usize,
}

impl Period {
    /// That of rows of `width` numbers in registers of `lanes`, a power of 2, if a register is not
    /// longer than a row, and a chunk has enough periods.
    #[inline(always)]
    pub(super) fn of<T: Real>(width: usize, lanes: usize) -> Option<Self> {
        let common = (1 << width.trailing_zeros()).min(lanes);
        let period = Self { width, lanes, registers: width / common, rows: lanes / common };
        let most = CHUNK / LEAST / size_of::<T>();
        (lanes <= width && 2 * period.rows <= most / width).then_some(period)
    }

    /// How many of `rows` rows make up whole periods.
    #[inline(always)]
    pub(super) fn whole(self, rows: usize) -> usize {
        rows / (2 * self.rows) * (2 * self.rows)
    }

    /// The rows of the whole periods in a chunk.
    #[inline(always)]
    pub(super) fn chunk<T: Real>(self) -> usize {
        let rows = 2 * self.rows;
        CHUNK / (rows * self.width * size_of::<T>()) * rows
    }

    /// The registers of a half, one after the other.
    #[inline(always)]
    pub(super) fn places(self) -> impl Iterator<Item = Place> {
        let Self { width, lanes, registers, .. } = self;
        let (mut first, mut end) = (0, width);
        (0..registers).map(move |register| {
            let last = first + usize::from(end < lanes);
            let place = Place { register, first, last, column: width - end, end };
            // The next row begins with the next register, if not before it.
            if end <= lanes {
                (first, end) = (first + 1, end + width);
            }
            end -= lanes;
            place
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_in_its_row_and_column() {
        for lanes in [1, 2, 8, 16] {
            for width in lanes..50 {
                let period = Period::of::<f32>(width, lanes).unwrap();
                assert_eq!(period.rows * width, period.registers * lanes);
                let places: Vec<Place> = period.places().collect();
                assert_eq!(places.len(), period.registers);
                for (at, place) in (0..).step_by(lanes).zip(places) {
                    let expected = (at / width, (at + lanes - 1) / width, at % width);
                    assert_eq!((place.first, place.last, place.column), expected);
                    assert_eq!((place.register, place.end), (at / lanes, width - at % width));
                }
            }
        }
        assert_eq!(Period::of::<f32>(15, 16), None);
    }

    #[test]
    fn a_chunk_is_a_whole_number_of_periods() {
        for (width, rows) in [(16, 1024), (18, 896), (37, 416)] {
            let period = Period::of::<f32>(width, 16).unwrap();
            let chunk = period.chunk::<f32>();
            assert_eq!((chunk, period.whole(chunk + 1)), (rows, chunk));
        }
        let fits = |width| Period::of::<f32>(width, 16).is_some();
        assert_eq!([63, 65, 128, 130, 1024].map(fits), [true, false, true, false, true]);
        assert_eq!([1040, usize::MAX].map(fits), [false; 2]);
    }
}
