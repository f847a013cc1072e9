//! The two precisions behind one Python class.

use numpy::Element;
use rtrl_model::Real;

/// A value of a type in single or double precision.
#[derive(Debug, Clone)]
pub(crate) enum Either<A, B> {
    F32(A),
    F64(B),
}

/// Evaluates the same expression in both precisions.
macro_rules! each {
    ($either:expr, $value:ident => $body:expr) => {
        match $either {
            $crate::precision::Either::F32($value) => $body,
            $crate::precision::Either::F64($value) => $body,
        }
    };
}

/// Evaluates the same expression in both precisions and wraps its result in the same one.
macro_rules! map {
    ($either:expr, $value:ident => $body:expr) => {
        match $either {
            $crate::precision::Either::F32($value) => $crate::precision::Either::F32($body),
            $crate::precision::Either::F64($value) => $crate::precision::Either::F64($body),
        }
    };
}

pub(crate) use {each, map};

/// A number of networks and of arrays.
pub(crate) trait Number: Real + Element {
    /// The name of the dtype.
    const DTYPE: &'static str;

    /// The other precision, whose arrays are rounded without a detour.
    type Other: Element + Copy;

    /// The nearest number.
    fn round(other: Self::Other) -> Self;
}

impl Number for f32 {
    const DTYPE: &'static str = "float32";
    type Other = f64;

    fn round(other: f64) -> Self {
        Self::from_f64(other)
    }
}

impl Number for f64 {
    const DTYPE: &'static str = "float64";
    type Other = f32;

    fn round(other: f32) -> Self {
        Self::from(other)
    }
}
