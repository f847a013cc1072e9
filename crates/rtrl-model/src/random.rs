//! Random numbers that are the same on every machine and in every version.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A seeded generator: the `ChaCha` stream with 12 rounds. The rules that turn it into numbers are
/// part of this library, because the samplers of other libraries may change between versions.
#[derive(Debug)]
pub struct Generator(ChaCha12Rng);

/// The state of a [`Generator`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorState {
    /// Its seed.
    pub seed: u64,
    /// How many 64-bit words of its stream have been drawn.
    pub drawn: u64,
}

/// Words of 32 bits of the stream per draw.
const WORDS: u128 = 2;

impl Generator {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha12Rng::from_seed(key))
    }

    /// The generator that was in this state: it continues with the same numbers.
    pub fn from_state(state: GeneratorState) -> Self {
        let mut generator = Self::new(state.seed);
        generator.0.set_word_pos(u128::from(state.drawn) * WORDS);
        generator
    }

    /// Its state, to be stored.
    pub fn state(&self) -> GeneratorState {
        let seed = self.0.get_seed();
        let seed = u64::from_le_bytes(std::array::from_fn(|byte| seed[byte]));
        // 2^64 draws are out of reach.
        let drawn = self.0.get_word_pos() / WORDS;
        GeneratorState { seed, drawn: u64::try_from(drawn).unwrap_or(u64::MAX) }
    }

    /// Uniform in [0, 1): the upper 53 bits of a draw.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Standard normal, by Box and Muller's method, one number for two draws.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Uniform among 0 .. count, which must be positive and below 2^32.
    pub fn below(&mut self, count: usize) -> usize {
        // The upper half of the product of a 32-bit draw and the count (Lemire 2019, without the
        // rejection, whose bias stays below count / 2^32).
        let draw = self.0.next_u64() >> 32;
        usize::try_from((draw * count as u64) >> 32).unwrap_or_default()
    }

    /// A fair coin.
    pub fn bit(&mut self) -> bool {
        self.0.next_u64() >> 63 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let mut generator = Generator::new(1);
        let drawn = [generator.uniform(), generator.normal(), generator.between(-2.0, 2.0)];
        assert_eq!(drawn.map(f64::to_bits), PINNED);
    }

    const PINNED: [u64; 3] =
        [4_606_854_810_701_606_336, 4_598_310_519_233_729_847, 13_833_871_324_629_449_216];

    #[test]
    fn a_stored_generator_goes_on_with_the_same_numbers() {
        let seed = 0x0123_4567_89AB_CDEF;
        let mut generator = Generator::new(seed);
        assert_eq!(generator.state(), GeneratorState { seed, drawn: 0 });
        for count in 0..300 {
            let text = serde_json::to_string(&generator.state()).unwrap();
            let mut stored = Generator::from_state(serde_json::from_str(&text).unwrap());
            assert_eq!(stored.state(), generator.state());
            for _ in 0..count % 5 {
                assert_eq!(stored.normal().to_bits(), generator.normal().to_bits());
            }
            assert_eq!(stored.bit(), generator.bit());
        }
        assert_eq!(generator.state().drawn, 60 * (2 + 4 + 6 + 8) + 300);
    }

    /// Far behind the first 2^32 blocks, where a counter of 32 bits would start again.
    #[test]
    fn positions_far_out_are_kept() {
        let state = GeneratorState { seed: 3, drawn: (1 << 36) + 5 };
        let mut far = Generator::from_state(state);
        assert_eq!(far.state(), state);
        assert_ne!(
            far.uniform().to_bits(),
            Generator::from_state(GeneratorState { drawn: 5, ..state }).uniform().to_bits()
        );
    }

    #[test]
    fn moments_are_right() {
        let mut generator = Generator::new(7);
        let draws: Vec<f64> = (0..100_000).map(|_| generator.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
