//! Whole networks that learn with the engine, against the paper in loops.

use rtrl_kernel::{Error, Isa, Real};
use rtrl_model::store::case::{Case, RegimeName, TimingName, Trace};

use super::feature::{Feature, Offer};
use super::options::Factory;
use super::report::Finding;
use super::run::{Outcome, make};
use crate::reference;

/// Runs a learner with the engine through the case.
pub(super) fn run<T: Real>(
    case: &Case,
    factory: &Factory<'_, T>,
    outcome: &mut Outcome,
) -> Result<(), Finding> {
    let failed = |error: rtrl_model::Error| Finding::failed("a network's run".to_owned(), &error);
    let isa = Isa::best();
    let network = case.network::<T>(isa).map_err(failed)?;
    let engine = make(factory, network.layout(), &network.learning())?;
    super::settle_tolerance(&*engine, &mut outcome.judge);
    count(case, outcome);
    let mut row = vec![T::ZERO; engine.weights()];
    let offered = engine.sensitivities(0, &mut row);
    let learner = case.learner(isa).map_err(failed)?.custom_engine(engine);
    let got = case.run(learner).map_err(failed)?;
    let mut expected = reference::run::<T>(case);
    if let Err(Error::Unsupported { .. }) = offered {
        outcome.not_offered.insert(Offer::Sensitivities);
        expected.sensitivities.clear();
    }
    compare(&got, &expected, outcome)
}

fn count(case: &Case, outcome: &mut Outcome) {
    let late = case.update_timing == TimingName::AfterNextStep;
    let epochwise = case.regime == RegimeName::Epochwise;
    outcome.count(Feature::Network);
    outcome.count_if(epochwise, Feature::Epochwise);
    outcome.count_if(late && !epochwise, Feature::LateUpdate);
    outcome.count_if(case.teacher_forcing, Feature::TeacherForcing);
}

/// Compares each field of two traces as one reading.
fn compare(got: &Trace, expected: &Trace, outcome: &mut Outcome) -> Result<(), Finding> {
    let (units, columns) = (expected.weights.len(), expected.weights.first().map_or(0, Vec::len));
    let mut field = |name: &str, got: Vec<f64>, expected: Vec<f64>, dims: [usize; 2]| {
        let place = |index: usize| format!("a network's {name}{}", indices(index, dims));
        outcome.judge.compare(&got, &expected, &place)
    };
    let table = |rows: &[Vec<f64>]| rows.concat();
    let stack = |tables: &[Vec<Vec<f64>>]| tables.concat().concat();
    field("gradients", stack(&got.gradients), stack(&expected.gradients), [units, columns])?;
    field("outputs", table(&got.outputs), table(&expected.outputs), [1, units])?;
    field("losses", got.losses.clone(), expected.losses.clone(), [1, 1])?;
    field("weights", table(&got.weights), table(&expected.weights), [1, columns])?;
    let (got, expected) = (stack(&got.sensitivities), stack(&expected.sensitivities));
    field("sensitivities", got, expected, [units, columns])
}

/// `[a][b][c]` of a number of a stack of tables of `rows` x `columns`; an index of a dimension of 1
/// is left out.
fn indices(index: usize, [rows, columns]: [usize; 2]) -> String {
    let (table, row, column) = (index / (rows * columns), index / columns % rows, index % columns);
    let within = [(row, rows), (column, columns)].into_iter().filter(|&(_, len)| len > 1);
    let numbers = std::iter::once(table).chain(within.map(|(number, _)| number));
    numbers.fold(String::new(), |text, number| format!("{text}[{number}]"))
}
