//! Random numbers that are the same on every machine and in every version.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

/// A seeded generator: the `ChaCha` stream with 12 rounds, turned into numbers by rules of our own, since
/// a library's samplers may change between versions.
#[derive(Debug)]
pub struct Generator(ChaCha12Rng);

impl Generator {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha12Rng::from_seed(key))
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
    fn moments_are_right() {
        let mut generator = Generator::new(7);
        let draws: Vec<f64> = (0..100_000).map(|_| generator.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
