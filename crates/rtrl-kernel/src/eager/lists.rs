//! Lists of the columns of the Jacobian in which coefficients are not 0, and the coefficients in
//! them.

use crate::simd::Real;

/// Lists the columns in which a coefficient of any of these rows of the Jacobian is not 0. Returns
/// how many there are; what follows in `list` has no meaning.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "p of 2^32 units fits in no memory")]
pub(super) fn list_union<T: Real>(
    jacobian: &[T],
    states: usize,
    (rows, read): (&[usize], &[usize]),
    list: &mut [u32],
) -> usize {
    let mut len = 0;
    for (position, &l) in read.iter().enumerate() {
        list[len] = position as u32;
        len += usize::from(rows.iter().any(|&k| jacobian[k * states + l] != T::ZERO));
    }
    len
}

/// `strip[e][r] = J[k][l]` for the columns l of a list. Returns whether they are those in which a
/// coefficient is not 0, if all rows are read.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "constant ranges are unrolled")]
pub(super) fn fill_shared<T: Real, const MR: usize>(
    jacobian: &[T],
    counts: &[usize],
    (read, list): (&[usize], &[u32]),
    rows: &[usize],
    strip: &mut [T],
) -> bool {
    let values: [&[T]; MR] =
        std::array::from_fn(|r| &jacobian[rows[r] * counts.len()..][..counts.len()]);
    let (mut needed, mut present) = (true, [0; MR]);
    for (place, &position) in strip.as_chunks_mut::<MR>().0.iter_mut().zip(list) {
        let l = read[position as usize];
        let mut any = false;
        for r in 0..MR {
            place[r] = values[r][l];
            any |= place[r] != T::ZERO;
            present[r] += usize::from(place[r] != T::ZERO);
        }
        needed &= any;
    }
    needed && rows.iter().zip(present).all(|(&k, present)| counts[k] == present)
}

/// Lists the coefficients of a row of the Jacobian that are not 0, as row r of a strip; zeros
/// follow.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "p of 2^32 units fits in no memory")]
pub(super) fn list_row<T: Real>(
    jacobian: &[T],
    read: &[usize],
    list: &mut [u32],
    (r, height): (usize, usize),
) {
    let mut place = r;
    for (position, &l) in read.iter().enumerate() {
        let Some(entry) = list.get_mut(place) else { break };
        *entry = position as u32;
        place += if jacobian[l] == T::ZERO { 0 } else { height };
    }
    list.iter_mut().skip(place).step_by(height).for_each(|entry| *entry = 0);
}

/// Packs the coefficients that are listed for a row of the Jacobian, of which `count` are not 0.
/// Returns whether none of those that are listed is.
#[inline(always)]
pub(super) fn fill_own<T: Real>(
    jacobian: &[T],
    read: &[usize],
    count: usize,
    strip: &mut [T],
    list: &[u32],
    (r, height): (usize, usize),
) -> bool {
    let (mut all, mut next) = (true, 0);
    let (strip, list) = (strip.chunks_exact_mut(height), list.chunks_exact(height));
    for (entry, (strip, list)) in strip.zip(list).enumerate() {
        strip[r] = T::ZERO;
        // A list ascends until it ends.
        if entry < count && list[r] >= next {
            strip[r] = jacobian[read[list[r] as usize]];
            all &= strip[r] != T::ZERO;
            next = list[r] + 1;
        }
    }
    all
}
