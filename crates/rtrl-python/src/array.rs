//! Arrays in and out.

use numpy::{
    PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use rtrl_model::{Matrix, Network, Targets};

use crate::error::{ArgumentError, wrong_shape};
use crate::precision::Number;

/// Python's part of [`Values::of`].
static CONVERT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Python's part of [`mask`].
static MASK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The numbers of an array-like, row-major.
#[derive(Debug)]
pub(crate) enum Values<'py, T: Number> {
    /// Those of an array of this precision without gaps, which is not copied.
    Borrowed(PyReadonlyArrayDyn<'py, T>),
    /// Those of anything else.
    Owned(Vec<T>, Vec<usize>),
}

impl<'py, T: Number> Values<'py, T> {
    /// Those of `object`, which errors call `what`.
    pub(crate) fn of(object: &Bound<'py, PyAny>, what: &'static str) -> PyResult<Self> {
        // A masked array is a subclass, and its data are not its values.
        if object.is_exact_instance_of::<PyUntypedArray>() {
            if let Some(values) = Self::borrowed(object) {
                return Ok(values);
            }
            if let Some(other) = contiguous::<T::Other>(object) {
                let shape = other.shape().to_vec();
                let numbers = other.as_slice().map_err(|_| unreadable(what))?;
                return Ok(Self::Owned(numbers.iter().map(|&x| T::round(x)).collect(), shape));
            }
        }
        let convert = CONVERT.import(object.py(), "rtrl._arrays", "convert")?;
        let array = convert.call1((object, T::DTYPE, what))?;
        Self::borrowed(&array).ok_or_else(|| unreadable(what))
    }

    fn borrowed(object: &Bound<'py, PyAny>) -> Option<Self> {
        contiguous::<T>(object).map(Self::Borrowed)
    }

    /// The sizes of its dimensions.
    pub(crate) fn shape(&self) -> &[usize] {
        match self {
            Self::Borrowed(array) => array.shape(),
            Self::Owned(_, shape) => shape,
        }
    }

    /// An array with these numbers, which is the one that was passed where that was not copied.
    pub(crate) fn into_array(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Borrowed(array) => Ok(array.as_any().clone()),
            Self::Owned(values, shape) => Ok(self::array(py, values, shape)?.into_any()),
        }
    }

    /// All numbers, row by row.
    pub(crate) fn numbers(&self) -> PyResult<&[T]> {
        match self {
            Self::Borrowed(array) => array.as_slice().map_err(|_| unreadable("array")),
            Self::Owned(values, _) => Ok(values),
        }
    }
}

/// The booleans of an array-like, row by row, and the sizes of its dimensions.
pub(crate) fn mask(
    object: &Bound<'_, PyAny>,
    what: &'static str,
) -> PyResult<(Vec<bool>, Vec<usize>)> {
    let array = MASK.import(object.py(), "rtrl._arrays", "mask")?.call1((object, what))?;
    let array = contiguous::<bool>(&array).ok_or_else(|| unreadable(what))?;
    let values = array.as_slice().map_err(|_| unreadable(what))?;
    Ok((values.to_vec(), array.shape().to_vec()))
}

/// An array of these numbers without gaps.
fn contiguous<'py, T: numpy::Element>(
    object: &Bound<'py, PyAny>,
) -> Option<PyReadonlyArrayDyn<'py, T>> {
    let array = object.cast::<PyArrayDyn<T>>().ok()?;
    (array.is_c_contiguous() && array.is_aligned()).then(|| array.try_readonly().ok())?
}

fn unreadable(what: &str) -> PyErr {
    ArgumentError::new_err(format!("{what}: got an array that is being written to"))
}

/// The streams of a learner, and the values of each in a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepShape {
    pub(crate) streams: usize,
    pub(crate) width: usize,
}

impl StepShape {
    /// Fails unless `got` is the shape of a step: streams x width, without an axis of length 1.
    pub(crate) fn check(self, what: &str, got: &[usize]) -> PyResult<()> {
        let Self { streams, width } = self;
        let fits = match got {
            [] => streams == 1 && width == 1,
            [one] => streams == 1 && *one == width || *one == streams && width == 1,
            [first, second] => (*first, *second) == (streams, width),
            _ => false,
        };
        let expected = || match streams {
            1 => format!("({width},)"),
            _ if width == 1 => format!("({streams},), one per stream"),
            _ => format!("({streams}, {width}), one row per stream"),
        };
        if fits { Ok(()) } else { Err(wrong_shape(what, got, &expected())) }
    }

