//! Numbers in safetensors files.

use rtrl_kernel::Real;
use safetensors::{Dtype, SafeTensors};

/// The type under which numbers of the precision `T` are stored.
pub(crate) fn dtype<T: Real>() -> Dtype {
    if T::NAME == "f32" { Dtype::F32 } else { Dtype::F64 }
}

/// Little-endian bytes, as the format requires.
pub(crate) fn bytes<T: Real>(values: &[T]) -> Vec<u8> {
    if T::NAME == "f32" {
        values.iter().flat_map(|v| single(*v).to_le_bytes()).collect()
    } else {
        values.iter().flat_map(|v| v.to_f64().to_le_bytes()).collect()
    }
}

/// A number that was stored as `f32`.
#[allow(clippy::cast_possible_truncation, reason = "the value came from an f32")]
fn single<T: Real>(value: T) -> f32 {
    value.to_f64() as f32
}

/// The numbers of a tensor.
pub(crate) struct Numbers {
    pub(crate) values: Vec<f64>,
    columns: usize,
}

impl Numbers {
    /// The values as rows as long as the last dimension.
    pub(crate) fn rows(self) -> Vec<Vec<f64>> {
        self.values.chunks(self.columns.max(1)).map(<[f64]>::to_vec).collect()
    }
}

/// The numbers of the tensor `name`, of this shape if one is given.
pub(crate) fn numbers(
    tensors: &SafeTensors<'_>,
    name: &str,
    shape: Option<&[usize]>,
) -> Result<Numbers, String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
    if let Some(shape) = shape.filter(|&shape| shape != tensor.shape()) {
        return Err(format!("{name}: got shape {:?}, expected {shape:?}", tensor.shape()));
    }
    let values: Vec<f64> = match tensor.dtype() {
        Dtype::F32 => {
            let (values, _) = tensor.data().as_chunks::<4>();
            values.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect()
        }
        Dtype::F64 => {
            let (values, _) = tensor.data().as_chunks::<8>();
            values.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
        }
        other => return Err(format!("{name}: got type {other:?}, expected F32 or F64")),
    };
    let columns = tensor.shape().last().copied().unwrap_or(1);
    Ok(Numbers { values, columns })
}
