//! The records of the steps since t0: what equation 5 needs of each step, and its error.

use super::stored::{Form, RecordJacobian, Write, WriteLoop};
use crate::error::Error;
use crate::panels::{Placement, Segment};
use crate::simd::{Buffer, Isa, Real};
use crate::step::Step;
use crate::store::{Sink, Source, check_shape};

/// Which z belong in the lanes of a panel.
///
/// Panels of different weight rows that see the same z share a pattern; without a mask there
/// are as many as a weight row has panels.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    /// For each pattern, its runs of z: the `column` of a segment counts from the start of z, and
    /// its row is of no account.
    runs: Vec<Vec<Segment>>,
    /// The pattern of each panel.
    of_panel: Vec<usize>,
    /// For each weight row, how many from it on, itself included, have panels of the same patterns.
    rows_alike: Vec<usize>,
}

impl Patterns {
    pub(super) fn new(placement: &Placement) -> Self {
        let mut numbers = std::collections::BTreeMap::new();
        let (mut runs, mut of_panel) = (Vec::new(), Vec::new());
        for panel in 0..placement.panels() {
            let mut list = Vec::new();
            for &Segment { row, column, mut lane, len } in placement.segments(panel) {
                for z in placement.layout().seen(row, column..column + len) {
                    list.push(Segment { row: 0, column: z.start, lane, len: z.len() });
                    lane += z.len();
                }
            }
            let key: Vec<_> = list.iter().map(|run| (run.lane, run.column, run.len)).collect();
            let number = *numbers.entry(key).or_insert_with(|| {
                runs.push(list);
                runs.len() - 1
            });
            of_panel.push(number);
        }
        let mut rows_alike = vec![1; placement.layout().rows()];
        for row in (1..rows_alike.len()).rev() {
            let of_row = |row| &of_panel[placement.panels_of_row(row)];
            if of_row(row - 1) == of_row(row) {
                rows_alike[row - 1] += rows_alike[row];
            }
        }
        Self { runs, of_panel, rows_alike }
    }

    #[inline]
    pub(super) fn of_panel(&self, panel: usize) -> usize {
        self.of_panel[panel]
    }

    /// How many weight rows from `row` on, itself included, have panels of the same patterns.
    #[inline]
    pub(super) fn rows_alike(&self, row: usize) -> usize {
        self.rows_alike[row]
    }
}

/// Parts of a stored window, each a tensor `WINDOW.PART` with the records one below the other.
const JACOBIANS: &str = "jacobians";
const INJECTIONS: &str = "injections";
const Z: &str = "z";
const ERRORS: &str = "errors";

fn tensor_name(window: &str, part: &str) -> String {
    format!("{window}.{part}")
}

/// Number of records of a stored window, if there is one.
pub(super) fn stored_records<T: Real>(window: &str, from: &dyn Source<T>) -> Option<usize> {
    from.shape(&tensor_name(window, ERRORS)).map(|[records, _]| records)
}

/// Records of up to `capacity` steps. Record w leads from time t0 + w to t0 + w + 1.
#[derive(Debug, Clone)]
pub(super) struct Window<T> {
    states: usize,
    drives: usize,
    capacity: usize,
    len: usize,
    /// n, rounded up to whole rows of lanes.
    stride: usize,
    /// One Jacobian after the other.
    jacobians: Buffer<T>,
    /// For each record, where its Jacobian starts, and its form.
    forms: Vec<(usize, Form)>,
    /// `[record][drive]`
    injections: Buffer<T>,
    /// `[pattern][record][lane]`, zero in lanes without a column.
    z: Buffer<T>,
    /// `[record][k]`: e(t0 + w + 1), zero where it has been read or there was none.
    errors: Buffer<T>,
}