    /// The number of steps of an array of several: steps x streams x width, without an axis of
    /// length 1.
    pub(crate) fn steps(self, what: &str, got: &[usize]) -> PyResult<usize> {
        let Self { streams, width } = self;
        let fits = match got {
            [_] => streams == 1 && width == 1,
            [_, one] => streams == 1 && *one == width || *one == streams && width == 1,
            [_, first, second] => (*first, *second) == (streams, width),
            _ => false,
        };
        if let (true, [steps, ..]) = (fits, got) {
            return Ok(*steps);
        }
        let expected = match streams {
            1 => format!("(steps, {width})"),
            _ if width == 1 => format!("(steps, {streams}), one column per stream"),
            _ => format!("(steps, {streams}, {width}), one row per stream"),
        };
        Err(wrong_shape(what, got, &expected))
    }

    /// The dimensions of the results of a step.
    pub(crate) fn dimensions(self) -> Vec<usize> {
        if self.streams == 1 { vec![self.width] } else { vec![self.streams, self.width] }
    }
}

/// Targets where NaN means none.
#[derive(Debug)]
pub(crate) enum Labels<'a, T> {
    None,
    All(&'a [T]),
    Some(Vec<Option<T>>),
}

impl<'a, T: Number> Labels<'a, T> {
    pub(crate) fn of(values: &'a [T]) -> Self {
        // Targets are finite but for mistakes, which the learner reports, and this is in registers.
        if values.iter().fold(true, |all, value| all & value.is_finite()) {
            return Self::All(values);
        }
        let present = |&value: &T| (!value.to_f64().is_nan()).then_some(value);
        Self::Some(values.iter().map(present).collect())
    }

    /// All of them.
    pub(crate) fn targets(&self) -> Targets<'_, T> {
        self.range(0..usize::MAX)
    }

    /// Those of a part of the outputs.
    pub(crate) fn range(&self, range: std::ops::Range<usize>) -> Targets<'_, T> {
        let part = |len: usize| range.start.min(len)..range.end.min(len);
        match self {
            Self::None => Targets::None,
            Self::All(values) => Targets::All(&values[part(values.len())]),
            Self::Some(values) => Targets::Some(&values[part(values.len())]),
        }
    }
}

/// A new array of this shape.
pub(crate) fn array<T: Number>(
    py: Python<'_>,
    values: Vec<T>,
    shape: Vec<usize>,
) -> PyResult<Bound<'_, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, values).reshape(shape)
}

/// A new array with a copy of a row.
pub(crate) fn row<'py, T: Number>(py: Python<'py>, values: &[T]) -> Bound<'py, PyArray1<T>> {
    PyArray1::from_slice(py, values)
}

/// A new array with a copy of these rows and columns of a matrix.
pub(crate) fn matrix<'py, T: Number>(
    py: Python<'py>,
    matrix: &Matrix<T>,
    rows: std::ops::Range<usize>,
    width: usize,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let shape = vec![rows.len(), width];
    let values = rows.flat_map(|i| matrix.row(i)[..width].iter().copied()).collect();
    array(py, values, shape)
}

/// The key of the readout's weights.
pub(crate) const READOUT: &str = "readout";

/// The key of a layer's weights.
pub(crate) fn layer_key(number: usize) -> String {
    format!("layer{number}")
}

/// Matrices of the shapes of W and R, by layer.
pub(crate) fn by_layer<'py, T: Number>(
    py: Python<'py>,
    network: &Network<T>,
    recurrent: &Matrix<T>,
    readout: Option<&Matrix<T>>,
) -> PyResult<Bound<'py, PyDict>> {
    let parts = PyDict::new(py);
    for (number, layer) in network.layers().iter().enumerate() {
        let part = matrix(py, recurrent, layer.rows(), layer.width())?;
        parts.set_item(layer_key(number), part)?;
    }
    if let Some(readout) = readout {
        parts.set_item(READOUT, matrix(py, readout, 0..readout.rows(), readout.columns())?)?;
    }
    Ok(parts)
}
