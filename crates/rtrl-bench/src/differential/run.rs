//! Runs an engine through the calls of a case, next to the reference.

use std::collections::{BTreeMap, BTreeSet};

use rtrl_kernel::{Engine, Error, Layout, Real, Snapshot};

use super::case::{EngineCase, Event};
use super::feature::{Feature, Offer};
use super::judge::{Judge, same_bits};
use super::loops::Loops;
use super::numerals::Numerals;
use super::options::Factory;
use super::report::{Finding, Problem};

/// Fills a gradient before it is read, to see what is written.
const UNTOUCHED: f64 = 77.0;

/// What a run of a case has found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) judge: Judge,
    pub(super) exercised: BTreeMap<Feature, usize>,
    pub(super) not_offered: BTreeSet<Offer>,
    /// Number of events that were done without a failure.
    pub(super) done: usize,
}

impl Outcome {
    pub(super) fn count(&mut self, feature: Feature) {
        *self.exercised.entry(feature).or_default() += 1;
    }

    pub(super) fn count_if(&mut self, condition: bool, feature: Feature) {
        if condition {
            self.count(feature);
        }
    }
}

/// An engine in the middle of a case.
struct Run<'a, T: Real> {
    layout: Layout,
    learns: &'a [bool],
    factory: &'a Factory<'a, T>,
    engine: Box<dyn Engine<T>>,
    /// The engine before it was first saved or copied, which makes the same calls.
    uninterrupted: Option<Box<dyn Engine<T>>>,
    loops: Loops<T>,
    /// Row and column of every weight that learns.
    places: Vec<(usize, usize)>,
    last: Option<Numerals<T>>,
    steps: usize,
    /// Steps with an error since the last gradient.
    unread: usize,
}

/// Runs the whole case. `outcome` is filled up to the failure, if there is one.
pub(super) fn run<T: Real>(
    case: &EngineCase,
    factory: &Factory<'_, T>,
    outcome: &mut Outcome,
) -> Result<(), Finding> {
    let invalid = |error: Error| Finding::failed("the case".to_owned(), &error);
    let layout = case.checked().map_err(invalid)?;
    count_layout(&layout, &case.learns, outcome);
    let engine = make(factory, &layout, &case.learns)?;
    super::settle_tolerance(&*engine, &mut outcome.judge);
    let loops = Loops::new(&layout, &case.learns);
    let learns = &case.learns;
    let mut run = Run {
        places: places(&layout, learns),
        layout,
        learns,
        factory,
        engine,
        uninterrupted: None,
        loops,
        last: None,
        steps: 0,
        unread: 0,
    };
    for event in &case.events {
        run.event(event, outcome)?;
        outcome.done += 1;
    }
    Ok(())
}

/// A new engine with the right number of weights.
pub(super) fn make<T: Real>(
    factory: &Factory<'_, T>,
    layout: &Layout,
    learns: &[bool],
) -> Result<Box<dyn Engine<T>>, Finding> {
    let engine = factory(layout, learns)
        .map_err(|error| Finding::failed("making the engine".to_owned(), &error))?;
    let (got, expected) = (engine.weights(), learns.iter().filter(|&&learns| learns).count());
    if got == expected {
        return Ok(engine);
    }
    let place = "number of weights".to_owned();
    Err(Finding::new(Problem::Count, place, got as f64, expected as f64))
}

fn count_layout(layout: &Layout, learns: &[bool], outcome: &mut Outcome) {
    let one_to_one = layout.drives().len() == layout.rows()
        && (0..layout.rows()).all(|row| layout.drives_of(row).len() == 1);
    outcome.count_if(!one_to_one, Feature::ManyDrives);
    let drives = || layout.drives().iter();
    let states = (0..layout.rows()).any(|row| layout.drives_of(row).len() > 1);
    outcome.count_if(states, Feature::SeveralStates);
    let rows_of = |state: u32| drives().filter(|drive| drive.state == state).count();
    let rows = drives().any(|drive| rows_of(drive.state) > 1);
    outcome.count_if(rows, Feature::SeveralRows);
    let unequal = (0..layout.rows()).any(|row| layout.z(row) != layout.z(0));
    outcome.count_if(unequal, Feature::UnequalRows);
    let two_parts = (0..layout.rows()).any(|row| !layout.z(row)[1].is_empty());
    outcome.count_if(two_parts, Feature::TwoParts);
    outcome.count_if(learns.iter().any(|learns| !learns), Feature::Mask);
}

