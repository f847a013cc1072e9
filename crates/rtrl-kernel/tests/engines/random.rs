//! Layouts and steps of random numbers.

use rtrl_kernel::{Drive, Layout, Real};

use crate::numerals::{Block, Numerals};

/// Numbers that look random: a linear congruential generator.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Between -1 and 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 40) as u32) / f64::from(1u32 << 23) - 1.0
    }

    pub(crate) fn list<T: Real>(&mut self, len: usize) -> Vec<T> {
        (0..len).map(|_| T::from_f64(self.next())).collect()
    }

    /// True with a probability of `(1 + bias) / 2`.
    fn is_below(&mut self, bias: f64) -> bool {
        self.next() < bias
    }

    /// 0 to `end - 1`.
    fn below(&mut self, end: usize) -> usize {
        #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "it is small")]
        let number = ((self.next() + 1.0) * 0.5 * end as f64) as usize;
        number.min(end - 1)
    }
}

/// Which weights learn: each with a probability of `(1 + density) / 2`.
pub(crate) fn learns(layout: &Layout, numbers: &mut Numbers, density: f64) -> Vec<bool> {
    (0..layout.weights()).map(|_| numbers.is_below(density)).collect()
}

/// A layout in which each row sees one or two parts of z and drives any number of states, some rows
/// none.
pub(crate) fn layout(numbers: &mut Numbers, states: usize) -> Layout {
    let rows = 1 + numbers.below(3 * states);
    let z_len = 1 + numbers.below(40);
    let part = |numbers: &mut Numbers| {
        let start = numbers.below(z_len);
        start..start + numbers.below(z_len - start + 1)
    };
    let divided = numbers.below(2) == 0;
    let parts = |_| [part(numbers), if divided { part(numbers) } else { 0..0 }];
    let z = (0..rows).map(parts).collect();
    let mut drives = Vec::new();
    for row in 0..rows {
        for state in 0..states {
            if numbers.below(states) == 0 || numbers.below(5) == 0 {
                let (row, state) = (u32::try_from(row).unwrap(), u32::try_from(state).unwrap());
                drives.push(Drive { row, state });
            }
        }
    }
    Layout::divided(states, z, drives).unwrap()
}

/// Numbers for step t with `blocks` blocks, in which slopes vanish, units are forced and a diagonal
/// is there now and then.
pub(crate) fn numerals<T: Real>(
    layout: &Layout,
    numbers: &mut Numbers,
    t: usize,
    blocks: usize,
) -> Numerals<T> {
    let n = layout.states();
    let stride = n + 3;
    let block = |numbers: &mut Numbers| {
        let mut scale: Vec<T> = numbers.list(n);
        (0..n).filter(|k| (k + t).is_multiple_of(3)).for_each(|k| scale[k] = T::ZERO);
        Block { weights: numbers.list(n * stride), scale }
    };
    let blocks = (0..blocks).map(|_| block(numbers)).collect();
    let mut injection: Vec<T> = numbers.list(layout.drives().len());
    for (drive, injection) in layout.drives().iter().zip(&mut injection) {
        if (drive.state as usize + t).is_multiple_of(3) {
            *injection = T::ZERO;
        }
    }
    Numerals {
        blocks,
        stride,
        diagonal: (t % 5 > 1).then(|| numbers.list(n)),
        injection,
        z: numbers.list(layout.z_len()),
        forced: (0..n).map(|_| numbers.next() > 0.5).collect(),
        error: (t % 4 != 1).then(|| numbers.list(n)),
    }
}
