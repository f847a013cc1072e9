//! All instruments applied to a network.

use rtrl_model::{Activation, Connection, Layer, Network};
use serde::Serialize;

use super::watched::{Inputs, OnTask, UNWATCHED, Watched, watch};
use super::weights::{Block, blocks, recurrent_eigenvalues};
use super::{
    Attractors, Dynamics, Eigenvalue, FixedPoint, Principal, attractors, fixed_points,
    largest_lyapunov_exponent, principal_components, spectral_radius,
};
use crate::Error;
use crate::tasks::Entry;

/// States of a run whose Jacobian is decomposed.
const JACOBIANS: usize = 50;

/// States of a run whose principal components are taken.
const MOST_STATES: usize = 2000;

/// The longest period of a cycle to search for.
const LONGEST_CYCLE: usize = 100;

/// The smallest number of steps.
const LEAST_STEPS: usize = 10;

/// The largest number of symbols for which each is held constant.
const MOST_HELD: usize = 8;

/// How long to observe a network, and the seed of all random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// Steps to observe, at least 10; on a task, the machine is checked on as many further steps.
    /// If rows are the inputs, no more steps than there are rows after the first 100.
    pub steps: usize,
    /// Seed of the task, the initial states and the tangent.
    pub seed: u64,
}

impl Watching {
    fn checked(self) -> Result<Self, Error> {
        if self.steps >= LEAST_STEPS {
            return Ok(self);
        }
        let (expected, got) = (format!("at least {LEAST_STEPS}"), self.steps.to_string());
        let what = "number of steps to watch";
        Err(Error::Model(rtrl_model::Error::Setting { what, expected, got }))
    }
}

/// The results of all instruments. Serialised, they are the JSON file of `rtrl inspect`.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The network in numbers.
    pub model: Shape,
    /// The sizes of its blocks of weights.
    pub weights: Vec<Block>,
    /// Eigenvalues of the weights between units, the largest first.
    pub eigenvalues: Option<Vec<Eigenvalue>>,
    /// Why there are none.
    pub no_eigenvalues: Option<String>,
    /// What a run shows.
    pub run: Option<OnRun>,
    /// Why there is no run.
    pub no_run: Option<String>,
    /// Where the network ends while an input is held.
    pub held: Vec<Held>,
    /// The results on the task, if there is one.
    pub task: Option<OnTask>,
    /// The run itself.
    #[serde(skip)]
    pub watched: Option<Watched>,
    /// Principal components of the first states of the run.
    #[serde(skip)]
    pub principal: Option<Principal>,
}

/// A network in numbers.
#[derive(Debug, Serialize)]
pub struct Shape {
    /// The precision that the network was saved in.
    pub precision: String,
    /// The layers, from the inputs on upwards.
    pub layers: Vec<LayerShape>,
    /// Number of values in a state: an output for each unit, and a cell for each LSTM unit.
    pub states: usize,
    /// Number of inputs.
    pub inputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Number of outputs.
    pub outputs: usize,
    /// Whether there is a readout.
    pub readout: bool,
    /// Number of weights that learn.
    pub learning_weights: usize,
    /// Number of frozen weights.
    pub frozen_weights: usize,
    /// Number of absent weights.
    pub absent_weights: usize,
}

/// A layer in numbers.
#[derive(Debug, Serialize)]
pub struct LayerShape {
    /// The cell of its units.
    pub cell: &'static str,
    /// Number of units.
    pub units: usize,
    /// Units of a head; `None` where all units see each other.
    pub heads_of: Option<usize>,
    /// The activation of every unit; empty for gated units.
    pub activations: Vec<String>,
    /// The smallest and the largest leak; `None` without leaks.
    pub leaks: Option<[f64; 2]>,
}

