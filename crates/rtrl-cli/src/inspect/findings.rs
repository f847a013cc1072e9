//! What the instruments find.

use rtrl_lab::inspect::{
    Attractors, Dynamics, Eigenvalue, FixedPoint, Principal, attractors, eigenvalues, fixed_points,
    largest_lyapunov_exponent, principal_components, singular_values, spectral_radius,
};
use rtrl_lab::tasks::Entry;
use rtrl_model::{Activation, Connection, Network};
use serde::Serialize;

use super::watched::{OnTask, Watched, watch};
use crate::args::InspectArgs;
use crate::error::Error;

/// States of a run whose Jacobian is decomposed.
const JACOBIANS: usize = 50;

/// States of a run whose principal components are taken.
const MOST_STATES: usize = 2000;

/// Period of the longest cycle that is looked for.
const LONGEST_CYCLE: usize = 100;

/// Symbols beyond which none is held.
const MOST_HELD: usize = 8;

/// Everything that was found.
#[derive(Serialize)]
pub(crate) struct Findings {
    pub(crate) model: Shape,
    pub(crate) weights: Vec<Block>,
    /// Of the weights between units, the largest first.
    pub(crate) eigenvalues: Vec<Eigenvalue>,
    pub(crate) run: Option<OnRun>,
    /// Why there is no run.
    pub(crate) no_run: Option<String>,
    /// Where the network ends while an input is held.
    pub(crate) held: Vec<Held>,
    pub(crate) task: Option<OnTask>,
    #[serde(skip)]
    pub(crate) watched: Option<Watched>,
    #[serde(skip)]
    pub(crate) principal: Option<Principal>,
}

#[derive(Serialize)]
pub(crate) struct Shape {
    pub(crate) precision: String,
    pub(crate) units: usize,
    pub(crate) inputs: usize,
    pub(crate) bias: bool,
    pub(crate) outputs: usize,
    pub(crate) readout: bool,
    pub(crate) activations: Vec<String>,
    /// The smallest and the largest leak.
    pub(crate) leaks: Option<[f64; 2]>,
    pub(crate) learning_weights: usize,
    pub(crate) frozen_weights: usize,
    pub(crate) absent_weights: usize,
}

/// The size of a block of weights.
#[derive(Serialize)]
pub(crate) struct Block {
    pub(crate) name: &'static str,
    /// The root of the sum of squares.
    pub(crate) frobenius_norm: f64,
    /// The largest singular value.
    pub(crate) spectral_norm: f64,
    /// The largest absolute value.
    pub(crate) largest: f64,
}

/// What a run shows.
#[derive(Serialize)]
pub(crate) struct OnRun {
    pub(crate) steps: usize,
    /// Null where small changes of the state die out within finitely many steps.
    pub(crate) lyapunov_exponent: Option<f64>,
    /// The spectral radius of the Jacobian at states of the run: smallest, mean, largest.
    pub(crate) jacobian_radius: [f64; 3],
    /// Shares in the variance of the states, the largest first.
    pub(crate) variance_shares: Vec<f64>,
}

/// Where the network ends while an input is held.
#[derive(Serialize)]
pub(crate) struct Held {
    pub(crate) input: String,
    pub(crate) starts: usize,
    pub(crate) fixed_points: Vec<Rest>,
    pub(crate) cycles: Vec<Round>,
    pub(crate) aperiodic: usize,
    pub(crate) divergent: usize,
}

#[derive(Serialize)]
pub(crate) struct Rest {
    pub(crate) state: Vec<f64>,
    pub(crate) spectral_radius: f64,
    pub(crate) stable: bool,
    pub(crate) starts: usize,
}

#[derive(Serialize)]
pub(crate) struct Round {
    pub(crate) period: usize,
    pub(crate) starts: usize,
    pub(crate) states: Vec<Vec<f64>>,
}

