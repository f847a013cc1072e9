//! Access to the sensitivities p, the engines that carry them, and the Jacobian.

use rtrl_kernel::{Engine, Real};

use super::Learner;
use crate::{Error, Matrix};

impl<T: Real> Learner<T> {
    /// Row k of the influence matrix: `dy_k(t)/dw_ij` for every weight, shaped as W,
    /// 0 for weights that do not learn; that of the first of several streams. Does not disturb the
    /// run.
    ///
    /// # Errors
    /// [`Error::Kernel`] if there is no such unit or p is lost, [`Error::Memory`] if the matrix
    /// does not fit in memory.
    #[doc(alias = "influence matrix")]
    #[doc(alias = "p_kij")]
    pub fn sensitivities(&self, unit: usize) -> Result<Matrix<T>, Error> {
        self.stream_sensitivities(0, unit)
    }

    /// [`Learner::sensitivities`] of one stream.
    ///
    /// # Errors
    /// As [`Learner::sensitivities`], and [`Error::NoStream`].
    pub fn stream_sensitivities(&self, stream: usize, unit: usize) -> Result<Matrix<T>, Error> {
        self.check_stream(stream)?;
        let (network, engine) = (&self.network, &self.streams[stream].engine);
        self.streams[stream].check_lost()?;
        let mut row = vec![T::ZERO; engine.weights()];
        engine.sensitivities(unit, &mut row)?;
        let mut matrix = Matrix::zeros(network.weights.rows(), network.weights.columns())?;
        let mut values = row.into_iter();
        let mut learning = network.connections.learning().into_iter();
        for i in 0..matrix.rows() {
            for place in matrix.row_mut(i) {
                if learning.next() == Some(true) {
                    *place = values.next().unwrap_or(T::ZERO);
                }
            }
        }
        Ok(matrix)
    }

    /// The largest |p| of all streams.
    ///
    /// # Errors
    /// [`Error::Kernel`] if p is lost or has overflowed.
    pub fn largest_sensitivity(&self) -> Result<T, Error> {
        let mut largest = T::ZERO;
        for stream in &self.streams {
            stream.check_lost()?;
            let mut row = vec![T::ZERO; stream.engine.weights()];
            for state in 0..self.network.layout().states() {
                stream.engine.sensitivities(state, &mut row)?;
                largest =
                    row.iter().fold(largest, |most, p| if p.abs() > most { p.abs() } else { most });
            }
        }
        Ok(largest)
    }

    /// The engine of a stream, for programs that save it in parts.
    ///
    /// # Errors
    /// [`Error::NoStream`].
    pub fn engine(&self, stream: usize) -> Result<&dyn Engine<T>, Error> {
        self.check_stream(stream)?;
        Ok(&*self.streams[stream].engine)
    }

    /// [`Network::jacobian`](crate::Network::jacobian) of the last step of a stream.
    ///
    /// # Errors
    /// [`Error::NoStream`], [`Error::Memory`].
    pub fn jacobian(&self, stream: usize) -> Result<Matrix<T>, Error> {
        self.network.jacobian(self.state(stream)?)
    }
}
