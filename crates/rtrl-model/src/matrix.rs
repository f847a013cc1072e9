//! A matrix in the form that the kernel takes.

use rtrl_kernel::Real;

use crate::Error;
use crate::error::{Quantity, check_finite, check_length};

/// The values of a matrix as callers pass them: rows, or one flat array, row by row.
///
/// Builders accept everything that converts into it: `Vec<Vec<V>>`, `Vec<V>` or `&[V]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Table<V> {
    /// One vector per row.
    Rows(Vec<Vec<V>>),
    /// All values, row by row.
    Flat(Vec<V>),
}

impl<V> Table<V> {
    /// The values, row by row.
    ///
    /// # Errors
    /// Naming `what`: [`Error::Shape`] unless there are `rows` rows of `columns` values,
    /// [`Error::Length`] unless there are as many values.
    pub(crate) fn values(
        &self,
        what: &'static str,
        (rows, columns): (usize, usize),
    ) -> Result<impl Iterator<Item = &V>, Error> {
        let (nested, flat) = match self {
            Self::Rows(nested) => {
                check_shape(what, (rows, columns), nested)?;
                (nested.as_slice(), [].as_slice())
            }
            Self::Flat(values) => {
                check_length(what, [rows, columns, 1], values.len())?;
                ([].as_slice(), values.as_slice())
            }
        };
        Ok(nested.iter().flatten().chain(flat))
    }
}

impl<V> From<Vec<Vec<V>>> for Table<V> {
    fn from(rows: Vec<Vec<V>>) -> Self {
        Self::Rows(rows)
    }
}

impl<V> From<Vec<V>> for Table<V> {
    fn from(values: Vec<V>) -> Self {
        Self::Flat(values)
    }
}

impl<V: Clone> From<&[V]> for Table<V> {
    fn from(values: &[V]) -> Self {
        Self::Flat(values.to_vec())
    }
}

/// A row-major matrix, which starts on a cache line. Each row is padded with zeros to a multiple of
/// the kernel's lanes; in a network of which all layers are in heads, there are no gaps.
///
/// `matrix[(i, j)]` panics outside the matrix, as does [`Matrix::row`]; [`Matrix::get`] does not.
#[derive(Debug)]
pub struct Matrix<T> {
    rows: usize,
    columns: usize,
    stride: usize,
    /// From `start` on, where a cache line begins. A vector that is itself aligned to more than its
    /// numbers would be written at once where zeros are asked for.
    values: Vec<T>,
    start: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl<T: Real> Matrix<T> {
    /// A matrix of zeros. Memory is taken from the system as rows are first written, so that the
    /// streams of a checkpoint that claims many take none before they run.
    ///
    /// # Errors
    /// [`Error::Memory`] with the bytes if there is not enough memory.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let width = (columns as u128).next_multiple_of(T::LANES as u128);
        Self::reserve((rows, columns), width, (rows as u128).saturating_mul(width))
    }

