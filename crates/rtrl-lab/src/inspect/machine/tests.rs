use rayon::prelude::*;
use rtrl_model::{Activation, EngineChoice, Generator, InitialWeights, Network};

use super::*;
use crate::inspect::Run;
use crate::paper::{Progress, TABLE};
use crate::tasks::find;

/// Runs a network on a task, after 100 steps that are not watched; returns also the state at the
/// end.
fn record(dynamics: &mut Dynamics, task: &str, steps: usize) -> (Run, Vec<f64>) {
    let mut task = find(task).unwrap().start(99);
    let mut targets = vec![None; task.targets().len()];
    let mut draw = |input: &mut [f64]| task.draw_into(input, &mut targets);
    let mut state = vec![0.5; dynamics.states()];
    Run::record(dynamics, &mut state, 100, &mut draw).unwrap();
    let run = Run::record(dynamics, &mut state, steps, &mut draw).unwrap();
    (run, state)
}

/// The network of a seed that has learnt an experiment of the paper, or nothing if it has not.
fn learnt(task: &str, seed: u64) -> Option<Network<f64>> {
    let experiment = TABLE.iter().find(|experiment| experiment.task.name == task).unwrap();
    let mut run = experiment.start::<f64>(seed, EngineChoice::Auto).unwrap();
    let solved = matches!(run.advance(experiment.limit + 1).unwrap(), Progress::Solved { .. });
    solved.then(|| run.network().clone())
}

/// The machine compared with that of the task whose recorded run it was made from.
fn compared(
    machine: &Machine,
    dynamics: &mut Dynamics,
    trace: &Trace<'_>,
    task: &str,
) -> Comparison {
    let entry = find(task).unwrap();
    let (known, mut stream) = (entry.machine().unwrap(), entry.start(99));
    let mut targets = vec![None; stream.targets().len()];
    let draw = |_| {
        let mut input = vec![0.0; stream.inputs().len()];
        stream.draw_into(&mut input, &mut targets);
        input
    };
    let before: Vec<Vec<f64>> = (0..100).map(draw).collect();
    machine.compare(dynamics, trace, &known, known.follow(&before).unwrap()).unwrap()
}

/// Fails unless transitions lead through the first steps of a trace, with its bits.
fn follows(rows: &[Vec<Option<Transition>>], trace: &Trace<'_>, steps: usize) {
    let mut state = 0;
    for step in 0..steps {
        let transition = rows[state][trace.symbol(step)].as_ref().unwrap();
        assert_eq!(transition.outputs, trace.answer(step), "step {step}");
        state = transition.next;
    }
}

/// The machine of the task has two states: an a has come, or not.
#[test]
fn a_network_that_has_learnt_sequences_is_a_machine() {
    for seed in 1..=5 {
        let mut dynamics = Dynamics::of(&learnt("sequence", seed).unwrap());
        let (run, state) = record(&mut dynamics, "sequence", 20_000);
        let trace = Trace::new(&run, &state, 1).unwrap();
        let machine = Machine::extract(&mut dynamics, &trace, 10_000, 256).unwrap();
        let agreement = machine.agreement(&trace, 10_000).unwrap();
        assert!(machine.explains_all, "{seed}");
        assert_eq!(agreement, Agreement { steps: 10_000, same: 10_000 }, "{seed}");
        assert_eq!(machine.transitions.len(), 2, "{seed}");
        assert_eq!(machine.reduced(&trace, 10_000).unwrap().transitions.len(), 2, "{seed}");
        let comparison = compared(&machine, &mut dynamics, &trace, "sequence");
        assert_eq!(
            (comparison.verdict, comparison.task_states),
            (Verdict::Equivalent, 2),
            "{seed}"
        );
    }
}