impl<T: Real> Run<'_, T> {
    fn event(&mut self, event: &Event, outcome: &mut Outcome) -> Result<(), Finding> {
        match event {
            Event::Advance(numerals) => self.advance(&numerals.rounded(), outcome),
            Event::Gradient { stride } => self.gradient(*stride, outcome),
            Event::Sensitivities => self.sensitivities(outcome),
            Event::Reset => self.reset(outcome),
            Event::Resume { used } => self.resume(*used, outcome),
            Event::Copy => {
                let copy = self.engine.boxed_clone();
                let original = std::mem::replace(&mut self.engine, copy);
                self.uninterrupted.get_or_insert(original);
                outcome.count(Feature::Copy);
                Ok(())
            }
        }
    }

    /// The place of something that happens now.
    fn at(&self, what: &str) -> String {
        format!("step {}: {what}", self.steps.saturating_sub(1))
    }

    fn failed(&self, what: &str) -> impl Fn(Error) -> Finding + use<T> {
        let place = self.at(what);
        move |error| Finding::failed(place.clone(), &error)
    }

    fn advance(&mut self, numerals: &Numerals<T>, outcome: &mut Outcome) -> Result<(), Finding> {
        self.steps += 1;
        count_step(numerals, outcome);
        let failed = self.failed("advance");
        let (step, error) = (numerals.step(), numerals.error.as_deref());
        self.engine.advance(&step, error).map_err(&failed)?;
        if let Some(engine) = &mut self.uninterrupted {
            engine.advance(&step, error).map_err(failed)?;
        }
        self.loops.advance(numerals);
        self.unread += usize::from(numerals.error.is_some());
        self.last = Some(numerals.clone());
        Ok(())
    }

    fn gradient(&mut self, stride: usize, outcome: &mut Outcome) -> Result<(), Finding> {
        let failed = self.failed("gradient");
        let (layout, learns, places) = (&self.layout, self.learns, &self.places);
        let moment = self.at("gradient");
        let place = |(row, column): (usize, usize)| {
            format!("{moment} of weight row {row}, column {column}")
        };
        let read = |engine: &mut dyn Engine<T>| {
            let mut rows = vec![T::from_f64(UNTOUCHED); layout.rows() * stride];
            engine.gradient(&mut rows, stride).map_err(&failed)?;
            learning(&rows, stride, layout, learns, &place)
        };
        let got = read(&mut *self.engine)?;
        let expected = self.loops.take_gradient(stride);
        let expected: Vec<T> = places.iter().map(|&(row, j)| expected[row * stride + j]).collect();
        let place = |index: usize| place(places[index]);
        outcome.count(match self.unread {
            0 => Feature::EmptyGradient,
            1 => Feature::Gradient,
            _ => Feature::Sum,
        });
        self.unread = 0;
        outcome.judge.compare(&got, &expected, &place)?;
        let Some(engine) = &mut self.uninterrupted else { return Ok(()) };
        same_bits(&got, &read(&mut **engine)?, &place)
    }

    fn sensitivities(&mut self, outcome: &mut Outcome) -> Result<(), Finding> {
        for state in 0..self.layout.states() {
            let what = format!("sensitivities of state {state}");
            let mut row = vec![T::ZERO; self.engine.weights()];
            match self.engine.sensitivities(state, &mut row) {
                Err(Error::Unsupported { .. }) => {
                    outcome.not_offered.insert(Offer::Sensitivities);
                    return Ok(());
                }
                result => result.map_err(self.failed(&what))?,
            }
            let moment = self.at(&what);
            let place = |index: usize| {
                let (row, column) = self.places[index];
                format!("{moment} to weight row {row}, column {column}")
            };
            outcome.judge.compare(&row, &self.loops.row(state), &place)?;
            if let Some(engine) = &self.uninterrupted {
                let mut other = vec![T::ZERO; engine.weights()];
                engine.sensitivities(state, &mut other).map_err(self.failed(&what))?;
                same_bits(&row, &other, &place)?;
            }
        }
        outcome.count(Feature::Sensitivities);
        Ok(())
    }

    fn reset(&mut self, outcome: &mut Outcome) -> Result<(), Finding> {
        let failed = self.failed("reset");
        self.engine.reset().map_err(&failed)?;
        if let Some(engine) = &mut self.uninterrupted {
            engine.reset().map_err(failed)?;
        }
        self.loops.reset();
        outcome.count(if self.unread > 0 { Feature::UnreadReset } else { Feature::Reset });
        Ok(())
    }

    fn resume(&mut self, used: bool, outcome: &mut Outcome) -> Result<(), Finding> {
        let mut loaded = make(self.factory, &self.layout, self.learns)?;
        if let (true, Some(last)) = (used, &self.last) {
            let advanced = loaded.advance(&last.step(), last.error.as_deref());
            advanced.map_err(self.failed("advance of another engine"))?;
        }
        let mut saved = Snapshot::default();
        let result = self.engine.save(&mut saved).and_then(|()| loaded.load(&mut saved));
        if let Err(Error::Unsupported { .. }) = result {
            outcome.not_offered.insert(Offer::Storage);
            return Ok(());
        }
        result.map_err(self.failed("save and load"))?;
        let original = std::mem::replace(&mut self.engine, loaded);
        self.uninterrupted.get_or_insert(original);
        outcome.count(Feature::Resume);
        Ok(())
    }
}