    /// A matrix of zeros, without gaps between the rows. After the last one there are zeros up to a
    /// multiple of the kernel's lanes, at least as many as would pad it.
    fn packed_zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let (width, lanes) = (columns as u128, T::LANES as u128);
        let last = width.next_multiple_of(lanes) - width;
        let len = (rows as u128).saturating_mul(width).saturating_add(last);
        Self::reserve((rows, columns), width, len.div_ceil(lanes).saturating_mul(lanes))
    }

    /// `len` zeros, with rows `stride` apart.
    fn reserve((rows, columns): (usize, usize), stride: u128, len: u128) -> Result<Self, Error> {
        let bytes = len.saturating_mul(size_of::<T>() as u128);
        let refused = Error::Memory { what: "a weight matrix", bytes };
        let whole = usize::try_from(len.saturating_add((LINE / size_of::<T>()) as u128));
        let (Ok(whole), Ok(len), Ok(stride)) =
            (whole, usize::try_from(len), usize::try_from(stride))
        else {
            return Err(refused);
        };
        let mut values = bytemuck::allocation::try_zeroed_vec(whole).map_err(|()| refused)?;
        let start = first_of_line(&values);
        values.truncate(start + len);
        Ok(Self { rows, columns, stride, values, start })
    }

    /// A matrix of zeros in the form of this one.
    ///
    /// # Errors
    /// As [`Matrix::zeros`].
    pub(crate) fn zeros_like(&self) -> Result<Self, Error> {
        Self::reserve((self.rows, self.columns), self.stride as u128, self.padded().len() as u128)
    }

    /// The same values without gaps between the rows.
    ///
    /// # Errors
    /// As [`Matrix::zeros`].
    pub(crate) fn packed(&self) -> Result<Self, Error> {
        let mut packed = Self::packed_zeros(self.rows, self.columns)?;
        for (row, values) in self.iter_rows().enumerate() {
            packed.row_mut(row).copy_from_slice(values);
        }
        Ok(packed)
    }

    /// A matrix of given values, rounded to this precision.
    ///
    /// # Errors
    /// Naming `what`: [`Error::Shape`] unless there are `rows` rows of `columns` values,
    /// [`Error::Length`] unless a flat array holds as many, [`Error::Setting`] if one is not finite
    /// in this precision.
    pub fn from_table(
        what: &'static str,
        rows: usize,
        columns: usize,
        from: &Table<f64>,
    ) -> Result<Self, Error> {
        let mut values = from.values(what, (rows, columns))?;
        let mut matrix = Self::zeros(rows, columns)?;
        for i in 0..rows {
            for (place, &value) in matrix.row_mut(i).iter_mut().zip(values.by_ref()) {
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
        let Some(odd) = self.padded().iter().find(|value| !value.is_finite()) else {
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

    /// The value in row `i` and column `j`, if there is one.
    pub fn get(&self, i: usize, j: usize) -> Option<T> {
        (i < self.rows && j < self.columns).then(|| self[(i, j)])
    }

    /// All values where they are in memory, and the distance between the starts of two rows: value
    /// (i, j) is at `i * stride + j`. Zeros fill the gaps between rows.
    pub fn as_slice(&self) -> (&[T], usize) {
        (self.padded(), self.stride)
    }

    /// The matrix for faer, without a copy.
    #[cfg(feature = "linalg")]
    pub fn as_faer(&self) -> faer::MatRef<'_, T> {
        let Self { rows, columns, stride, .. } = *self;
        faer::MatRef::from_row_major_slice_with_stride(self.padded(), rows, columns, stride)
    }

    /// Row `i`, without padding. Panics if there is no such row.
    pub fn row(&self, i: usize) -> &[T] {
        &self.values[self.start + i * self.stride..][..self.columns]
    }

    /// Row `i`, without padding, to be written. Panics if there is no such row.
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.values[self.start + i * self.stride..][..self.columns]
    }

    /// All rows, without padding.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        (0..self.rows).map(|i| self.row(i))
    }

    /// The rows as exact double-precision numbers.
    pub fn to_rows(&self) -> Vec<Vec<f64>> {
        self.iter_rows().map(|row| row.iter().map(|value| value.to_f64()).collect()).collect()
    }

    /// Adds `other`, a matrix of the same form, element by element.
    pub(crate) fn add(&mut self, other: &Self) {
        let sums = self.padded_mut().iter_mut();
        sums.zip(other.padded()).for_each(|(sum, &value)| *sum += value);
    }

    /// Becomes equal to `other`, a matrix of the same form.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.padded_mut().copy_from_slice(other.padded());
    }

    /// Replaces all values by `rows x columns` values, row by row.
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
    #[inline]
    pub(crate) fn padded(&self) -> &[T] {
        &self.values[self.start..]
    }

    /// All values with their padding, which must stay zero.
    #[inline]
    pub(crate) fn padded_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..]
    }
}

/// Where the first cache line begins in some numbers.
fn first_of_line<T>(values: &[T]) -> usize {
    match values.as_ptr().align_offset(LINE) {
        start if start < LINE / size_of::<T>().max(1) => start,
        _ => 0,
    }
}

impl<T: Clone> Clone for Matrix<T> {
    fn clone(&self) -> Self {
        let values = &self.values[self.start..];
        let mut copy = Vec::with_capacity(values.len() + LINE / size_of::<T>().max(1));
        let first = values.first().cloned();
        let start = first_of_line(&copy);
        copy.extend(std::iter::repeat_n(first, start).flatten());
        let start = copy.len();
        copy.extend_from_slice(values);
        Self { rows: self.rows, columns: self.columns, stride: self.stride, values: copy, start }
    }
}

