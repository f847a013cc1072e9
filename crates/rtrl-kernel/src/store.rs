//! Saving and loading engines: named matrices, row by row.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::simd::Real;

/// Receives the tensors of an engine that is saved.
pub trait Sink<T> {
    /// Takes the matrix `name` of `[rows, columns]` numbers.
    ///
    /// `fill` writes a row, `columns` values, given its number. A sink that only plans never calls
    /// it; one that writes calls it once for each row, in ascending order, so that no second copy
    /// of the matrix exists.
    ///
    /// # Errors
    /// [`Error::Storage`] if the sink fails; the sink keeps the reason.
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), Error>;
}

/// Provides the tensors of an engine that is loaded.
pub trait Source<T: Real> {
    /// Rows and columns of the matrix `name`; `None` if there is none.
    fn shape(&self, name: &str) -> Option<[usize; 2]>;

    /// Passes every row of the matrix `name` to `take`, with its number, in ascending order.
    ///
    /// # Errors
    /// [`Error::Storage`] if the source cannot provide it; the source keeps the reason.
    fn rows(&mut self, name: &str, take: &mut dyn FnMut(usize, &[T])) -> Result<(), Error>;

    /// Passes the matrix `name`, which must have this shape, to `take` row by row. Only rows of
    /// finite numbers are passed on.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it is missing or of another shape, [`Error::NonFiniteTensor`], and
    /// those of [`Source::rows`].
    fn read(
        &mut self,
        name: &str,
        shape: [usize; 2],
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<(), Error> {
        check_shape(name, shape, self.shape(name))?;
        let (mut count, mut odd) = (0, None);
        self.rows(name, &mut |row, values| {
            count += usize::from(row == count && values.len() == shape[1]);
            if !values.iter().all(|value| value.is_finite()) {
                odd = odd.or(Some(row));
            } else if count == row + 1 {
                take(row, values);
            }
        })?;
        if let Some(row) = odd {
            return Err(Error::NonFiniteTensor { name: name.to_owned(), row });
        }
        check_shape(name, shape, Some([count, shape[1]]))
    }

    /// [`Source::read`] of a matrix that may be missing. Returns whether it is there.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    fn read_any(
        &mut self,
        name: &str,
        shape: [usize; 2],
        take: &mut dyn FnMut(usize, &[T]),
    ) -> Result<bool, Error> {
        if self.shape(name).is_none() {
            return Ok(false);
        }
        self.read(name, shape, take).map(|()| true)
    }
}

/// Fails unless a tensor exists and has the expected shape.
pub(crate) fn check_shape(
    name: &str,
    expected: [usize; 2],
    got: Option<[usize; 2]>,
) -> Result<(), Error> {
    if got == Some(expected) {
        return Ok(());
    }
    Err(Error::Tensor { name: name.to_owned(), expected, got })
}

/// The tensors of an engine in memory: a sink and a source.
///
/// Two engines whose snapshots are equal continue with the same bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot<T> {
    /// Each tensor's shape and its numbers, row by row.
    pub tensors: BTreeMap<String, ([usize; 2], Vec<T>)>,
}

impl<T: Real> Sink<T> for Snapshot<T> {
    fn tensor(
        &mut self,
        name: &str,
        shape: [usize; 2],
        fill: &mut dyn FnMut(usize, &mut [T]),
    ) -> Result<(), Error> {
        let [rows, columns] = shape;
        let mut values = vec![T::ZERO; rows * columns];
        for row in 0..rows {
            fill(row, &mut values[row * columns..][..columns]);
        }
        self.tensors.insert(name.to_owned(), (shape, values));
        Ok(())
    }
}

impl<T: Real> Source<T> for Snapshot<T> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        self.tensors.get(name).map(|(shape, _)| *shape)
    }

    fn rows(&mut self, name: &str, take: &mut dyn FnMut(usize, &[T])) -> Result<(), Error> {
        let Some(([rows, columns], values)) = self.tensors.get(name) else {
            return Err(Error::Storage);
        };
        for row in 0..*rows {
            take(row, &values[row * columns..][..*columns]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(shape: [usize; 2], values: &[f32]) -> Snapshot<f32> {
        Snapshot { tensors: [("p".to_owned(), (shape, values.to_vec()))].into() }
    }

    /// The rows that arrive, and what the call returns.
    fn taken(mut from: Snapshot<f32>, shape: [usize; 2]) -> (Vec<Vec<f32>>, Result<(), Error>) {
        let mut rows = Vec::new();
        let result = from.read("p", shape, &mut |_, values| rows.push(values.to_vec()));
        (rows, result)
    }

    #[test]
    fn rows_arrive_in_order() {
        let (rows, result) = taken(snapshot([2, 2], &[1.0, 2.0, 3.0, 4.0]), [2, 2]);
        assert_eq!((rows, result), (vec![vec![1.0, 2.0], vec![3.0, 4.0]], Ok(())));
    }

    #[test]
    fn other_shapes_and_missing_tensors_are_refused() {
        let (rows, result) = taken(snapshot([2, 1], &[1.0, 2.0]), [1, 2]);
        assert!(rows.is_empty());
        let message = result.unwrap_err().to_string();
        assert_eq!(message, "tensor `p`: got 2 x 1, expected 1 x 2");
        let message = taken(Snapshot::default(), [1, 2]).1.unwrap_err().to_string();
        assert_eq!(message, "tensor `p`: got none, expected 1 x 2");
    }

    #[test]
    fn rows_with_numbers_that_are_not_finite_are_kept_back() {
        let (rows, result) = taken(snapshot([2, 1], &[1.0, f32::NAN]), [2, 1]);
        assert_eq!(rows, [[1.0]]);
        assert_eq!(result, Err(Error::NonFiniteTensor { name: "p".to_owned(), row: 1 }));
    }

    /// A source that announces one shape and provides another.
    #[derive(Debug)]
    struct Liar(Vec<Vec<f32>>);

    impl Source<f32> for Liar {
        fn shape(&self, _: &str) -> Option<[usize; 2]> {
            Some([2, 2])
        }

        fn rows(&mut self, _: &str, take: &mut dyn FnMut(usize, &[f32])) -> Result<(), Error> {
            self.0.iter().enumerate().for_each(|(row, values)| take(row, values));
            Ok(())
        }
    }

    #[test]
    fn a_source_that_does_not_keep_to_its_shape_is_refused() {
        for rows in [vec![], vec![vec![1.0; 2]], vec![vec![1.0; 2], vec![1.0; 3]]] {
            let mut liar = Liar(rows);
            let result = liar.read("p", [2, 2], &mut |_, values| assert_eq!(values.len(), 2));
            assert!(matches!(result, Err(Error::Tensor { .. })), "{result:?}");
        }
    }
}