/// Row and column of every weight that learns.
fn places(layout: &Layout, learns: &[bool]) -> Vec<(usize, usize)> {
    let row = |row| (0..layout.width(row)).map(move |column| (row, column));
    let learn = |&(row, column): &(usize, usize)| learns[layout.offset(row) + column];
    (0..layout.rows()).flat_map(row).filter(learn).collect()
}

/// The gradient of the weights that learn, if nothing else was written: padding may have become 0.
fn learning<T: Real>(
    rows: &[T],
    stride: usize,
    layout: &Layout,
    learns: &[bool],
    place: &dyn Fn((usize, usize)) -> String,
) -> Result<Vec<T>, Finding> {
    let mut values = Vec::new();
    for (number, &value) in rows.iter().enumerate() {
        let (row, column) = (number / stride, number % stride);
        let is_weight = column < layout.width(row);
        if is_weight && learns[layout.offset(row) + column] {
            values.push(value);
            continue;
        }
        let cleared = !is_weight && value == T::ZERO;
        if !cleared && value != T::from_f64(UNTOUCHED) {
            let place = place((row, column));
            return Err(Finding::new(Problem::Touched, place, value.to_f64(), UNTOUCHED));
        }
    }
    Ok(values)
}

fn count_step<T: Real>(numerals: &Numerals<T>, outcome: &mut Outcome) {
    outcome.count(Feature::Step);
    outcome.count_if(numerals.error.is_none(), Feature::NoTarget);
    outcome.count_if(numerals.forced.contains(&true), Feature::Forced);
    let first = numerals.blocks.first();
    let zero = first.is_some_and(|block| block.scale.contains(&T::ZERO));
    outcome.count_if(zero, Feature::ZeroSlope);
    outcome.count_if(first.is_none(), Feature::NoBlock);
    outcome.count_if(numerals.blocks.len() > 1, Feature::SeveralBlocks);
    outcome.count_if(numerals.diagonal.is_some(), Feature::Diagonal);
}
