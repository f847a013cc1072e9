//! Large networks, where loops take too long: one step of the engine against `P'v = J(Pv) + Bv` for
//! random v, which costs n³.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_kernel::{Deferred, Eager, Engine, Isa, Jacobian, Layout, Pace, Real, Step, Threads};
use rtrl_model::Generator;

/// One step with its values, in the precision of the engine.
struct Values<T> {
    recurrent: Vec<T>,
    slope: Vec<T>,
    lines: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    fn draw(n: usize, lines: usize, generator: &mut Generator) -> Self {
        let bound = 1.5 / (n as f64).sqrt();
        let mut list = |len: usize, bound: f64| -> Vec<T> {
            (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
        };
        let (recurrent, slope, z) = (list(n * n, bound), list(n, 1.0), list(lines, 1.0));
        let forced = (0..n).map(|_| generator.uniform() < 0.2).collect();
        Self { recurrent, slope, lines: z, forced }
    }

    fn step(&self) -> Step<'_, T> {
        Step {
            jacobian: Jacobian::scaled(&self.recurrent, self.slope.len(), &self.slope),
            injection: &self.slope,
            z: &self.lines,
            forced: &self.forced,
        }
    }
}

/// Pv in double precision.
fn times<T: Real>(engine: &dyn Engine<T>, n: usize, v: &[f64]) -> Vec<f64> {
    let mut row = vec![T::ZERO; v.len()];
    let product = |k| {
        engine.sensitivities(k, &mut row).unwrap();
        row.iter().zip(v).map(|(p, v)| p.to_f64() * v).sum()
    };
    (0..n).map(product).collect()
}

/// The largest difference of both sides over the largest value, after a few steps from p = 0.
/// `omitted` is a unit to be left out of J, as a negative control.
fn difference<T: Real>(n: usize, lines: usize, isa: Isa, omitted: Option<usize>) -> f64 {
    let layout = Layout::simple(n, lines).unwrap();
    let threads = Threads::Exactly(2);
    let learns = vec![true; n * lines];
    let window = 2;
    let eager = Eager::<T>::new(&layout, &learns, isa, threads).unwrap();
    let deferred = |pace| Deferred::<T>::new(&layout, &learns, window, pace, isa, threads).unwrap();
    let engines: [&mut dyn Engine<T>; 3] =
        [&mut { eager }, &mut deferred(Pace::Bursts), &mut deferred(Pace::Even)];
    let differences = engines.map(|engine| one_step(engine, n, lines, omitted));
    differences.into_iter().fold(0.0, f64::max)
}

/// The difference for one engine.
fn one_step<T: Real>(
    engine: &mut dyn Engine<T>,
    n: usize,
    lines: usize,
    omitted: Option<usize>,
) -> f64 {
    let mut generator = Generator::new(n as u64);
    for _ in 0..3 {
        let values = Values::draw(n, lines, &mut generator);
        engine.advance(&values.step(), None).unwrap();
    }
    let v: Vec<f64> = (0..n * lines).map(|_| generator.normal()).collect();
    let before = times(engine, n, &v);
    let values = Values::<T>::draw(n, lines, &mut generator);
    engine.advance(&values.step(), None).unwrap();
    let after = times(engine, n, &v);
    let expected = |k: usize| -> f64 {
        let slope = values.slope[k].to_f64();
        let unforced = (0..n).filter(|&l| !values.forced[l] && Some(l) != omitted);
        let recurrent: f64 =
            unforced.map(|l| slope * values.recurrent[k * n + l].to_f64() * before[l]).sum();
        let immediate = values.lines.iter().zip(&v[k * lines..]).map(|(z, v)| z.to_f64() * v);
        recurrent + slope * immediate.sum::<f64>()
    };
    let largest = after.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let differences = (0..n).map(|k| (after[k] - expected(k)).abs());
    differences.fold(0.0, |most, d| if d.is_finite() { f64::max(most, d) } else { f64::INFINITY })
        / largest
}

/// A sum of n rounded products errs by about sqrt(n) roundings; ten times that is still far below any
/// missing term.
fn bound<T: Real>(n: usize) -> f64 {
    let rounding = if T::NAME == "f32" { f64::from(f32::EPSILON) } else { f64::EPSILON };
    10.0 * (n as f64).sqrt() * rounding
}

#[test]
fn one_step_of_a_large_network_is_the_linear_map() {
    for isa in Isa::available().into_iter().filter(|isa| isa.name() != "scalar") {
        for (n, lines) in [(96, 105), (150, 153)] {
            for (name, found, bound) in [
                ("f32", difference::<f32>(n, lines, isa, None), bound::<f32>(n)),
                ("f64", difference::<f64>(n, lines, isa, None), bound::<f64>(n)),
            ] {
                assert!(found <= bound, "n = {n}, {name} on {isa}: {found:e} above {bound:e}");
            }
        }
    }
    let found = difference::<f64>(64, 70, Isa::scalar(), None);
    assert!(found <= bound::<f64>(64), "scalar: {found:e}");
}

/// Negative control: one unit of 150 left out of the recurrent sum is far above the bound.
#[test]
fn a_missing_unit_is_caught() {
    let unforced = (0..150).find(|&l| difference::<f32>(150, 153, Isa::best(), Some(l)) > 1e-3);
    assert!(unforced.is_some());
}
