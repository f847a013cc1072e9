//! Checks a custom engine in plain loops, and the same engine with a mistake.
//!
//!     cargo run -p rtrl-bench --example check_rule

use rtrl_bench::differential::{Options, check, replay};
use rtrl_kernel::{Engine, Error, Layout, Spec, Step};

/// Equations 5 and 6 in plain loops.
#[derive(Debug, Clone)]
struct MyRule {
    layout: Layout,
    learns: Vec<bool>,
    /// p[k][w]: how state k depends on weight w, weights counted row by row.
    p: Vec<Vec<f64>>,
    /// dL/dw of the errors since the last reading.
    gradient: Vec<f64>,
    /// The mistake: the sensitivities of a forced state are passed on.
    is_wrong: bool,
}

impl MyRule {
    fn new(layout: &Layout, learns: &[bool], is_wrong: bool) -> Self {
        let p = vec![vec![0.0; layout.weights()]; layout.states()];
        let gradient = vec![0.0; layout.weights()];
        Self { layout: layout.clone(), learns: learns.to_vec(), p, gradient, is_wrong }
    }

    /// The row, place in the row and number of every weight that learns.
    fn learning(&self) -> Vec<(usize, usize, usize)> {
        let row = |i| (0..self.layout.width(i)).map(move |j| (i, j, self.layout.offset(i) + j));
        let weights = (0..self.layout.rows()).flat_map(row);
        weights.filter(|&(.., w)| self.learns[w]).collect()
    }
}

impl Engine<f64> for MyRule {
    fn advance(&mut self, step: &Step<'_, f64>, error: Option<&[f64]>) -> Result<(), Error> {
        step.check(&self.layout, error)?;
        let (old, states) = (self.p.clone(), 0..self.layout.states());
        for (i, j, w) in self.learning() {
            for k in states.clone() {
                let wrong = |l| step.jacobian.coefficient(k, l);
                let right = |l| step.coefficient(k, l);
                let coefficient = |l| if self.is_wrong { wrong(l) } else { right(l) };
                self.p[k][w] = states.clone().map(|l| coefficient(l) * old[l][w]).sum();
            }
            for d in self.layout.drives_of(i) {
                let k = self.layout.drives()[d].state as usize;
                self.p[k][w] += step.injection[d] * step.z[self.layout.place(i, j)];
            }
            for (k, e) in error.into_iter().flatten().enumerate() {
                self.gradient[w] -= e * self.p[k][w];
            }
        }
        Ok(())
    }

    fn gradient(&mut self, into: &mut [f64], stride: usize) -> Result<(), Error> {
        for (i, j, w) in self.learning() {
            into[i * stride + j] = std::mem::take(&mut self.gradient[w]);
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.p.iter_mut().for_each(|row| row.fill(0.0));
        Ok(())
    }

    fn weights(&self) -> usize {
        self.learns.iter().filter(|&&learns| learns).count()
    }

    fn spec(&self) -> Spec {
        Spec::Custom { name: "my rule".to_owned(), exact: true }
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f64>> {
        Box::new(self.clone())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let make = |is_wrong| {
        move |layout: &Layout, learns: &[bool]| -> Result<Box<dyn Engine<f64>>, Error> {
            Ok(Box::new(MyRule::new(layout, learns, is_wrong)))
        }
    };
    let right = check(Options::default(), make(false)).into_result()?;
    println!("The rule is {right}");

    let wrong = check(Options::default(), make(true));
    println!("With the mistake it is {wrong}");
    let failure = wrong.failure.ok_or("the mistake was not detected")?;
    // Store this text in a file, correct the rule, and run the case again.
    let stored = failure.to_json();
    let replayed = replay(&stored, make(true))?;
    println!("The stored case ({} bytes), replayed, is {replayed}", stored.len());
    println!("Without the mistake it is {}", replay(&stored, make(false))?.into_result()?);
    Ok(())
}