/// What a run shows.
#[derive(Debug, Serialize)]
pub struct OnRun {
    /// Number of steps.
    pub steps: usize,
    /// The largest Lyapunov exponent; `None` where small changes of the state die out within
    /// finitely many steps.
    pub lyapunov_exponent: Option<f64>,
    /// The spectral radius of the Jacobian at states of the run: smallest, mean, largest.
    pub jacobian_radius: [f64; 3],
    /// Shares in the variance of the states, the largest first.
    pub variance_shares: Vec<f64>,
}

/// Where the network ends while an input is held.
#[derive(Debug, Serialize)]
pub struct Held {
    /// The name of the input.
    pub input: String,
    /// Number of states that were started from.
    pub starts: usize,
    /// The fixed points that Newton's method found.
    pub fixed_points: Vec<Rest>,
    /// The cycles that runs ended in.
    pub cycles: Vec<Round>,
    /// Runs that ended in no cycle of at most 100 steps.
    pub aperiodic: usize,
    /// Runs that overflowed.
    pub divergent: usize,
}

/// A fixed point.
#[derive(Debug, Serialize)]
pub struct Rest {
    /// The state.
    pub state: Vec<f64>,
    /// The spectral radius of the Jacobian there.
    pub spectral_radius: f64,
    /// Whether that is below 1.
    pub stable: bool,
    /// Number of starts that lead to it.
    pub starts: usize,
}

/// A cycle.
#[derive(Debug, Serialize)]
pub struct Round {
    /// Number of its states.
    pub period: usize,
    /// Number of starts that lead to it.
    pub starts: usize,
    /// The states.
    pub states: Vec<Vec<f64>>,
}