/// Matrices are equal that have the same shape and the same values.
impl<T: Real> PartialEq for Matrix<T> {
    fn eq(&self, other: &Self) -> bool {
        let shape = |matrix: &Self| (matrix.rows, matrix.columns);
        shape(self) == shape(other) && self.iter_rows().eq(other.iter_rows())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_flat_values_make_the_same_matrix() {
        let rows = Table::from(vec![vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]]);
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let matrix = Matrix::<f32>::from_table("m", 2, 3, &rows).unwrap();
        for flat in [Table::from(values.to_vec()), Table::from(&values[..])] {
            assert_eq!(Matrix::<f32>::from_table("m", 2, 3, &flat).unwrap(), matrix);
            let error = Matrix::<f32>::from_table("m", 2, 2, &flat).unwrap_err();
            assert!(matches!(error, Error::Length { expected: 4, got: 6, .. }), "{error}");
        }
        let error = Matrix::<f32>::from_table("m", 2, 2, &rows).unwrap_err();
        assert!(matches!(error, Error::Shape { expected: (2, 2), got: (2, 3), .. }), "{error}");
        let error = Matrix::<f32>::from_table("m", 1, 1, &vec![1e300].into()).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
    }

    #[test]
    fn matrices_and_their_copies_start_on_a_cache_line() {
        for (rows, columns) in [(1, 1), (3, 17), (40, 100)] {
            let mut matrix = Matrix::<f32>::zeros(rows, columns).unwrap();
            matrix.row_mut(rows - 1).fill(2.0);
            let packed = matrix.packed().unwrap();
            for copy in [&matrix, &matrix.clone(), &packed, &packed.clone()] {
                assert_eq!(copy.as_slice().0.as_ptr().align_offset(64), 0);
                assert!(*copy == matrix);
            }
            assert_eq!(packed.clone().as_slice(), packed.as_slice());
        }
    }

    #[test]
    fn values_are_where_the_stride_says() {
        let mut matrix = Matrix::<f64>::zeros(3, 9).unwrap();
        matrix.row_mut(2)[8] = 5.0;
        let (values, stride) = matrix.as_slice();
        assert_eq!(values[2 * stride + 8], 5.0);
        assert_eq!(values.iter().filter(|&&value| value != 0.0).count(), 1);
        assert_eq!((matrix.get(2, 8), matrix[(2, 8)]), (Some(5.0), 5.0));
        assert_eq!((matrix.get(3, 0), matrix.get(0, 9)), (None, None));
    }

    #[test]
    fn packed_rows_are_the_same_without_gaps() {
        for (rows, columns) in [(1, 1), (3, 8), (5, 9), (4, 17)] {
            let values: Vec<f64> = (1..).take(rows * columns).map(f64::from).collect();
            let matrix = Matrix::<f32>::from_table("m", rows, columns, &values.into()).unwrap();
            let packed = matrix.packed().unwrap();
            assert_eq!((&packed, packed.stride()), (&matrix, columns));
            let last = (rows - 1) * columns;
            let padded = columns.next_multiple_of(f32::LANES);
            assert!(packed.padded().len() >= last + padded);
            assert!(packed.padded().len().is_multiple_of(f32::LANES));
            let mut zeros = packed.zeros_like().unwrap();
            assert_ne!(zeros, packed);
            zeros.add(&packed);
            assert_eq!((&zeros, zeros.stride()), (&matrix, columns));
            #[cfg(feature = "linalg")]
            assert!((0..columns).all(|j| packed.as_faer()[(0, j)] == packed[(0, j)]));
        }
    }

    #[cfg(feature = "linalg")]
    #[test]
    fn faer_sees_the_same_matrix() {
        let values: Vec<f64> = (0..6u8).map(f64::from).collect();
        let matrix = Matrix::<f64>::from_table("m", 2, 3, &values.into()).unwrap();
        let view = matrix.as_faer();
        assert_eq!((view.nrows(), view.ncols()), (2, 3));
        assert!((0..2).all(|i| (0..3).all(|j| view[(i, j)] == matrix[(i, j)])));
    }
}