impl<T: Real> Window<T> {
    pub(super) fn new(
        placement: &Placement,
        patterns: &Patterns,
        capacity: usize,
    ) -> Result<Self, Error> {
        let layout = placement.layout();
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
            forms: vec![(0, Form::whole(states)); capacity],
            injections: Buffer::numbers(records * drives as u128)?,
            z: Buffer::zeroed(records * patterns.runs.len() as u128)?,
            errors: Buffer::numbers(records * states as u128)?,
        })
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    #[inline(always)]
    pub(super) fn states(&self) -> usize {
        self.states
    }

    /// Immediate factors of a record.
    #[inline(always)]
    pub(super) fn drives(&self) -> usize {
        self.drives
    }

    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds the record of a step, for which there must be room. Returns whether its Jacobian is
    /// finite.
    pub(super) fn push(
        &mut self,
        isa: Isa,
        step: &Step<'_, T>,
        error: Option<&[T]>,
        patterns: &Patterns,
    ) -> bool {
        let (n, record) = (self.states, self.len);
        let form = Form::of::<T>(&step.jacobian, n);
        let start = self.place(record, form);
        let jacobian = &mut self.jacobians.values_mut()[start..][..form.len::<T>()];
        let finite = T::run::<WriteLoop>(isa, Write { step, form, jacobian });
        let injection = &mut self.injections.values_mut()[record * self.drives..][..self.drives];
        injection.copy_from_slice(&step.injection[..self.drives]);
        let errors = &mut self.errors.values_mut()[record * n..][..n];
        match error {
            Some(error) => errors.copy_from_slice(error),
            None => errors.fill(T::ZERO),
        }
        self.write_z(record, patterns, step.z);
        self.len += 1;
        finite
    }

    /// Forgets the errors: their gradient has been counted.
    pub(super) fn clear_errors(&mut self) {
        self.errors.values_mut()[..self.len * self.states].fill(T::ZERO);
    }

    /// The Jacobian of record `record`.
    #[inline(always)]
    pub(super) fn jacobian(&self, record: usize) -> RecordJacobian<'_, T> {
        let (start, form) = self.forms[record];
        form.of_values(&self.jacobians.values()[start..][..form.len::<T>()])
    }

    /// Gives the Jacobian of record `record` the place after that of the one before. Returns where
    /// it starts.
    fn place(&mut self, record: usize, form: Form) -> usize {
        let start = match record.checked_sub(1) {
            Some(before) => self.forms[before].0 + self.forms[before].1.len::<T>(),
            None => 0,
        };
        self.forms[record] = (start, form);
        start
    }

    /// The immediate factors of all drives in record `record`.
    #[inline(always)]
    pub(super) fn injection(&self, record: usize) -> &[T] {
        &self.injections.values()[record * self.drives..][..self.drives]
    }

    /// The immediate factors of `capacity` records, `[record][drive]`.
    #[inline(always)]
    pub(super) fn injections(&self) -> &[T] {
        &self.injections.values()[..self.capacity * self.drives]
    }

    /// The errors that came with record `record` and have not been read.
    #[inline(always)]
    pub(super) fn error(&self, record: usize) -> &[T] {
        &self.errors.values()[record * self.states..][..self.states]
    }

    /// z of all records in the lanes of a pattern, a row of a panel each.
    #[inline(always)]
    pub(super) fn z(&self, pattern: usize) -> &[T] {
        &self.z.values()[pattern * self.capacity * T::LANES..][..self.len * T::LANES]
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether an error has not been read.
    pub(super) fn has_errors(&self) -> bool {
        let errors = &self.errors.values()[..self.len * self.states];
        errors.iter().any(|&error| error != T::ZERO)
    }

    /// Passes all records on, oldest first; z is zero where no weight sees it.
    pub(super) fn save(
        &self,
        window: &str,
        placement: &Placement,
        patterns: &Patterns,
        to: &mut dyn Sink<T>,
    ) -> Result<(), Error> {
        let (n, len) = (self.states, self.len);
        let name = |part| tensor_name(window, part);
        to.tensor(&name(JACOBIANS), [len * n, n], &mut |row, values| {
            self.jacobian(row / n).read_row(row % n, values);
        })?;
        to.tensor(&name(INJECTIONS), [len, self.drives], &mut |record, values| {
            values.copy_from_slice(self.injection(record));
        })?;
        let width = placement.layout().z_len();
        to.tensor(&name(Z), [len, width], &mut |record, z| self.read_z(record, patterns, z))?;
        to.tensor(&name(ERRORS), [len, n], &mut |record, values| {
            values.copy_from_slice(self.error(record));
        })
    }

    /// Replaces all records by `records` stored ones, for which there must be room.
    pub(super) fn load(
        &mut self,
        window: &str,
        records: usize,
        placement: &Placement,
        patterns: &Patterns,
        from: &mut dyn Source<T>,
    ) -> Result<(), Error> {
        self.len = records;
        for record in 0..records {
            self.place(record, Form::whole(self.states));
        }
        let (n, drives, stride) = (self.states, self.drives, self.stride);
        let name = |part| tensor_name(window, part);
        let jacobians = self.jacobians.values_mut();
        from.read(&name(JACOBIANS), [records * n, n], &mut |row, values| {
            let (row, padding) = jacobians[row * stride..][..stride].split_at_mut(n);
            row.copy_from_slice(values);
            padding.fill(T::ZERO);
        })?;
        let injections = self.injections.values_mut();
        from.read(&name(INJECTIONS), [records, drives], &mut |record, values| {
            injections[record * drives..][..drives].copy_from_slice(values);
        })?;
        let width = placement.layout().z_len();
        from.read(&name(Z), [records, width], &mut |record, z| {
            self.write_z(record, patterns, z);
        })?;
        let errors = self.errors.values_mut();
        from.read(&name(ERRORS), [records, n], &mut |record, values| {
            errors[record * n..][..n].copy_from_slice(values);
        })
    }

    /// Fails unless `got` stored records are as many as `expected`.
    pub(super) fn check_records(
        &self,
        window: &str,
        expected: usize,
        got: usize,
    ) -> Result<(), Error> {
        check_shape(&tensor_name(window, ERRORS), [expected, self.states], Some([got, self.states]))
    }

    /// z of a record, zero where no weight sees it.
    fn read_z(&self, record: usize, patterns: &Patterns, z: &mut [T]) {
        z.fill(T::ZERO);
        for (pattern, runs) in patterns.runs.iter().enumerate() {
            let lanes = &self.z(pattern)[record * T::LANES..];
            for run in runs {
                z[run.column..][..run.len].copy_from_slice(&lanes[run.lane..][..run.len]);
            }
        }
    }

    /// Spreads z of a record over the lanes of all patterns.
    fn write_z(&mut self, record: usize, patterns: &Patterns, z: &[T]) {
        let lanes = self.z.values_mut().chunks_exact_mut(self.capacity * T::LANES);
        for (lanes, runs) in lanes.zip(&patterns.runs) {
            let lanes = &mut lanes[record * T::LANES..][..T::LANES];
            for run in runs {
                lanes[run.lane..][..run.len].copy_from_slice(&z[run.column..][..run.len]);
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let buffers = [&self.jacobians, &self.injections, &self.z, &self.errors];
        buffers.into_iter().map(Buffer::bytes).sum()
    }
}
