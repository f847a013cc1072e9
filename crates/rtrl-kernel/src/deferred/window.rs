//! The records of the steps since t0: what equation 5 needs of each, and the errors that came with them.

use pulp::{Simd, WithSimd};

use crate::error::{Error, check_length};
use crate::jacobian::Jacobian;
use crate::layout::Layout;
use crate::panels::{Columns, Segment};
use crate::simd::{Buffer, Isa, Real, check_finite, compiled};
use crate::step::Step;

/// Which z belong in the lanes of a panel.
///
/// Panels of different weight rows that hold the same input lines share a pattern; without a mask there
/// are as many as a weight row has panels.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    /// For each pattern, its runs of z: the `line` of a segment counts from the start of z, and its row
    /// is of no account.
    runs: Vec<Vec<Segment>>,
    /// The pattern of each panel.
    of_panel: Vec<usize>,
}

impl Patterns {
    pub(super) fn new(columns: &Columns) -> Self {
        let mut numbers = std::collections::BTreeMap::new();
        let (mut runs, mut of_panel) = (Vec::new(), Vec::new());
        for panel in 0..columns.panels() {
            let in_z = |run: &Segment| {
                let line = columns.layout().z(run.row).start + run.line;
                Segment { row: 0, line, ..*run }
            };
            let list: Vec<_> = columns.segments(panel).iter().map(in_z).collect();
            let key: Vec<_> = list.iter().map(|run| (run.lane, run.line, run.len)).collect();
            let number = *numbers.entry(key).or_insert_with(|| {
                runs.push(list);
                runs.len() - 1
            });
            of_panel.push(number);
        }
        Self { runs, of_panel }
    }

    #[inline]
    pub(super) fn of_panel(&self, panel: usize) -> usize {
        self.of_panel[panel]
    }
}

/// Numbers in a stored record.
pub(super) fn record_len(layout: &Layout) -> usize {
    let n = layout.states();
    n * n + layout.drives().len() + layout.z_len() + n
}

/// Records of up to `capacity` steps. Record w leads from time t0 + w to t0 + w + 1.
#[derive(Debug, Clone)]
pub(super) struct Window<T> {
    states: usize,
    drives: usize,
    capacity: usize,
    len: usize,
    /// Numbers in a row of a Jacobian: n, padded with zeros to whole rows of lanes.
    stride: usize,
    /// `[record][k][l]`, zero in the columns of forced units.
    jacobians: Buffer<T>,
    /// `[record][drive]`
    injections: Buffer<T>,
    /// `[pattern][record][lane]`, zero in lanes without a column.
    lines: Buffer<T>,
    /// `[record][k]`: e(t0 + w + 1), zero where it has been read or there was none.
    errors: Buffer<T>,
}

