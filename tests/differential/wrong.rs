//! Engines with a mistake, to test that a check detects it.

use std::sync::{Arc, Mutex};

use rtrl_kernel::{Engine, Error, Layout, Real, Sink, Source, Spec, Step};

/// What is wrong with a [`Plain`] engine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wrong {
    Nothing,
    /// Its spec is not exact, and it is not: forced units count.
    Vague,
    ForcedColumn,
    ImmediateInfluence,
    SecondDrive,
    /// Only the first row that drives a state has immediate influence on it, not the other gates.
    OtherGates,
    /// Every row sees one part of z, as long as its own two.
    OnePart,
    Sign,
    ReadTwice,
    NoReset,
    ResetDropsErrors,
    NoTargetRepeatsError,
    LoadAdds,
    SavesRounded,
    SharedCopy,
    TouchesFrozenWeights,
    NotFinite,
    Count,
    Panics,
}

/// p[k][w], and the gradient of each weight.
type Memory<T> = (Vec<Vec<T>>, Vec<T>);

/// Equations 5 and 6 in plain loops, once more, with something wrong.
#[derive(Debug, Clone)]
pub(crate) struct Plain<T> {
    layout: Layout,
    learns: Vec<bool>,
    wrong: Wrong,
    /// p[k][w], and the gradient of each weight; shared by copies where that is what is wrong.
    memory: Arc<Mutex<Memory<T>>>,
    last: Vec<T>,
    steps: usize,
}