impl Findings {
    /// Applies all instruments.
    pub(crate) fn gather(
        network: &Network<f64>,
        precision: &str,
        task: Option<&'static Entry>,
        args: &InspectArgs,
    ) -> Result<Self, Error> {
        let steps = args.steps();
        let dynamics = Dynamics::of(network);
        let mut findings = Self {
            model: shape(network, precision),
            weights: blocks(network)?,
            eigenvalues: eigenvalues(&dynamics.recurrent_weights())?,
            run: None,
            no_run: None,
            held: Vec::new(),
            task: None,
            watched: None,
            principal: None,
        };
        let length = if task.is_some() { 2 * steps } else { steps };
        match watch(network, task.map(|task| (task, args.seed)), length) {
            Ok(watched) => findings.look_at(network, watched, task, args)?,
            Err(error @ rtrl_model::Error::NonFinite { .. }) => {
                findings.no_run = Some(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        findings.held = held(network, findings.task.as_ref(), args.seed)?;
        Ok(findings)
    }

    fn look_at(
        &mut self,
        network: &Network<f64>,
        watched: Watched,
        task: Option<&Entry>,
        args: &InspectArgs,
    ) -> Result<(), Error> {
        let steps = args.steps();
        let states = &watched.run.states;
        let principal = principal_components(&states[..states.len().min(MOST_STATES)])?;
        self.run = Some(OnRun {
            steps,
            lyapunov_exponent: exponent(network, &watched, steps, args.seed)?,
            jacobian_radius: radii(network, &watched)?,
            variance_shares: principal.shares(),
        });
        self.task = task.map(|task| watched.on_task(network, task, steps)).transpose()?;
        self.principal = Some(principal);
        self.watched = Some(watched);
        Ok(())
    }

    /// The JSON file.
    pub(crate) fn json(&self) -> Result<Vec<u8>, Error> {
        let failed = |error: serde_json::Error| rtrl_model::Error::Format {
            what: "the findings".to_owned(),
            reason: error.to_string(),
        };
        Ok(serde_json::to_vec_pretty(self).map_err(failed)?)
    }
}

fn shape(network: &Network<f64>, precision: &str) -> Shape {
    let leaks = network.leaks().map(|leaks| {
        let end = |f: fn(f64, f64) -> f64| leaks.iter().copied().reduce(f).unwrap_or(1.0);
        [end(f64::min), end(f64::max)]
    });
    let count = |kind| network.connections().count(kind);
    Shape {
        precision: precision.to_owned(),
        units: network.units(),
        inputs: network.inputs(),
        bias: network.has_bias(),
        outputs: network.outputs(),
        readout: network.readout_weights().is_some(),
        activations: network.activations().iter().map(Activation::saved_name).collect(),
        leaks,
        learning_weights: count(Connection::Learning),
        frozen_weights: count(Connection::Frozen),
        absent_weights: count(Connection::Absent),
    }
}

fn blocks(network: &Network<f64>) -> Result<Vec<Block>, Error> {
    let rows = network.weights().to_rows();
    let columns = |range: std::ops::Range<usize>| -> Vec<Vec<f64>> {
        rows.iter().map(|row| row[range.clone()].to_vec()).collect()
    };
    let (inputs, all) = (network.inputs(), network.weights().columns());
    let first = all - network.units();
    let mut blocks = vec![("units", columns(first..all))];
    if inputs > 0 {
        blocks.push(("inputs", columns(0..inputs)));
    }
    if network.has_bias() {
        blocks.push(("bias", columns(inputs..first)));
    }
    blocks.extend(network.readout_weights().map(|readout| ("readout", readout.to_rows())));
    let measure = |(name, rows): (&'static str, Vec<Vec<f64>>)| {
        let values = singular_values(&rows)?;
        Ok(Block {
            name,
            frobenius_norm: values.iter().map(|value| value * value).sum::<f64>().sqrt(),
            spectral_norm: values.first().copied().unwrap_or_default(),
            largest: rows.iter().flatten().fold(0.0, |most, weight| most.max(weight.abs())),
        })
    };
    blocks.into_iter().map(measure).collect()
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
    let starts = (2048 / network.units()).clamp(8, 64);
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