impl<T: Real> Window<T> {
    pub(super) fn new(
        columns: &Columns,
        patterns: &Patterns,
        capacity: usize,
    ) -> Result<Self, Error> {
        let layout = columns.layout();
        let (states, drives) = (layout.states(), layout.drives().len());
        let stride = states.next_multiple_of(T::LANES);
        let records = capacity as u128;
        Ok(Self {
            states,
            drives,
            capacity,
            len: 0,
            stride,
            jacobians: Buffer::zeroed(records * (states * stride / T::LANES) as u128)?,
            injections: Buffer::numbers(records * drives as u128)?,
            lines: Buffer::zeroed(records * patterns.runs.len() as u128)?,
            errors: Buffer::numbers(records * states as u128)?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    pub(super) fn states(&self) -> usize {
        self.states
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds the record of a step, for which there must be room; says whether its Jacobian is finite.
    pub(super) fn push(
        &mut self,
        isa: Isa,
        step: &Step<'_, T>,
        error: Option<&[T]>,
        patterns: &Patterns,
    ) -> bool {
        let (n, stride, record) = (self.states, self.stride, self.len);
        let jacobian = &mut self.jacobians.values_mut()[record * n * stride..][..n * stride];
        let finite = T::run::<FormLoop>(isa, Form { step, stride, jacobian });
        let injection = &mut self.injections.values_mut()[record * self.drives..][..self.drives];
        injection.copy_from_slice(&step.injection[..self.drives]);
        let errors = &mut self.errors.values_mut()[record * n..][..n];
        match error {
            Some(error) => errors.copy_from_slice(error),
            None => errors.fill(T::ZERO),
        }
        let lines = self.lines.values_mut().chunks_exact_mut(self.capacity * T::LANES);
        for (lines, runs) in lines.zip(&patterns.runs) {
            let lines = &mut lines[record * T::LANES..][..T::LANES];
            for run in runs {
                lines[run.lane..][..run.len].copy_from_slice(&step.z[run.line..][..run.len]);
            }
        }
        self.len += 1;
        finite
    }

    /// Forgets the errors: their gradient has been counted.
    pub(super) fn clear_errors(&mut self) {
        self.errors.values_mut()[..self.len * self.states].fill(T::ZERO);
    }

    /// The Jacobian of record `record`, rows [`Window::stride`] apart.
    pub(super) fn jacobian(&self, record: usize) -> &[T] {
        let len = self.states * self.stride;
        &self.jacobians.values()[record * len..][..len]
    }

    /// The immediate factors of all drives in record `record`.
    pub(super) fn injection(&self, record: usize) -> &[T] {
        &self.injections.values()[record * self.drives..][..self.drives]
    }

    /// The errors that came with record `record` and have not been read.
    pub(super) fn error(&self, record: usize) -> &[T] {
        &self.errors.values()[record * self.states..][..self.states]
    }

    /// z of all records in the lanes of a pattern, a row of a panel each.
    pub(super) fn lines(&self, pattern: usize) -> &[T] {
        &self.lines.values()[pattern * self.capacity * T::LANES..][..self.len * T::LANES]
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether an error has not been read.
    pub(super) fn has_errors(&self) -> bool {
        let errors = &self.errors.values()[..self.len * self.states];
        errors.iter().any(|&error| error != T::ZERO)
    }

    /// All records, as [`Pending`](crate::Pending) describes them; z is zero in lines without a column.
    pub(super) fn records(&self, columns: &Columns, patterns: &Patterns) -> Vec<T> {
        let layout = columns.layout();
        let mut records = Vec::with_capacity(self.len * record_len(layout));
        for record in 0..self.len {
            for row in self.jacobian(record).chunks_exact(self.stride) {
                records.extend_from_slice(&row[..self.states]);
            }
            records.extend_from_slice(self.injection(record));
            let start = records.len();
            records.resize(start + layout.z_len(), T::ZERO);
            for (pattern, runs) in patterns.runs.iter().enumerate() {
                let lanes = &self.lines(pattern)[record * T::LANES..];
                for run in runs {
                    let place = &mut records[start + run.line..][..run.len];
                    place.copy_from_slice(&lanes[run.lane..][..run.len]);
                }
            }
            records.extend_from_slice(self.error(record));
        }
        records
    }

    /// Fails unless `records` are records of such a window.
    pub(super) fn check_records(&self, layout: &Layout, records: &[T]) -> Result<(), Error> {
        let len = record_len(layout);
        check_length("the end of a window's records", 0, records.len() % len)?;
        if records.len() / len > self.capacity {
            let (expected, got) = (self.capacity * len, records.len());
            return Err(Error::Length { what: "the records of the window", expected, got });
        }
        check_finite("sensitivities", records)
    }

    /// Replaces all records by such as [`Window::check_records`] has let pass.
    pub(super) fn replace_records(
        &mut self,
        isa: Isa,
        layout: &Layout,
        records: &[T],
        patterns: &Patterns,
    ) {
        self.clear();
        let n = self.states;
        for record in records.chunks_exact(record_len(layout)) {
            let (recurrent, rest) = record.split_at(n * n);
            let (injection, rest) = rest.split_at(self.drives);
            let (z, error) = rest.split_at(layout.z_len());
            let (scale, forced) = (vec![T::ONE; n], vec![false; n]);
            let jacobian = Jacobian::scaled(recurrent, n, &scale);
            let step = Step { jacobian, injection, z, forced: &forced };
            self.push(isa, &step, Some(error), patterns);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let buffers = [&self.jacobians, &self.injections, &self.lines, &self.errors];
        buffers.into_iter().map(Buffer::bytes).sum()
    }
}

/// Forms the Jacobian of a step, with zeros in the columns of forced units, in rows `stride` apart; says
/// whether all of it is finite.
pub(super) struct Form<'a, T> {
    step: &'a Step<'a, T>,
    stride: usize,
    jacobian: &'a mut [T],
}

compiled!(pub(super) FormLoop: Form -> bool);

impl<T: Real> WithSimd for Form<'_, T> {
    type Output = bool;

    /// Plain loops, which the compiler vectorises for the set.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let Step { jacobian, forced, .. } = self.step;
        let mut finite = true;
        for (k, row) in self.jacobian.chunks_exact_mut(self.stride).enumerate() {
            let row = &mut row[..forced.len()];
            jacobian.row(k, row);
            for (place, &forced) in row.iter_mut().zip(*forced) {
                *place = if forced { T::ZERO } else { *place };
                finite &= place.is_finite();
            }
        }
        finite
    }
}