impl<T: Real> Plain<T> {
    pub(crate) fn new(layout: &Layout, learns: &[bool], wrong: Wrong) -> Self {
        let p = vec![vec![T::ZERO; learns.len()]; layout.states()];
        let memory = Arc::new(Mutex::new((p, vec![T::ZERO; learns.len()])));
        let (layout, learns) = (layout.clone(), learns.to_vec());
        Self { layout, learns, wrong, memory, last: Vec::new(), steps: 0 }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Immediate influence of weight j of a row on state k.
    fn immediate(&self, step: &Step<'_, T>, row: usize, j: usize, k: usize) -> T {
        let drives = self.layout.drives_of(row);
        let shown = if self.is(Wrong::SecondDrive) { 1 } else { drives.len() };
        let drive = drives.take(shown).find(|&d| self.layout.drives()[d].state as usize == k);
        let drive = drive.filter(|_| !self.is(Wrong::ImmediateInfluence));
        let is_other = |d: &usize| self.layout.drives()[..*d].iter().any(|d| d.state as usize == k);
        let drive = drive.filter(|d| !(self.is(Wrong::OtherGates) && is_other(d)));
        let place = match self.wrong {
            Wrong::OnePart => (self.layout.z(row)[0].start + j).min(step.z.len() - 1),
            _ => self.layout.place(row, j),
        };
        drive.map_or(T::ZERO, |d| step.injection[d] * step.z[place])
    }
}

/// The number, row and place in the row of every weight.
fn weights(layout: &Layout) -> Vec<(usize, usize, usize)> {
    let row = |row| (0..layout.width(row)).map(move |j| (layout.offset(row) + j, row, j));
    (0..layout.rows()).flat_map(row).collect()
}

impl<T: Real> Engine<T> for Plain<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        self.steps += 1;
        assert!(!(self.is(Wrong::Panics) && self.steps > 2), "step {}", self.steps);
        let (p, gradient) = &mut *self.memory.lock().unwrap();
        let (n, old) = (self.layout.states(), p.clone());
        let coefficient = |k, l| match self.wrong {
            Wrong::ForcedColumn | Wrong::Vague => step.jacobian.coefficient(k, l),
            _ => step.coefficient(k, l),
        };
        for (w, row, j) in weights(&self.layout) {
            for k in (0..n).filter(|_| self.learns[w]) {
                let past = (0..n).fold(T::ZERO, |sum, l| sum + coefficient(k, l) * old[l][w]);
                p[k][w] = past + self.immediate(step, row, j, k);
            }
        }
        if let Some(error) = error {
            self.last = error.to_vec();
        }
        let repeats = self.is(Wrong::NoTargetRepeatsError);
        if error.is_none() && !repeats || self.last.is_empty() {
            return Ok(());
        }
        for w in 0..gradient.len() {
            gradient[w] -= (0..n).fold(T::ZERO, |sum, k| sum + self.last[k] * p[k][w]);
        }
        Ok(())
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        let (_, gradient) = &mut *self.memory.lock().unwrap();
        for (w, row, j) in weights(&self.layout) {
            if self.learns[w] || self.is(Wrong::TouchesFrozenWeights) {
                let sign = if self.is(Wrong::Sign) { -T::ONE } else { T::ONE };
                into[row * stride + j] = sign * gradient[w];
            }
        }
        if self.is(Wrong::NotFinite) && self.steps > 4 {
            into.fill(T::from_f64(f64::NAN));
        }
        if !self.is(Wrong::ReadTwice) {
            gradient.fill(T::ZERO);
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Error> {
        let (p, gradient) = &mut *self.memory.lock().unwrap();
        if !self.is(Wrong::NoReset) {
            p.iter_mut().flatten().for_each(|p| *p = T::ZERO);
        }
        if self.is(Wrong::ResetDropsErrors) {
            gradient.fill(T::ZERO);
        }
        Ok(())
    }

    fn weights(&self) -> usize {
        let missing = usize::from(self.is(Wrong::Count));
        self.learns.iter().filter(|&&learns| learns).count().saturating_sub(missing)
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        let (p, gradient) = &*self.memory.lock().unwrap();
        let rounds = self.is(Wrong::SavesRounded);
        let stored = |p: T| if rounds { T::from_f64((p.to_f64() * 1e6).round() / 1e6) } else { p };
        to.tensor("p", [p.len(), gradient.len()], &mut |k, row| {
            row.iter_mut().zip(&p[k]).for_each(|(to, &p)| *to = stored(p));
        })?;
        to.tensor("gradient", [1, gradient.len()], &mut |_, row| row.copy_from_slice(gradient))
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        let (p, gradient) = &mut *self.memory.lock().unwrap();
        let adds = self.is(Wrong::LoadAdds);
        from.read("p", [p.len(), gradient.len()], &mut |k, row| p[k].copy_from_slice(row))?;
        from.read("gradient", [1, gradient.len()], &mut |_, row| {
            let sum = gradient.iter().zip(row).map(|(&sum, &g)| if adds { sum + g } else { g });
            *gradient = sum.collect();
        })
    }

    fn spec(&self) -> Spec {
        Spec::Custom { name: "plain".to_owned(), exact: !self.is(Wrong::Vague) }
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        let mut copy = self.clone();
        if !self.is(Wrong::SharedCopy) {
            copy.memory = Arc::new(Mutex::new(self.memory.lock().unwrap().clone()));
        }
        Box::new(copy)
    }
}

/// A source in which the window is empty.
struct Hiding<'a, T>(&'a mut dyn Source<T>);

impl<T: Real> Source<T> for Hiding<'_, T> {
    fn shape(&self, name: &str) -> Option<[usize; 2]> {
        let [rows, columns] = self.0.shape(name)?;
        Some([if name.starts_with("window") { 0 } else { rows }, columns])
    }

    fn rows(&mut self, name: &str, take: &mut dyn FnMut(usize, &[T])) -> Result<(), Error> {
        if name.starts_with("window") { Ok(()) } else { self.0.rows(name, take) }
    }
}

/// An engine around another one that forgets the window when it is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Forgetful<T: Real>(pub(crate) Box<dyn Engine<T>>);

impl<T: Real> Engine<T> for Forgetful<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), Error> {
        self.0.advance(step, error)
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), Error> {
        self.0.gradient(into, stride)
    }

    fn reset(&mut self) -> Result<(), Error> {
        self.0.reset()
    }

    fn weights(&self) -> usize {
        self.0.weights()
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), Error> {
        self.0.save(to)
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), Error> {
        self.0.load(&mut Hiding(from))
    }

    fn spec(&self) -> Spec {
        self.0.spec()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(self.clone())
    }
}
