//! The memory of the sensitivities of a network, before it is built.

use rtrl_kernel::{Real, cost};

use super::NetworkBuilder;
use crate::Error;

impl<T: Real> NetworkBuilder<T> {
    /// Bytes of p of the network: the sensitivities of one stream in the eager engine, of every
    /// weight in every state, but for those of other heads of its layer. That engine has a few
    /// panels more, and the deferred one pads each weight row and has a window; a network that is
    /// divided into blocks, as large ones of several layers are, takes less. Heads of 2 to 4 units
    /// share blocks, in which they take up to 64 times as much. No weight is drawn, and the machine
    /// need not have this memory.
    ///
    /// ```
    /// use rtrl_model::Network;
    ///
    /// # fn main() -> Result<(), rtrl_model::Error> {
    /// let network = || Network::<f32>::builder(4096, 1);
    /// assert_eq!(network().sensitivity_bytes()?, 4096 * 4096 * 4098 * 4);
    /// assert_eq!(network().heads_of(8).sensitivity_bytes()?, 8 * 4096 * 10 * 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Memory`] for more units than can be counted, [`Error::Shape`] or [`Error::Length`]
    /// for a mask of another shape, [`Error::Setting`] for heads that do not make up a layer.
    pub fn sensitivity_bytes(&self) -> Result<u128, Error> {
        let (mut inputs, mut all, mut layers) = (self.inputs, 0, Vec::new());
        for layer in self.settings() {
            let columns = layer.columns(inputs, self.bias)?;
            let weights = layer.learning(columns)?;
            let of_other_heads = layer.units.saturating_sub(columns.seen);
            let [states, unseen] = [layer.units, of_other_heads]
                .map(|units| layer.cell.states() as u128 * units as u128);
            all += states;
            layers.push((unseen, weights));
            inputs = layer.units;
        }
        let (whole, divided): (Vec<_>, Vec<_>) =
            layers.into_iter().partition(|(of_other_heads, _)| *of_other_heads == 0);
        let whole = whole.iter().map(|(_, weights)| weights).sum();
        let bytes = divided.iter().map(|(of_other_heads, weights)| {
            cost::sensitivity_bytes::<T>(all - of_other_heads, *weights)
        });
        Ok(bytes.fold(cost::sensitivity_bytes::<T>(all, whole), u128::saturating_add))
    }

    /// Fails unless the system would provide [`NetworkBuilder::sensitivity_bytes`]. Call it before
    /// [`NetworkBuilder::build`]: drawing more weights than fit takes a long time.
    ///
    /// # Errors
    /// [`Error::Kernel`] with the bytes, and those of [`NetworkBuilder::sensitivity_bytes`].
    pub fn check_memory(&self) -> Result<(), Error> {
        Ok(cost::check_memory(self.sensitivity_bytes()?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cell, EngineChoice, Learner, Network, Threads};

    /// What the engine takes is p as it was announced, and little more: two spare panels, the sums
    /// of the gradient, and the packed Jacobian.
    #[test]
    fn the_memory_of_p_is_known_before_the_network_is_built() {
        let mask = || vec![[true, false, true, false].repeat(7); 24];
        let builder = |cell| Network::<f64>::builder(24, 3).cell(cell);
        for (builder, states, weights) in [
            (builder(Cell::Simple), 24, 24 * 28),
            (builder(Cell::Gru), 24, 24 * (2 * 28 + 4 + 25)),
            (builder(Cell::Gru).bias(false), 24, 24 * (2 * 27 + 3 + 24)),
            (builder(Cell::Lstm), 48, 24 * 4 * 28),
            (builder(Cell::Simple).frozen(mask()), 24, 24 * 14),
            (builder(Cell::Simple).heads_of(8), 8, 24 * 12),
            (builder(Cell::Lstm).heads_of(6), 12, 24 * 4 * 10),
            (builder(Cell::Lstm).layer(9).layer(4).cell(Cell::Gru), 61, 2688 + 306 + 4 * 43),
        ] {
            let announced = builder.sensitivity_bytes().unwrap();
            assert_eq!(announced, u128::from(states * u64::div_ceil(weights, 8) * 64));
            builder.check_memory().unwrap();
            let learner = Learner::builder(builder.build().unwrap()).engine(EngineChoice::Eager);
            let learner = learner.threads(Threads::SERIAL).build().unwrap();
            let (columns, taken) = (learner.network().learning(), learner.state_bytes() as u128);
            assert_eq!(columns.iter().filter(|&&learns| learns).count() as u64, weights);
            let layers = learner.network().layers();
            let (several, heads) = (layers.len() > 1, layers[0].heads());
            assert_eq!(learner.engine_plan().unwrap().blocks.len() > 1, several || heads > 1);
            // What blocks have in addition is much if they are small.
            let share = if heads > 1 { 2 } else { 8 };
            let most = announced + announced / share + 8 * announced / u128::from(weights);
            let least = if several { announced / 2 } else { announced };
            assert!((least..=most).contains(&taken), "{announced} announced, {taken} taken");
        }
    }

    /// Heads below a layer that sees them all: their weights reach its states, but not other heads.
    #[test]
    fn heads_below_a_layer_count_its_states() {
        let builder = Network::<f64>::builder(12, 3).heads_of(4).layer(5).cell(Cell::Lstm);
        let [heads, above] = [(4 + 10, 12 * 8), (12 + 10, 5 * 4 * 18)];
        let expected = [heads, above].map(|(states, weights)| states * u128::div_ceil(weights, 8));
        assert_eq!(builder.sensitivity_bytes().unwrap(), 64 * expected.iter().sum::<u128>());
        let refused = builder.heads_of(2).check_memory().unwrap_err().to_string();
        assert_eq!(refused, "units of a head: got 2, expected a divisor of 5");
        assert_eq!(Network::<f32>::builder(0, 1).heads_of(8).sensitivity_bytes().unwrap(), 0);
        let refused = Network::<f32>::builder(usize::MAX, 1).cell(Cell::Lstm).sensitivity_bytes();
        assert!(matches!(refused, Err(Error::Memory { .. })), "{refused:?}");
    }

    /// 2^24 units have more weights than any memory, so nothing may be reserved for them first.
    #[test]
    fn a_mask_is_checked_before_memory_is_taken_for_the_weights() {
        let network = || Network::<f32>::builder(1 << 24, 1);
        for builder in [network().connections(vec![true]), network().frozen(vec![true])] {
            let refused = builder.sensitivity_bytes();
            assert!(matches!(refused, Err(Error::Length { .. })), "{refused:?}");
        }
    }
}
