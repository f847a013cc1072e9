//! Named fields: planned for, written to and read from a container, and compared.

use std::collections::BTreeMap;

use rtrl_kernel::{Engine, Real, Sink, Source};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::container::{Dtype, Reader, Tensor, Writer};
use crate::error::MOST_COUNTED;
use crate::{Error, Matrix};

/// A field that a file holds.
#[derive(Debug)]
pub(crate) enum Field<'a, T: Real> {
    Count(&'a u64),
    Flag(&'a bool),
    Flags(&'a [bool]),
    /// A matrix of codes, row by row.
    Codes([usize; 2], Vec<u8>),
    Numbers(&'a [T]),
    Doubles(&'a [f64]),
    Matrix(&'a Matrix<T>),
    Engine(EngineField<&'a dyn Engine<T>>),
}

/// A field that is replaced by the contents of a file.
#[derive(Debug)]
pub(crate) enum FieldMut<'a, T: Real> {
    Count(&'a mut u64),
    Flag(&'a mut bool),
    Flags(&'a mut [bool]),
    Numbers(&'a mut [T]),
    Doubles(&'a mut [f64]),
    Matrix(&'a mut Matrix<T>),
    Engine(EngineField<&'a mut dyn Engine<T>>),
}

/// An engine and whether it is lost.
#[derive(Debug)]
pub(crate) struct EngineField<E> {
    pub(crate) engine: E,
    pub(crate) states: usize,
    /// Whether p is lost. The file then holds p = 0, so that its length still confirms the memory
    /// for p.
    pub(crate) lost: bool,
}

/// Receives each field with its name.
pub(crate) type Visit<'a, T> = dyn FnMut(&str, Field<'_, T>) -> Result<(), Error> + 'a;

/// Receives each field with its name, and may replace it.
pub(crate) type VisitMut<'a, T> = dyn FnMut(&str, FieldMut<'_, T>) -> Result<(), Error> + 'a;

impl<T: Real> EngineField<&dyn Engine<T>> {
    /// Passes on the tensors of the engine.
    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), rtrl_kernel::Error> {
        if !self.lost {
            return self.engine.save(to);
        }
        let (spec, weights) = (self.engine.spec(), self.engine.weights());
        let mut tensors = spec.sensitivities(self.states, weights);
        if tensors.is_empty() {
            tensors.push(("sensitivities".to_owned(), [self.states, weights]));
        }
        let mut clear = |_, row: &mut [T]| row.fill(T::ZERO);
        tensors.into_iter().try_for_each(|(name, shape)| to.tensor(&name, shape, &mut clear))
    }
}

/// The planned contents of a container: tensors, and the counts and flags of its header.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) counts: Map<String, Value>,
}

impl Planned {
    /// Plans a field.
    ///
    /// # Errors
    /// [`Error::Kernel`] if an engine cannot be saved.
    pub(crate) fn take<T: Real>(&mut self, name: &str, field: &Field<'_, T>) -> Result<(), Error> {
        let tensor = match field {
            Field::Count(count) => {
                self.counts.insert(name.to_owned(), (**count).into());
                return Ok(());
            }
            Field::Flag(flag) => {
                self.counts.insert(name.to_owned(), (**flag).into());
                return Ok(());
            }
            Field::Engine(field) => return Ok(field.save(&mut Planning { name, planned: self })?),
            Field::Flags(flags) => Tensor::bytes(name, [flags.len()]),
            Field::Codes(shape, _) => Tensor::bytes(name, *shape),
            Field::Numbers(numbers) => Tensor::numbers::<T>(name, [numbers.len()]),
            Field::Doubles(numbers) => Tensor::numbers::<f64>(name, [numbers.len()]),
            Field::Matrix(matrix) => Tensor::numbers::<T>(name, [matrix.rows(), matrix.columns()]),
        };
        self.tensors.push(tensor);
        Ok(())
    }
}

struct Planning<'a> {
    name: &'a str,
    planned: &'a mut Planned,
}

impl<T: Real> Sink<T> for Planning<'_> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        _: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), rtrl_kernel::Error> {
        self.planned.tensors.push(Tensor::numbers::<T>(of_engine(self.name, name), shape));
        Ok(())
    }
}

fn of_engine(engine: &str, name: &str) -> String {
    format!("{engine}.{name}")
}

/// Receives the contents of fields, tensor by tensor.
pub(crate) trait Emit {
    /// Whether tensors of this type are received.
    fn wants(&self, dtype: Dtype) -> bool;
    fn count(&mut self, name: &str, value: u64);
    fn numbers<N: Real>(&mut self, name: &str, values: &[N]) -> Result<(), Error>;
    fn bytes(&mut self, name: &str, values: &[u8]) -> Result<(), Error>;
}

/// Passes a field on, an engine row by row.
pub(crate) fn emit<T: Real>(
    name: &str,
    field: Field<'_, T>,
    to: &mut impl Emit,
) -> Result<(), Error> {
    match field {
        Field::Count(count) => to.count(name, *count),
        Field::Flag(flag) => to.count(name, (*flag).into()),
        Field::Flags(flags) if to.wants(Dtype::U8) => {
            let codes: Vec<u8> = flags.iter().map(|&flag| flag.into()).collect();
            to.bytes(name, &codes)?;
        }
        Field::Codes(_, codes) if to.wants(Dtype::U8) => to.bytes(name, &codes)?,
        Field::Doubles(numbers) if to.wants(Dtype::F64) => to.numbers(name, numbers)?,
        Field::Numbers(numbers) if to.wants(Dtype::of::<T>()) => to.numbers(name, numbers)?,
        Field::Matrix(matrix) if to.wants(Dtype::of::<T>()) => {
            matrix.iter_rows().try_for_each(|row| to.numbers(name, row))?;
        }
        Field::Engine(field) if to.wants(Dtype::of::<T>()) => {
            let mut emitting = Emitting { name, to, row: Vec::new(), failure: None };
            let result = field.save(&mut emitting);
            emitting.failure.map_or(Ok(()), Err)?;
            result?;
        }
        _ => {}
    }
    Ok(())
}

/// Passes an engine's rows on.
struct Emitting<'a, T, E> {
    name: &'a str,
    to: &'a mut E,
    row: Vec<T>,
    /// Why a row was not received.
    failure: Option<Error>,
}

impl<T: Real, E: Emit> Sink<T> for Emitting<'_, T, E> {
    fn tensor(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), rtrl_kernel::Error> {
        let name = of_engine(self.name, name);
        self.row.resize(columns, T::ZERO);
        for row in 0..rows {
            fill(row, &mut self.row);
            if let Err(failure) = self.to.numbers(&name, &self.row) {
                self.failure = Some(failure);
                return Err(rtrl_kernel::Error::Storage);
            }
        }
        Ok(())
    }
}

/// Writes the tensors of one type; the order of the file takes a pass for each.
pub(crate) struct Writing<'a, 'b> {
    pub(crate) dtype: Dtype,
    pub(crate) writer: &'a mut Writer<'b>,
}

impl Emit for Writing<'_, '_> {
    fn wants(&self, dtype: Dtype) -> bool {
        self.dtype == dtype
    }

    fn count(&mut self, _: &str, _: u64) {}

    fn numbers<N: Real>(&mut self, name: &str, values: &[N]) -> Result<(), Error> {
        self.writer.numbers(name, values)
    }

    fn bytes(&mut self, name: &str, values: &[u8]) -> Result<(), Error> {
        self.writer.bytes(name, values)
    }
}

/// The bits of all fields, each name's as a hash.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(BTreeMap<String, Sha256>);

impl Fingerprints {
    /// The first name, in alphabetical order, whose bits differ.
    pub(crate) fn first_difference(self, other: Self) -> Option<String> {
        let digests = |prints: Self| -> BTreeMap<String, _> {
            prints.0.into_iter().map(|(name, hash)| (name, hash.finalize())).collect()
        };
        let (ours, theirs) = (digests(self), digests(other));
        let names = ours.keys().chain(theirs.keys());
        names.filter(|&name| ours.get(name) != theirs.get(name)).min().cloned()
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.entry(name.to_owned()).or_default().update(bytes);
    }
}

impl Emit for Fingerprints {
    fn wants(&self, _: Dtype) -> bool {
        true
    }

    fn count(&mut self, name: &str, value: u64) {
        self.add(name, &value.to_le_bytes());
    }

    fn numbers<N: Real>(&mut self, name: &str, values: &[N]) -> Result<(), Error> {
        self.add(name, bytemuck::cast_slice(values));
        Ok(())
    }

    fn bytes(&mut self, name: &str, values: &[u8]) -> Result<(), Error> {
        self.add(name, values);
        Ok(())
    }
}

/// Reads fields from a container.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) reader: &'a mut Reader,
    pub(crate) counts: &'a Map<String, Value>,
}

impl Reading<'_> {
    /// Replaces a field.
    ///
    /// # Errors
    /// [`Error::Container`] for a tensor that is missing or of another shape, [`Error::Format`] for
    /// a count or a flag that is missing or out of range, [`Error::Kernel`] from an engine.
    pub(crate) fn take<T: Real>(
        &mut self,
        name: &str,
        field: FieldMut<'_, T>,
    ) -> Result<(), Error> {
        match field {
            FieldMut::Count(count) => *count = self.count(name)?,
            FieldMut::Flag(flag) => *flag = self.flag(name)?,
            FieldMut::Flags(flags) => return self.flags(name, flags),
            FieldMut::Numbers(numbers) => return self.numbers(name, numbers),
            FieldMut::Doubles(numbers) => return self.numbers(name, numbers),
            FieldMut::Matrix(matrix) => return self.matrix(name, matrix),
            FieldMut::Engine(field) => return self.engine(name, field),
        }
        Ok(())
    }

    fn count(&self, name: &str) -> Result<u64, Error> {
        let found = self.counts.get(name);
        let count = found.and_then(Value::as_u64).filter(|&count| count <= MOST_COUNTED);
        count.ok_or_else(|| self.refuse(name, found, &format!("a count of at most {MOST_COUNTED}")))
    }

    fn flag(&self, name: &str) -> Result<bool, Error> {
        let found = self.counts.get(name);
        found.and_then(Value::as_bool).ok_or_else(|| self.refuse(name, found, "true or false"))
    }

    fn refuse(&self, name: &str, found: Option<&Value>, expected: &str) -> Error {
        let got = found.map_or("none".to_owned(), ToString::to_string);
        let reason = format!("`{name}`: got {got}, expected {expected}");
        Error::Format { what: self.reader.path().display().to_string(), reason }
    }

    fn flags(&mut self, name: &str, flags: &mut [bool]) -> Result<(), Error> {
        self.reader.expect(&Tensor::bytes(name, [flags.len()]))?;
        let mut codes = vec![0; flags.len()];
        self.reader.bytes(name, 0, &mut codes)?;
        if let Some(odd) = codes.iter().find(|&&code| code > 1) {
            return Err(self.refuse(name, Some(&(*odd).into()), "0 or 1 in each place"));
        }
        flags.iter_mut().zip(codes).for_each(|(flag, code)| *flag = code == 1);
        Ok(())
    }

    fn numbers<N: Real>(&mut self, name: &str, numbers: &mut [N]) -> Result<(), Error> {
        self.reader.expect(&Tensor::numbers::<N>(name, [numbers.len()]))?;
        self.reader.numbers(name, 0, numbers)
    }

    fn matrix<T: Real>(&mut self, name: &str, matrix: &mut Matrix<T>) -> Result<(), Error> {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        self.reader.expect(&Tensor::numbers::<T>(name, [rows, columns]))?;
        (0..rows).try_for_each(|i| self.reader.numbers(name, i * columns, matrix.row_mut(i)))
    }

    fn engine<T: Real>(
        &mut self,
        name: &str,
        field: EngineField<&mut dyn Engine<T>>,
    ) -> Result<(), Error> {
        let EngineField { engine, lost, .. } = field;
        if lost {
            return Ok(());
        }
        let mut rows = Rows { name, reader: self.reader, failure: None };
        let result = engine.load(&mut rows);
        rows.failure.map_or(Ok(()), Err)?;
        Ok(result?)
    }
}

/// Provides an engine's rows.
struct Rows<'a> {
    name: &'a str,
    reader: &'a mut Reader,
    /// Why a row was not provided.
    failure: Option<Error>,
}