/// Twelve units that have taken the place of the controller of a Turing machine, in ten of
/// twelve runs.
#[test]
fn networks_that_have_learnt_the_turing_machine_are_machines() {
    let verdict = |network: Network<f64>| {
        let mut dynamics = Dynamics::of(&network);
        let (run, state) = record(&mut dynamics, "turing-2", 20_000);
        let trace = Trace::new(&run, &state, 4).unwrap();
        let machine = Machine::extract(&mut dynamics, &trace, 10_000, 256).unwrap();
        let agreement = machine.agreement(&trace, 10_000).unwrap();
        assert!(agreement.share() >= 0.999, "{agreement:?}");
        assert!((10..50).contains(&machine.transitions.len()), "{}", machine.transitions.len());
        let reduced = machine.reduced(&trace, 10_000).unwrap().transitions;
        assert!((6..=10).contains(&reduced.len()), "{}", reduced.len());
        follows(&reduced, &trace, 10_000);
        let comparison = compared(&machine, &mut dynamics, &trace, "turing-2");
        assert_eq!(comparison.task_states, 7);
        // Where the machine is wrong, the network is.
        assert!(comparison.difference.is_none_or(|found| found.machine == found.network));
        comparison.verdict
    };
    let networks = (1..=12).into_par_iter().filter_map(|seed| learnt("turing-2", seed));
    let verdicts: Vec<Verdict> = networks.map(verdict).collect();
    assert_eq!(verdicts.len(), 10);
    let same = verdicts.iter().filter(|&&verdict| verdict == Verdict::Equivalent).count();
    assert_eq!(same, 8, "{verdicts:?}");
}

/// With a single box there is no memory: the machine is then wrong about some of the b.
#[test]
fn a_machine_without_memory_is_found_out() {
    let mut dynamics = Dynamics::of(&learnt("sequence", 1).unwrap());
    let (run, state) = record(&mut dynamics, "sequence", 2000);
    let trace = Trace::new(&run, &state, 1).unwrap();
    let machine = Machine::extract(&mut dynamics, &trace, 1000, 1).unwrap();
    let agreement = machine.agreement(&trace, 1000).unwrap();
    assert!(!machine.explains_all && machine.transitions.len() == 1);
    assert!((0.7..0.95).contains(&agreement.share()), "{agreement:?}");
}

/// A shift register of linear units is a machine by construction: bits in, and out three steps
/// later, from eight boxes.
#[test]
fn a_shift_register_is_the_machine_that_it_was_built_as() {
    let row = |from: usize| (0..4).map(|j| f64::from(u8::from(j == from))).collect::<Vec<_>>();
    // Columns: the input, then units; the output is the unit that comes last.
    let weights = InitialWeights::given(vec![row(2), row(3), row(0)]);
    let builder = Network::builder(3, 1).bias(false).activation(Activation::Identity);
    let network = builder.weights(weights).build().unwrap();
    let mut dynamics = Dynamics::of(&network);
    let mut generator = Generator::new(3);
    let mut state = [0.0; 3];
    let draw = |input: &mut [f64]| input[0] = f64::from(u8::from(generator.bit()));
    let run = Run::record(&mut dynamics, &mut state, 2000, draw).unwrap();
    let trace = Trace::new(&run, &state, 1).unwrap();
    let machine = Machine::extract(&mut dynamics, &trace, 1000, 64).unwrap();
    // The last of the three bits is out already when the next one comes: two are remembered.
    assert_eq!((machine.transitions.len(), machine.explains_all), (4, true));
    assert_eq!(machine.agreement(&trace, 1000).unwrap().share(), 1.0);
    assert_eq!(machine.symbols, [[1.0], [0.0]]);
    let leaving: usize = machine.transitions.iter().flatten().map(|step| step.seen).sum();
    assert_eq!(leaving, 1000);
}

#[test]
fn what_is_no_machine_is_refused() {
    let network = Network::<f64>::builder(2, 1).build().unwrap();
    let mut dynamics = Dynamics::of(&network);
    let mut generator = Generator::new(3);
    let mut state = [0.0; 2];
    let draw = |input: &mut [f64]| input[0] = generator.normal();
    let run = Run::record(&mut dynamics, &mut state, 100, draw).unwrap();
    assert!(matches!(Trace::new(&run, &state, 1), Err(crate::Error::Symbols { most: 64 })));
    let run = Run::record(&mut dynamics, &mut state, 9, |input| input[0] = 1.0).unwrap();
    let error = Trace::new(&run, &state, 3).unwrap_err();
    let crate::Error::Model(Error::Length { expected, got, .. }) = error else { panic!("{error}") };
    assert_eq!((expected, got), (2, 3));
    let trace = Trace::new(&run, &state, 2).unwrap();
    for steps in [0, 10] {
        assert!(Machine::extract(&mut dynamics, &trace, steps, 8).is_err());
    }
    let machine = Machine::extract(&mut dynamics, &trace, 5, 8).unwrap();
    assert!(machine.agreement(&trace, 9).is_err());
}
