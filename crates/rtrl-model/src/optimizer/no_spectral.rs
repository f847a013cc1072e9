//! Replaces `spectral.rs` if the feature `linalg` is off.

use rtrl_kernel::Real;

use crate::error::Quantity;
use crate::{Error, Matrix, Network};

/// The limit in a build without linear algebra: there is none.
#[derive(Debug, Clone)]
pub(super) enum SpectralLimit {}

impl SpectralLimit {
    pub(super) fn new<T: Real>(limit: f64, _: &Network<T>) -> Result<Self, Error> {
        let expected = "none in a build without the feature `linalg`".to_owned();
        Err(Error::Setting { what: "spectral limit", expected, got: limit.to_string() })
    }

    pub(super) fn enforce<T: Real>(&mut self, _: &mut Matrix<T>) -> Result<(), Quantity> {
        match *self {}
    }
}
