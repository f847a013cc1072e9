//! Whole networks that learn with the engine, against the paper in loops.

use rtrl_kernel::{Error, Isa, Real};
use rtrl_model::Cell;
use rtrl_model::store::case::{Case, PerLayer, RegimeName, Table, TimingName, Trace};

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
    let gated = case.layers.iter().any(|layer| layer.cell != Cell::Simple);
    outcome.count(Feature::Network);
    outcome.count_if(gated, Feature::Gated);
    outcome.count_if(case.layers.len() > 1, Feature::Layered);
    let mut layers = case.layers.iter();
    outcome.count_if(
        layers.any(|layer| layer.heads_of.is_some_and(|size| size < layer.units)),
        Feature::Heads,
    );
    outcome.count_if(epochwise, Feature::Epochwise);
    outcome.count_if(late && !epochwise, Feature::LateUpdate);
    outcome.count_if(case.teacher_forcing, Feature::TeacherForcing);
}

/// Compares each field of two traces as one reading.
fn compare(got: &Trace, expected: &Trace, outcome: &mut Outcome) -> Result<(), Finding> {
    let mut field = |name: &str, got: &[f64], expected: &[f64], shapes: &[[usize; 2]]| {
        let place = |index: usize| format!("a network's {name}{}", indices(index, shapes));
        outcome.judge.compare(got, expected, &place)
    };
    let shape = |table: &Table| [table.len(), table.first().map_or(0, Vec::len)];
    let layers: Vec<_> = expected.weights.iter().map(shape).collect();
    let [_, units] = shape(&expected.outputs);
    field("gradients", &stacks(&got.gradients), &stacks(&expected.gradients), &layers)?;
    field("outputs", &got.outputs.concat(), &expected.outputs.concat(), &[[1, units]])?;
    field("losses", &got.losses, &expected.losses, &[[1, 1]])?;
    let weights = |trace: &Trace| trace.weights.concat().concat();
    field("weights", &weights(got), &weights(expected), &layers)?;
    field("sensitivities", &stacks(&got.sensitivities), &stacks(&expected.sensitivities), &layers)
}

/// All numbers of lists of tables, one table for each layer.
fn stacks(stacks: &[PerLayer<Table>]) -> Vec<f64> {
    stacks.iter().flat_map(|tables| tables.concat().concat()).collect()
}

/// `[stack][layer][row][column]` of a number of stacks of tables of these shapes; an index of a
/// dimension of 1 is left out, but for that of the stack.
fn indices(index: usize, shapes: &[[usize; 2]]) -> String {
    let sizes = shapes.iter().map(|[rows, columns]| rows * columns);
    let size = sizes.clone().sum::<usize>().max(1);
    let (stack, mut rest) = (index / size, index % size);
    let (mut layer, mut sizes) = (0, sizes);
    while let Some(size) = sizes.next().filter(|&size| rest >= size) {
        rest -= size;
        layer += 1;
    }
    let [rows, columns] = shapes.get(layer).copied().unwrap_or([1, 1]);
    let within = [(layer, shapes.len()), (rest / columns, rows), (rest % columns, columns)];
    let within = within.into_iter().filter(|&(_, len)| len > 1);
    let numbers = std::iter::once(stack).chain(within.map(|(number, _)| number));
    numbers.fold(String::new(), |text, number| format!("{text}[{number}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_stack_layer_row_and_column() {
        assert_eq!(indices(6 + 5, &[[2, 3]]), "[1][1][2]");
        assert_eq!(indices(10 + 6 + 2, &[[2, 3], [4, 1]]), "[1][1][2]");
        assert_eq!(indices(4, &[[1, 1]]), "[4]");
        assert_eq!(indices(7, &[[1, 4]]), "[1][3]");
    }
}