impl<T: Real> Source<T> for Rows<'_> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        let found = self.reader.find(&of_engine(self.name, name))?;
        let shape = found.shape.as_slice().try_into().ok();
        shape.filter(|_| found.dtype == Dtype::of::<T>())
    }

    fn rows(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<(), rtrl_kernel::Error> {
        let Some([rows, columns]) = Source::<T>::shape(self, name) else {
            return Err(rtrl_kernel::Error::Storage);
        };
        let (name, mut values) = (of_engine(self.name, name), vec![T::ZERO; columns]);
        for row in 0..rows {
            if let Err(failure) = self.reader.numbers(&name, row * columns, &mut values) {
                self.failure = Some(failure);
                return Err(rtrl_kernel::Error::Storage);
            }
            take(row, &values);
        }
        Ok(())
    }
}

/// Visits every field of a file.
pub(crate) type Walk<'a, T> = dyn Fn(&mut Visit<'_, T>) -> Result<(), Error> + 'a;

/// What a container with these fields will hold.
///
/// # Errors
/// [`Error::Kernel`] if an engine cannot be saved.
pub(crate) fn planned<T: Real>(walk: &Walk<'_, T>) -> Result<Planned, Error> {
    let mut planned = Planned::default();
    walk(&mut |name, field| planned.take(name, &field))?;
    planned.tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype.width()));
    Ok(planned)
}

/// Writes every field in the order of the plan.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write<T: Real>(walk: &Walk<'_, T>, writer: &mut Writer<'_>) -> Result<(), Error> {
    for dtype in [Dtype::F64, Dtype::F32, Dtype::U8] {
        walk(&mut |name, field| emit(name, field, &mut Writing { dtype, writer }))?;
    }
    Ok(())
}
