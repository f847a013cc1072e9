//! Large networks, for which loops are too slow: one step of the engine against `P'v = J(Pv) + Bv`
//! for random v, which costs n³.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rtrl_kernel::{Deferred, Eager, Engine, Isa, Jacobian, Layout, Pace, Real, Step, Threads};
use rtrl_model::Generator;

use crate::tested;

/// One step with its values, in the precision of the engine.
struct Values<T> {
    recurrent: Vec<T>,
    slope: Vec<T>,
    z: Vec<T>,
    forced: Vec<bool>,
}

impl<T: Real> Values<T> {
    fn draw(n: usize, width: usize, generator: &mut Generator) -> Self {
        let bound = 1.5 / (n as f64).sqrt();
        let mut list = |len: usize, bound: f64| -> Vec<T> {
            (0..len).map(|_| T::from_f64(generator.between(-bound, bound))).collect()
        };
        let (recurrent, slope, z) = (list(n * n, bound), list(n, 1.0), list(width, 1.0));
        let forced = (0..n).map(|_| generator.uniform() < 0.2).collect();
        Self { recurrent, slope, z, forced }
    }

    fn step(&self) -> Step<'_, T> {
        Step {
            jacobian: Jacobian::scaled(&self.recurrent, self.slope.len(), &self.slope),
            injection: &self.slope,
            z: &self.z,
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

/// One of each engine.
fn engines<T: Real>(n: usize, width: usize, isa: Isa) -> [Box<dyn Engine<T>>; 3] {
    let layout = Layout::simple(n, width).unwrap();
    let threads = Threads::Exactly(2);
    let learns = vec![true; n * width];
    let window = 2;
    let deferred = |pace| Deferred::<T>::new(&layout, &learns, window, pace, isa, threads).unwrap();
    [
        Box::new(Eager::<T>::new(&layout, &learns, isa, threads).unwrap()),
        Box::new(deferred(Pace::Bursts)),
        Box::new(deferred(Pace::Even)),
    ]
}

/// One step of an engine: the values of the step, a random v, and Pv before and after it.
struct Seen<T> {
    values: Values<T>,
    v: Vec<f64>,
    before: Vec<f64>,
    after: Vec<f64>,
}

impl<T: Real> Seen<T> {
    /// A step after a few others from p = 0.
    fn step(engine: &mut dyn Engine<T>, n: usize, width: usize) -> Self {
        let mut generator = Generator::new(n as u64);
        for _ in 0..3 {
            let values = Values::draw(n, width, &mut generator);
            engine.advance(&values.step(), None).unwrap();
        }
        let v: Vec<f64> = (0..n * width).map(|_| generator.normal()).collect();
        let before = times(engine, n, &v);
        let values = Values::<T>::draw(n, width, &mut generator);
        engine.advance(&values.step(), None).unwrap();
        let after = times(engine, n, &v);
        Self { values, v, before, after }
    }

    /// The largest difference of `P'v` from `J(Pv) + Bv`, over the largest value. `omitted` is a
    /// unit to leave out of J, as a negative control.
    fn difference(&self, omitted: Option<usize>) -> f64 {
        let largest = self.after.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        let differences = (0..self.after.len()).map(|k| self.after[k] - self.expected(k, omitted));
        let sized = |d: f64| if d.is_finite() { d.abs() } else { f64::INFINITY };
        let worst = differences.map(sized).fold(0.0, f64::max);
        if largest > 0.0 { worst / largest } else { f64::INFINITY }
    }

    /// Row k of `J(Pv) + Bv`, in loops.
    fn expected(&self, k: usize, omitted: Option<usize>) -> f64 {
        let Values { recurrent, slope, z, forced } = &self.values;
        let (n, slope) = (slope.len(), slope[k].to_f64());
        let unforced = (0..n).filter(|&l| !forced[l] && Some(l) != omitted);
        let recurrent: f64 =
            unforced.map(|l| slope * recurrent[k * n + l].to_f64() * self.before[l]).sum();
        let row = &self.v[k * z.len()..];
        let immediate: f64 = z.iter().zip(row).map(|(z, v)| z.to_f64() * v).sum();
        recurrent + slope * immediate
    }
}

/// The largest difference of any engine.
fn difference<T: Real>(n: usize, width: usize, isa: Isa) -> f64 {
    let difference =
        |mut engine: Box<dyn Engine<T>>| Seen::step(engine.as_mut(), n, width).difference(None);
    engines::<T>(n, width, isa).map(difference).into_iter().fold(0.0, f64::max)
}

/// The error of a sum of n rounded products is about sqrt(n) roundings; ten times that is still far
/// below any missing term.
fn bound<T: Real>(n: usize) -> f64 {
    let rounding = if T::NAME == "f32" { f64::from(f32::EPSILON) } else { f64::EPSILON };
    10.0 * (n as f64).sqrt() * rounding
}

#[test]
fn one_step_of_a_large_network_is_the_linear_map() {
    for isa in tested::sets().into_iter().filter(|isa| isa.name() != "scalar") {
        for (n, width) in [(96, 105), (150, 153)] {
            for (name, found, bound) in [
                ("f32", difference::<f32>(n, width, isa), bound::<f32>(n)),
                ("f64", difference::<f64>(n, width, isa), bound::<f64>(n)),
            ] {
                assert!(found <= bound, "n = {n}, {name} on {isa}: {found:e} above {bound:e}");
            }
        }
    }
    let found = difference::<f64>(64, 70, Isa::scalar());
    assert!(found <= bound::<f64>(64), "scalar: {found:e}");
}

/// Negative control, for each engine: any one unit of 150 left out of the recurrent sum is above
/// the bound. A forced unit has no part in the sum.
#[test]
fn each_missing_unit_is_caught() {
    let (n, width) = (150, 153);
    for mut engine in engines::<f32>(n, width, Isa::best()) {
        let seen = Seen::step(engine.as_mut(), n, width);
        for unit in 0..n {
            let found = seen.difference(Some(unit));
            let forced = seen.values.forced[unit];
            let spec = engine.spec();
            assert_eq!(found <= bound::<f32>(n), forced, "{spec:?}, unit {unit}: {found:e}");
        }
    }
}