impl Findings {
    /// Applies all instruments to a network, which runs from its state. `precision` is the one that
    /// the network was saved in.
    ///
    /// A network whose run overflows is no error, nor is one of gated units, whose weights have no
    /// eigenvalues: [`Findings::no_run`] and [`Findings::no_eigenvalues`] say why.
    ///
    /// # Errors
    /// [`Error::TaskShape`] if the task does not fit the network, [`Error::Decomposition`] if a
    /// matrix cannot be decomposed, [`Error::Model`] if there are too few steps or rows, or if a
    /// row does not fit the network.
    pub fn gather(
        network: &Network<f64>,
        precision: &str,
        inputs: Inputs<'_>,
        watching: Watching,
    ) -> Result<Self, Error> {
        let task = inputs.task();
        task.map_or(Ok(()), |task| check_shape(task, network))?;
        let mut watching = watching.checked()?;
        if let Inputs::Rows(rows) = inputs {
            watching.steps = watching.steps.min(watchable(rows, network)?);
        }
        let Watching { steps, seed } = watching;
        let (eigenvalues, no_eigenvalues) = match recurrent_eigenvalues(network) {
            Ok(values) => (Some(values), None),
            Err(error @ Error::GatedEigenvalues { .. }) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let mut findings = Self {
            model: shape(network, precision),
            weights: blocks(network)?,
            eigenvalues,
            no_eigenvalues,
            run: None,
            no_run: None,
            held: Vec::new(),
            task: None,
            watched: None,
            principal: None,
        };
        let length = if task.is_some() { 2 * steps } else { steps };
        match watch(network, inputs, seed, length) {
            Ok(watched) => findings.look_at(network, watched, task, watching)?,
            Err(error @ rtrl_model::Error::NonFinite { .. }) => {
                findings.no_run = Some(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        findings.held = held(network, findings.task.as_ref(), seed)?;
        Ok(findings)
    }

    fn look_at(
        &mut self,
        network: &Network<f64>,
        watched: Watched,
        task: Option<&Entry>,
        Watching { steps, seed }: Watching,
    ) -> Result<(), Error> {
        let states = &watched.run.states;
        let principal = principal_components(&states[..states.len().min(MOST_STATES)])?;
        self.run = Some(OnRun {
            steps,
            lyapunov_exponent: exponent(network, &watched, steps, seed)?,
            jacobian_radius: radii(network, &watched)?,
            variance_shares: principal.shares(),
        });
        self.task = task.map(|task| watched.on_task(network, task, steps)).transpose()?;
        self.principal = Some(principal);
        self.watched = Some(watched);
        Ok(())
    }
}

/// Fails unless the network takes the inputs of a task and has an output for each of its targets.
fn check_shape(task: &Entry, network: &Network<f64>) -> Result<(), Error> {
    let stream = task.start(0);
    let expected = (stream.inputs().len(), stream.targets().len());
    let got = (network.inputs(), network.outputs());
    if expected.0 == got.0 && expected.1 <= got.1 {
        return Ok(());
    }
    Err(Error::TaskShape { task: task.name, expected, got })
}

/// The number of steps that can be observed on these rows.
fn watchable(rows: &[Vec<f64>], network: &Network<f64>) -> Result<usize, Error> {
    let expected = network.inputs();
    if let Some(got) = rows.iter().map(Vec::len).find(|&got| got != expected) {
        return Err(rtrl_model::Error::InputLength { expected, got }.into());
    }
    let least = UNWATCHED + LEAST_STEPS;
    if rows.len() < least {
        let (expected, got) = (format!("at least {least}"), rows.len().to_string());
        return Err(rtrl_model::Error::Setting { what: "number of rows", expected, got }.into());
    }
    Ok(rows.len() - UNWATCHED)
}

fn shape(network: &Network<f64>, precision: &str) -> Shape {
    let count = |kind| network.connections().count(kind);
    let (learning, frozen) = (count(Connection::Learning), count(Connection::Frozen));
    // The rows of W may be longer than those of a layer.
    let all: usize = network.layers().iter().map(|layer| layer.rows().len() * layer.width()).sum();
    Shape {
        precision: precision.to_owned(),
        layers: network.layers().iter().map(layer_shape).collect(),
        states: network.layout().states(),
        inputs: network.inputs(),
        bias: network.has_bias(),
        outputs: network.outputs(),
        readout: network.readout_weights().is_some(),
        learning_weights: learning,
        frozen_weights: frozen,
        absent_weights: all - learning - frozen,
    }
}

fn layer_shape(layer: &Layer<f64>) -> LayerShape {
    let leaks = layer.leaks().map(|leaks| {
        let end = |f: fn(f64, f64) -> f64| leaks.iter().copied().reduce(f).unwrap_or(1.0);
        [end(f64::min), end(f64::max)]
    });
    LayerShape {
        cell: layer.cell().name(),
        units: layer.units(),
        heads_of: (layer.heads() > 1).then(|| layer.units() / layer.heads()),
        activations: layer.activations().iter().map(Activation::saved_name).collect(),
        leaks,
    }
}

/// The Lyapunov exponent over the steps, a tenth of which only turn the tangent.
fn exponent(
    network: &Network<f64>,
    watched: &Watched,
    steps: usize,
    seed: u64,
) -> Result<Option<f64>, Error> {
    let (state, inputs) = (&watched.run.states[0], &watched.run.inputs[..steps]);
    let mut dynamics = Dynamics::of(network);
    let found = largest_lyapunov_exponent(&mut dynamics, state, inputs, steps / 10, seed)?;
    Ok(Some(found).filter(|exponent| exponent.is_finite()))
}

/// The spectral radius of the Jacobian at states spread over the run: smallest, mean, largest.
fn radii(network: &Network<f64>, watched: &Watched) -> Result<[f64; 3], Error> {
    let mut dynamics = Dynamics::of(network);
    let run = &watched.run;
    let stride = run.states.len().div_ceil(JACOBIANS);
    let mut radii = Vec::new();
    for (state, input) in run.states.iter().zip(&run.inputs).step_by(stride) {
        radii.push(spectral_radius(&dynamics.jacobian(state, input)?)?);
    }
    let end = |f: fn(f64, f64) -> f64| radii.iter().copied().reduce(f).unwrap_or_default();
    let mean = radii.iter().sum::<f64>() / radii.len() as f64;
    Ok([end(f64::min), mean, end(f64::max)])
}

/// Every symbol of the machine if they are few, else the input 0.
fn held(network: &Network<f64>, task: Option<&OnTask>, seed: u64) -> Result<Vec<Held>, Error> {
    let machine = task.and_then(|task| task.machine.as_ref());
    let zeros = vec![0.0; network.inputs()];
    let inputs: Vec<(String, Vec<f64>)> = match machine {
        Some(machine) if !zeros.is_empty() && machine.held.len() <= MOST_HELD => {
            machine.symbols.iter().cloned().zip(machine.held.iter().cloned()).collect()
        }
        _ => vec![(if zeros.is_empty() { "none" } else { "0" }.to_owned(), zeros)],
    };
    inputs.into_iter().map(|(name, input)| hold(network, name, &input, seed)).collect()
}

fn hold(network: &Network<f64>, name: String, input: &[f64], seed: u64) -> Result<Held, Error> {
    let mut dynamics = Dynamics::of(network);
    // Fewer starts where each takes long.
    let starts = (2048 / dynamics.states()).clamp(8, 64);
    let rest = |point: FixedPoint| Rest {
        spectral_radius: point.spectral_radius(),
        stable: point.is_stable(),
        starts: point.starts,
        state: point.state,
    };
    let points = fixed_points(&mut dynamics, input, starts, seed)?;
    let found = attractors(&mut dynamics, input, starts, LONGEST_CYCLE, seed)?;
    let Attractors { cycles, aperiodic, divergent } = found;
    let rounds = cycles.into_iter().map(|cycle| Round {
        period: cycle.period(),
        starts: cycle.starts,
        states: cycle.states,
    });
    Ok(Held {
        input: name,
        starts,
        fixed_points: points.into_iter().map(rest).collect(),
        cycles: rounds.collect(),
        aperiodic,
        divergent,
    })
}

#[cfg(test)]
mod tests {
    use rtrl_model::{Cell, EngineChoice, InitialWeights};

    use approx::assert_abs_diff_eq;

    use super::*;
    use crate::inspect::Verdict;
    use crate::paper::TABLE;
    use crate::tasks::find;

    const WATCHING: Watching = Watching { steps: 200, seed: 1 };

    fn gather(network: &Network<f64>, task: Option<&str>) -> Result<Findings, Error> {
        let inputs = task.map_or(Inputs::Zeros, |name| Inputs::Task(find(name).unwrap()));
        Findings::gather(network, "f64", inputs, WATCHING)
    }

    /// One unit that sees itself.
    fn unit(activation: Activation, weight: f64, state: f64) -> Network<f64> {
        Network::builder(1, 0)
            .bias(false)
            .activation(activation)
            .weights(InitialWeights::given(vec![vec![weight]]))
            .initial_state(vec![state])
            .build()
            .unwrap()
    }

    /// `y = tanh(2 y)` at 0 and at 0.9575, where the slope is `2 (1 - y^2)`.
    #[test]
    fn a_unit_with_two_memories_is_found_out() {
        let findings = gather(&unit(Activation::Tanh, 2.0, 0.1), None).unwrap();
        let sizes = &findings.weights[0];
        let sizes = [sizes.frobenius_norm, sizes.spectral_norm, sizes.largest];
        assert_abs_diff_eq!(sizes[..], [2.0; 3], epsilon = 1e-14);
        let eigenvalue = findings.eigenvalues.unwrap()[0].real;
        assert_eq!((findings.weights.len(), eigenvalue), (1, 2.0));
        let rest = &findings.held[0].fixed_points;
        let states: Vec<f64> = rest.iter().map(|point| point.state[0]).collect();
        let expected = [-0.957_504_024_08, 0.0, 0.957_504_024_08];
        assert_abs_diff_eq!(states[..], expected, epsilon = 1e-9);
        let stable: Vec<bool> = rest.iter().map(|point| point.stable).collect();
        assert_eq!(stable, [true, false, true]);
        let run = findings.run.unwrap();
        let slope: f64 = 2.0 * (1.0 - expected[0] * expected[0]);
        assert_abs_diff_eq!(run.jacobian_radius[1], slope, epsilon = 1e-9);
        assert_abs_diff_eq!(run.lyapunov_exponent.unwrap(), slope.ln(), epsilon = 1e-9);
        assert!(findings.task.is_none() && findings.no_run.is_none());
    }

    /// 1 is doubled 1024 times, 100 of them before the run.
    #[test]
    fn a_run_that_overflows_is_a_finding() {
        let gather = |state| {
            let watching = Watching { steps: 2000, seed: 1 };
            Findings::gather(
                &unit(Activation::Identity, 2.0, state),
                "f64",
                Inputs::Zeros,
                watching,
            )
        };
        let overflows = gather(1.0).unwrap();
        let reason = overflows.no_run.unwrap();
        assert!(
            overflows.run.is_none() && reason.contains("step 923") && reason.contains("got inf"),
            "{reason}"
        );
        let rests = gather(0.0).unwrap();
        assert!(rests.run.is_some() && rests.no_run.is_none());
    }

    /// A network that has learnt sequences, and, as a negative control, one whose units never
    /// change.
    #[test]
    fn a_machine_is_told_from_another() {
        let experiment = TABLE.iter().find(|one| one.task.name == "sequence").unwrap();
        let mut run = experiment.start::<f64>(1, EngineChoice::Auto).unwrap();
        run.advance(u64::MAX).unwrap();
        let learnt = gather(run.network(), Some("sequence")).unwrap().task.unwrap();
        let right = learnt.right.unwrap();
        assert_eq!(right.same, right.steps);
        let machine = learnt.machine.unwrap();
        assert_eq!(machine.symbols, ["a", "b", "c", "d"]);
        assert_eq!(machine.comparison.as_ref().unwrap().verdict, Verdict::Equivalent);
        let words = machine.in_words(&["target"]).join(". ");
        assert!(
            words.starts_with("states that the observed steps need: 2")
                && words.contains("equivalent"),
            "{words}"
        );

        let weights = InitialWeights::given(vec![vec![0.0; 5]]);
        let idle = Network::builder(1, 4).bias(false).weights(weights).build().unwrap();
        let idle = gather(&idle, Some("sequence")).unwrap().task.unwrap();
        let right = idle.right.unwrap();
        assert!(right.same < right.steps);
        let machine = idle.machine.unwrap();
        assert_eq!(machine.comparison.as_ref().unwrap().verdict, Verdict::Differs);
        let words = machine.in_words(&["target"]).join(". ");
        assert!(words.contains("a b  the task expects 1, the machine gives 0"), "{words}");
    }

    /// A unit whose gates are constant, because only biases lead to them: `y' = u y + (1 - u) v`
    /// has the eigenvalue u and rests at v.
    #[test]
    fn gated_units_are_looked_at_through_their_jacobian() {
        let logit = |p: f64| libm::log(p / (1.0 - p));
        let rows = [0.0, logit(0.75), 0.5, 0.0].map(|bias| vec![bias, 0.0]).to_vec();
        let gru = Network::builder(1, 0).cell(Cell::Gru).weights(InitialWeights::given(rows));
        let findings = gather(&gru.initial_state(vec![0.9]).build().unwrap(), None).unwrap();
        let reason = findings.no_eigenvalues.unwrap();
        assert!(findings.eigenvalues.is_none() && reason.contains("got gru units"), "{reason}");
        let run = findings.run.unwrap();
        assert_abs_diff_eq!(run.jacobian_radius[..], [0.75; 3], epsilon = 1e-12);
        assert_abs_diff_eq!(run.lyapunov_exponent.unwrap(), libm::log(0.75), epsilon = 1e-12);
        let [rest] = &findings.held[0].fixed_points[..] else { panic!("one fixed point") };
        assert_abs_diff_eq!(rest.state[0], libm::tanh(0.5), epsilon = 1e-9);
        assert!(rest.stable && findings.held[0].cycles[0].period == 1);
    }

    /// A layer of LSTM units below a simple one: states are two outputs, the simple unit's, and two
    /// cells. The forget gates keep 0.6 of each cell, and nothing else leads back.
    #[test]
    fn cells_and_layers_are_part_of_the_state() {
        let logit = libm::log(0.6 / 0.4);
        let biases = [0.0, 0.0, logit, logit, 0.3, -0.2, 1.0, 1.0];
        let rows = biases.map(|bias| vec![bias, 0.0, 0.0]).to_vec();
        let network = Network::builder(2, 0)
            .cell(Cell::Lstm)
            .weights(InitialWeights::given(rows))
            .layer(1)
            .weights(InitialWeights::given(vec![vec![0.4, -0.3, 0.1, 0.2]]))
            .build()
            .unwrap();
        let findings = gather(&network, None).unwrap();
        let layers = findings.model.layers.iter().map(|layer| (layer.cell, layer.units));
        assert_eq!(layers.collect::<Vec<_>>(), [("lstm", 2), ("simple", 1)]);
        assert_eq!((findings.model.states, findings.weights.len()), (5, 4 * 2 + 3));
        // The rows of the first layer are shorter than those of the second.
        assert_eq!(
            (findings.model.learning_weights, findings.model.absent_weights),
            (8 * 3 + 4, 0)
        );
        let run = findings.run.unwrap();
        assert_abs_diff_eq!(run.jacobian_radius[..], [0.6; 3], epsilon = 1e-9);
        let [rest] = &findings.held[0].fixed_points[..] else { panic!("one fixed point") };
        // c = 0.6 c + 0.5 tanh(bias), after the outputs.
        let cells = [0.3, -0.2].map(|bias| 1.25 * libm::tanh(bias));
        assert_abs_diff_eq!(rest.state[3..], cells, epsilon = 1e-9);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let network = unit(Activation::Tanh, 2.0, 0.1);
        let error = gather(&network, Some("sequence")).unwrap_err();
        let expected = (4, 1);
        assert!(
            matches!(error, Error::TaskShape { expected: of, got: (0, 1), .. } if of == expected)
        );
        let few = Watching { steps: 9, seed: 1 };
        let error = Findings::gather(&network, "f64", Inputs::Zeros, few).unwrap_err().to_string();
        assert!(error.contains("at least 10") && error.contains('9'), "{error}");
    }

    /// `y' = y / 2 + x`, from 0.
    #[test]
    fn a_network_runs_on_given_rows() {
        let weights = InitialWeights::given(vec![vec![1.0, 0.5]]);
        let unit = Network::builder(1, 1).bias(false).activation(Activation::Identity);
        let network = unit.weights(weights).build().unwrap();
        let rows: Vec<Vec<f64>> = (0..150).map(|t| vec![libm::sin(f64::from(t))]).collect();
        let on = |rows: &[Vec<f64>], steps| {
            Findings::gather(&network, "f64", Inputs::Rows(rows), Watching { steps, seed: 1 })
        };
        let findings = on(&rows, 200).unwrap();
        let run = findings.run.unwrap();
        assert_eq!(run.steps, 50);
        assert_abs_diff_eq!(run.lyapunov_exponent.unwrap(), libm::log(0.5), epsilon = 1e-12);
        let watched = findings.watched.unwrap().run;
        let mut y = 0.0;
        for (t, row) in rows.iter().enumerate() {
            if t >= 100 {
                assert_eq!((&watched.inputs[t - 100], &watched.states[t - 100]), (row, &vec![y]));
            }
            y = row[0] + 0.5 * y;
        }
        assert_eq!(on(&rows, 20).unwrap().run.unwrap().steps, 20);
        let words = on(&rows[..109], 200).unwrap_err().to_string();
        assert!(words.contains("number of rows") && words.contains("at least 110"), "{words}");
        let error = on(&vec![vec![0.0; 2]; 150], 200).unwrap_err();
        let expected = rtrl_model::Error::InputLength { expected: 1, got: 2 };
        assert_eq!(error.to_string(), expected.to_string());
    }
}
