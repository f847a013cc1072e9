//! The errors of the crates as Python's exceptions, with the same messages.

use pyo3::PyErr;
use rtrl_model::Error;

pyo3::import_exception!(rtrl._errors, ArgumentError);
pyo3::import_exception!(rtrl._errors, CallError);
pyo3::import_exception!(rtrl._errors, CallbackError);
pyo3::import_exception!(rtrl._errors, DtypeError);
pyo3::import_exception!(rtrl._errors, FileError);
pyo3::import_exception!(rtrl._errors, FormatError);
pyo3::import_exception!(rtrl._errors, MissingFileError);
pyo3::import_exception!(rtrl._errors, NumericError);
pyo3::import_exception!(rtrl._errors, OutOfMemoryError);

/// The exception of an error of the model.
pub(crate) fn raise(error: Error) -> PyErr {
    let message = error.to_string();
    match error.cause() {
        Error::Overflow { .. }
        | Error::SensitivitiesLost { .. }
        | Error::UpdateRefused { .. }
        | Error::Fit { .. } => NumericError::new_err(message),
        Error::Regime { .. } => CallError::new_err(message),
        Error::Memory { .. } => OutOfMemoryError::new_err(message),
        Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            MissingFileError::new_err(message)
        }
        Error::File { .. } => FileError::new_err(message),
        Error::Format { .. } | Error::Container { .. } => FormatError::new_err(message),
        Error::Kernel(kernel) => kernel_error(kernel, message),
        _ => ArgumentError::new_err(message),
    }
}

fn kernel_error(error: &rtrl_model::kernel::Error, message: String) -> PyErr {
    use rtrl_model::kernel::Error;
    match error {
        Error::Memory { .. } => OutOfMemoryError::new_err(message),
        Error::Lost | Error::NonFinite { .. } => NumericError::new_err(message),
        _ => ArgumentError::new_err(message),
    }
}

/// The exception of an error of the lab.
pub(crate) fn raise_lab(error: rtrl_lab::Error) -> PyErr {
    match error {
        rtrl_lab::Error::Model(error) => raise(error),
        other => ArgumentError::new_err(other.to_string()),
    }
}

/// The exception of a description that is not plain data of the expected form.
pub(crate) fn raise_description(error: pythonize::PythonizeError) -> PyErr {
    ArgumentError::new_err(error.to_string())
}

/// The exception of an array of the wrong shape.
pub(crate) fn wrong_shape(what: &str, got: &[usize], expected: &str) -> PyErr {
    let sizes: Vec<_> = got.iter().map(ToString::to_string).collect();
    let comma = if got.len() == 1 { "," } else { "" };
    let got = format!("({}{comma})", sizes.join(", "));
    ArgumentError::new_err(format!("{what}: got shape {got}, expected {expected}"))
}
