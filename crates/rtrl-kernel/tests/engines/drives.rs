//! Layouts in which rows see any part of z and drive any states: both engines against the loops.

use rtrl_kernel::{Deferred, Drive, Eager, Engine, Isa, Layout, Pace, Real, Threads};

use crate::loops::Loops;
use crate::numerals::Numerals;
use crate::random::{self, Numbers};
use crate::tested;

/// [`difference_of`] for any numbers.
fn difference<T: Real>(
    engine: &mut dyn Engine<T>,
    loops: &mut Loops<T>,
    layout: &Layout,
    blocks: usize,
) -> f64 {
    difference_of(engine, loops, layout, |numbers, t| random::numerals(layout, numbers, t, blocks))
}

/// The largest difference of p and gradients from those of the loops over some steps, relative to
/// the largest number; infinite if one is not finite.
pub(crate) fn difference_of<T: Real>(
    engine: &mut dyn Engine<T>,
    loops: &mut Loops<T>,
    layout: &Layout,
    numerals: impl Fn(&mut Numbers, usize) -> Numerals<T>,
) -> f64 {
    let mut numbers = Numbers(layout.weights() as u64 + 5);
    let (mut worst, mut largest) = (0.0f64, f64::MIN_POSITIVE);
    let mut compare = |got: &[T], expected: &[T]| {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            let (got, expected) = (got.to_f64(), expected.to_f64());
            let off = (got - expected).abs();
            worst = if off <= worst { worst } else { off };
            worst = if off.is_finite() { worst } else { f64::INFINITY };
            largest = largest.max(expected.abs());
        }
    };
    for t in 0..11 {
        let numerals = numerals(&mut numbers, t);
        engine.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        loops.advance(&numerals);
        let mut row = vec![T::ZERO; engine.weights()];
        for k in 0..layout.states() {
            engine.sensitivities(k, &mut row).unwrap();
            compare(&row, &loops.row(k));
        }
        if t % 3 == 2 {
            let stride = layout.widest().max(1);
            let mut gradient = vec![T::ZERO; layout.rows() * stride];
            engine.gradient(&mut gradient, stride).unwrap();
            compare(&gradient, &loops.take_gradient(stride));
        }
    }
    worst / largest
}

/// Runs `check` on random layouts, with the blocks of the Jacobian and the density of the weights
/// that learn.
fn layouts(check: impl Fn(&Layout, &[bool], usize)) {
    for seed in 0..60usize {
        let mut numbers = Numbers(seed as u64);
        let layout = random::layout(&mut numbers, 1 + seed % 23);
        let density = if seed % 3 == 0 { 1.1 } else { 0.2 };
        let learns = random::learns(&layout, &mut numbers, density);
        check(&layout, &learns, seed % 4);
    }
}

#[test]
fn the_eager_engine_equals_the_loops() {
    fn check<T: Real>(layout: &Layout, learns: &[bool], blocks: usize) {
        for isa in tested::sets() {
            for count in [1, 3] {
                let mut engine =
                    Eager::<T>::new(layout, learns, isa, Threads::Exactly(count)).unwrap();
                let mut loops = Loops::new(layout, learns);
                let off = difference(&mut engine, &mut loops, layout, blocks);
                assert_eq!(off, 0.0, "{layout:?}, {blocks} blocks, {isa}, {count} threads");
            }
        }
    }
    layouts(check::<f32>);
    layouts(check::<f64>);
}

fn deferred<T: Real>(layout: &Layout, learns: &[bool], pace: Pace) -> Deferred<T> {
    let window = 4;
    Deferred::new(layout, learns, window, pace, Isa::best(), Threads::Exactly(2)).unwrap()
}

#[test]
fn the_deferred_engine_equals_the_loops_up_to_rounding() {
    layouts(|layout, learns, blocks| {
        for pace in [Pace::Bursts, Pace::Even] {
            let mut loops = Loops::<f64>::new(layout, learns);
            let off = difference(&mut deferred(layout, learns, pace), &mut loops, layout, blocks);
            assert!(off <= 1e-13, "{off}: {layout:?}, {blocks} blocks, {pace:?}");
        }
    });
}

/// The check must see a drive that leads elsewhere, and one that is missing.
#[test]
fn a_wrong_drive_is_seen() {
    let drives =
        |list: &[(u32, u32)]| list.iter().map(|&(row, state)| Drive { row, state }).collect();
    let layout = |list: &[(u32, u32)]| Layout::new(4, vec![0..6; 5], drives(list)).unwrap();
    let right = layout(&[(0, 0), (0, 3), (1, 1), (3, 2), (4, 0)]);
    let learns = [true; 30];
    for wrong in [
        layout(&[(0, 0), (0, 2), (1, 1), (3, 2), (4, 0)]),
        layout(&[(0, 0), (1, 1), (1, 2), (3, 2), (4, 0)]),
    ] {
        let mut eager =
            Eager::<f64>::new(&right, &learns, Isa::best(), Threads::Exactly(1)).unwrap();
        let mut late = deferred::<f64>(&right, &learns, Pace::Bursts);
        let engines: [&mut dyn Engine<f64>; 2] = [&mut eager, &mut late];
        for engine in engines {
            let off = difference(engine, &mut Loops::new(&wrong, &learns), &right, 1);
            assert!(off > 1e-3, "{off}");
        }
    }
}
