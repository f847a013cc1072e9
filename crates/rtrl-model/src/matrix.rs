//! A matrix whose rows are padded for the kernel.

use rtrl_kernel::Real;

use crate::Error;
use crate::error::{Quantity, check_finite};

/// A row-major matrix; each row is padded with zeros to a multiple of the kernel's lanes.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix<T> {
    rows: usize,
    columns: usize,
    stride: usize,
    values: Vec<T>,
}

impl<T: Real> Matrix<T> {
    /// A matrix of zeros.
    ///
    /// # Errors
    /// [`Error::Memory`] with the bytes if there is not enough memory.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let width = (columns as u128).next_multiple_of(T::LANES as u128);
        let bytes = (rows as u128).saturating_mul(width * size_of::<T>() as u128);
        let refused = Error::Memory { what: "a weight matrix", bytes };
        let len = (rows as u128).checked_mul(width).and_then(|len| usize::try_from(len).ok());
        let (Some(len), Ok(stride)) = (len, usize::try_from(width)) else { return Err(refused) };
        let mut values = Vec::new();
        if values.try_reserve_exact(len).is_err() {
            return Err(refused);
        }
        values.resize(len, T::ZERO);
        Ok(Self { rows, columns, stride, values })
    }

    /// A matrix from rows of equal length.
    ///
    /// # Errors
    /// [`Error::Shape`] naming `what` unless there are `rows` rows of `columns` values;
    /// [`Error::Setting`] if one is not finite in this precision.
    pub fn from_rows(
        what: &'static str,
        rows: usize,
        columns: usize,
        from: &[Vec<f64>],
    ) -> Result<Self, Error> {
        check_shape(what, (rows, columns), from)?;
        let mut matrix = Self::zeros(rows, columns)?;
        for (i, from) in from.iter().enumerate() {
            for (place, &value) in matrix.row_mut(i).iter_mut().zip(from) {
                *place = T::from_f64(value);
                if !place.is_finite() {
                    let expected = format!("finite numbers in {}", T::NAME);
                    return Err(Error::Setting { what, expected, got: value.to_string() });
                }
            }
        }
        Ok(matrix)
    }

    /// The matrix itself, if all of it is finite: numbers drawn with a large gain may not be.
    ///
    /// # Errors
    /// [`Error::Setting`] naming `what`.
    pub(crate) fn checked(self, what: &'static str) -> Result<Self, Error> {
        let Some(odd) = self.values.iter().find(|value| !value.is_finite()) else {
            return Ok(self);
        };
        let expected = format!("finite numbers in {}", T::NAME);
        Err(Error::Setting { what, expected, got: odd.to_string() })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns, without padding.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `i`, without padding.
    pub fn row(&self, i: usize) -> &[T] {
        &self.values[i * self.stride..][..self.columns]
    }

    /// Row `i`, without padding, to be written.
    pub(crate) fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values[i * self.stride..][..self.columns]
    }

    /// All rows, without padding.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        (0..self.rows).map(|i| self.row(i))
    }

    /// The rows as exact double-precision numbers.
    pub fn to_rows(&self) -> Vec<Vec<f64>> {
        self.iter_rows().map(|row| row.iter().map(|value| value.to_f64()).collect()).collect()
    }

    /// Adds `other`, a matrix of the same shape, element by element.
    pub(crate) fn add(&mut self, other: &Self) {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, &value)| *sum += value);
    }

    /// Becomes equal to `other`, a matrix of the same shape.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.values.copy_from_slice(&other.values);
    }

    /// Takes over `rows x columns` values, row by row.
    ///
    /// # Errors
    /// [`Error::Length`] naming `what`, or [`Error::NonFinite`], with nothing changed.
    pub(crate) fn replace(
        &mut self,
        step: u64,
        what: &'static str,
        values: &[T],
    ) -> Result<(), Error> {
        let expected = self.rows * self.columns;
        if values.len() != expected {
            return Err(Error::Length { what, expected, got: values.len() });
        }
        check_finite(step, Quantity::Weights, values)?;
        for (row, values) in values.chunks_exact(self.columns).enumerate() {
            self.row_mut(row).copy_from_slice(values);
        }
        Ok(())
    }

    /// Distance between rows in [`Matrix::padded`].
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// All values with their padding.
    pub(crate) fn padded(&self) -> &[T] {
        &self.values
    }

    /// All values with their padding, which must stay zero.
    pub(crate) fn padded_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<T: Real> std::ops::Index<(usize, usize)> for Matrix<T> {
    type Output = T;

    fn index(&self, (i, j): (usize, usize)) -> &T {
        &self.row(i)[j]
    }
}

/// Fails unless `from` has `expected` rows and columns.
pub(crate) fn check_shape<V>(
    what: &'static str,
    expected: (usize, usize),
    from: &[Vec<V>],
) -> Result<(), Error> {
    let odd = from.iter().map(Vec::len).find(|&len| len != expected.1);
    if from.len() == expected.0 && odd.is_none() {
        return Ok(());
    }
    let columns = odd.unwrap_or(expected.1);
    Err(Error::Shape { what, expected, got: (from.len(), columns) })
}
