//! Connections with structure: patterns of the Jacobian, and steps that keep to them.

use rtrl_kernel::{Layout, Pattern, Real};

use crate::numerals::Numerals;
use crate::random::{self, Numbers};

/// The name of each structure, and whether state k depends on state l, of n.
type Depends = fn(usize, usize, usize) -> bool;

/// All structures.
pub(crate) const STRUCTURES: [(&str, Depends); 8] = [
    ("dense", |_, _, _| true),
    ("diagonal", |_, k, l| k == l),
    ("heads", |_, k, l| k / 4 == l / 4),
    // Members of a head are not neighbours.
    ("woven heads", |_, k, l| k % 3 == l % 3),
    ("layers", |n, k, l| l * 3 / n <= k * 3 / n),
    // Each state depends on its parent.
    ("tree", |_, k, l| k == l || (k > 0 && (k - 1) / 2 == l)),
    // Groups of 3 in circles, each group led by the one before.
    ("circles", |_, k, l| k / 3 == l / 3 || (k.is_multiple_of(3) && k == l + 1)),
    ("sparse", |n, k, l| k == l || (k * 31 + l * 17 + n).is_multiple_of(11)),
];

/// The pattern of a structure of `states` states.
pub(crate) fn pattern(depends: Depends, states: usize) -> Pattern {
    let row = |k| (0..states).filter(move |&l| depends(states, k, l));
    let number = |l: usize| u32::try_from(l).unwrap();
    Pattern::new((0..states).map(|k| row(k).map(number).collect()).collect()).unwrap()
}

/// Random numbers for a step in which the Jacobian keeps to the pattern.
pub(crate) fn numerals<T: Real>(
    layout: &Layout,
    pattern: &Pattern,
    numbers: &mut Numbers,
    t: usize,
    blocks: usize,
) -> Numerals<T> {
    let mut numerals = random::numerals(layout, numbers, t, blocks);
    let (n, stride) = (layout.states(), numerals.stride);
    for block in &mut numerals.blocks {
        for k in 0..n {
            for l in (0..n).filter(|&l| !pattern.contains(k, l)) {
                block.weights[k * stride + l] = T::ZERO;
            }
        }
    }
    numerals
}
