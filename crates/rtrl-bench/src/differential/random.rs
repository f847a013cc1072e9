//! Random cases that follow from a seed.

use rtrl_kernel::{Drive, Error, Layout};
use rtrl_model::Generator;

use super::case::{Case, EngineCase, Event};
use super::numerals::{Block, Numerals};
use super::options::Options;
use super::shapes;
use crate::generators::{Recipe, contracting, divided};

/// States of the largest layer.
const MOST_STATES: usize = 24;

/// One case in this many is a whole network.
const NETWORK_EVERY: usize = 4;

/// Case `number` of a run. Shapes grow with the number.
pub(super) fn case(options: &Options, number: usize) -> Case {
    let mut generator = Generator::new(options.seed ^ (number as u64) << 32);
    let most = 1 + number * (MOST_STATES - 1) / options.cases.max(2).saturating_sub(1);
    let steps = options.steps.max(1);
    if number % NETWORK_EVERY == NETWORK_EVERY - 1 {
        return Case::Network(Box::new(network(&mut generator, most, steps)));
    }
    let made = engine(&mut generator, most, steps);
    Case::Engine(made.unwrap_or_else(|error| unreachable!("a random layout is possible: {error}")))
}

fn chance(generator: &mut Generator, probability: f64) -> bool {
    generator.uniform() < probability
}

fn choose<V: Copy>(generator: &mut Generator, values: &[V]) -> V {
    values[generator.below(values.len())]
}

fn list(generator: &mut Generator, len: usize, bound: f64) -> Vec<f64> {
    (0..len).map(|_| generator.between(-bound, bound)).collect()
}

/// A layer of at most `most` states, and calls over 1 to `steps` steps.
fn engine(generator: &mut Generator, most: usize, steps: usize) -> Result<EngineCase, Error> {
    let states = 1 + generator.below(most);
    let layout = match generator.below(6) {
        0 => Layout::simple(states, 1 + generator.below(24))?,
        1 => Layout::stacked(states, 1 + generator.below(4), 1 + generator.below(20))?,
        2 => any_layout(generator, states, false)?,
        3 => any_layout(generator, states, true)?,
        _ => shapes::layers(generator, states)?,
    };
    let density = choose(generator, &[1.0, 1.0, 0.6, 0.1]);
    let learns = (0..layout.weights()).map(|_| chance(generator, density)).collect();
    let style = Style::new(generator);
    let steps = 1 + generator.below(steps);
    Ok(EngineCase {
        states: layout.states(),
        rows: (0..layout.rows()).map(|row| layout.z(row)).collect(),
        drives: layout.drives().iter().map(|drive| (drive.row, drive.state)).collect(),
        learns,
        events: events(generator, &layout, &style, steps),
    })
}

/// A layout in which each row sees some part of z, or two parts if it is `divided`, and drives any
/// number of states, some rows none.
fn any_layout(generator: &mut Generator, states: usize, divided: bool) -> Result<Layout, Error> {
    let rows = 1 + generator.below(2 * states);
    let z_len = 1 + generator.below(30);
    let part = |generator: &mut Generator| {
        let start = generator.below(z_len);
        start..start + generator.below(z_len - start + 1)
    };
    let parts = |_| [part(generator), if divided { part(generator) } else { 0..0 }];
    let z = (0..rows).map(parts).collect();
    let all = (0u32..)
        .take(rows)
        .flat_map(|row| (0u32..).take(states).map(move |state| Drive { row, state }));
    let drives = all.filter(|_| chance(generator, 0.15 + 0.7 / states as f64)).collect();
    Layout::divided(states, z, drives)
}

/// The probabilities with which the steps of a case are drawn.
struct Style {
    blocks: usize,
    /// Probability that a recurrent weight is not 0.
    density: f64,
    forced: f64,
    zero_slopes: f64,
    diagonal: f64,
    targets: f64,
    readings: f64,
}

impl Style {
    fn new(generator: &mut Generator) -> Self {
        Self {
            blocks: choose(generator, &[1, 1, 1, 2, 3, 0]),
            density: choose(generator, &[1.0, 1.0, 0.2]),
            forced: choose(generator, &[0.0, 0.3, 0.3, 0.9]),
            zero_slopes: choose(generator, &[0.0, 0.3]),
            diagonal: choose(generator, &[0.0, 0.7, 1.0]),
            targets: choose(generator, &[1.0, 0.6, 0.2]),
            readings: choose(generator, &[1.0, 0.5, 0.1]),
        }
    }
}

fn events(generator: &mut Generator, layout: &Layout, style: &Style, steps: usize) -> Vec<Event> {
    let stride = layout.widest().max(1) + generator.below(6);
    let mut events = Vec::new();
    for _ in 0..steps {
        events.push(Event::Advance(numerals(generator, layout, style)));
        let used = chance(generator, 0.5);
        let now_and_then = [
            (style.readings, Event::Gradient { stride }),
            (0.15, Event::Sensitivities),
            (0.08, Event::Resume { used }),
            (0.04, Event::Copy),
            (0.05, Event::Reset),
        ];
        for (probability, event) in now_and_then {
            if chance(generator, probability) {
                events.push(event);
            }
        }
    }
    events.extend([Event::Gradient { stride }, Event::Sensitivities]);
    events
}

fn numerals(generator: &mut Generator, layout: &Layout, style: &Style) -> Numerals<f64> {
    let n = layout.states();
    let stride = n + generator.below(4);
    let zero: Vec<bool> = (0..n).map(|_| chance(generator, style.zero_slopes)).collect();
    // Neither vanishing nor growing, so that all of the past matters.
    let bound = 2.0 / (n as f64 * style.density * style.blocks.max(1) as f64).sqrt();
    let block = |generator: &mut Generator| {
        let mut weights = list(generator, n * stride, bound);
        weights.iter_mut().filter(|_| !chance(generator, style.density)).for_each(|w| *w = 0.0);
        let scale = zero.iter().map(|&zero| if zero { 0.0 } else { generator.between(0.2, 1.0) });
        Block { weights, scale: scale.collect() }
    };
    let blocks = (0..style.blocks).map(|_| block(generator)).collect();
    let mut injection = list(generator, layout.drives().len(), 1.0);
    for (injection, drive) in injection.iter_mut().zip(layout.drives()) {
        if zero[drive.state as usize] {
            *injection = 0.0;
        }
    }
    let diagonal = chance(generator, style.diagonal).then(|| list(generator, n, 0.9));
    let z = list(generator, layout.z_len(), 1.0);
    let forced = (0..n).map(|_| chance(generator, style.forced)).collect();
    let has_target = chance(generator, style.targets);
    let mut error = list(generator, n, 1.0);
    error.iter_mut().filter(|_| chance(generator, 0.3)).for_each(|e| *e = 0.0);
    Numerals { blocks, stride, diagonal, injection, z, forced, error: has_target.then_some(error) }
}

/// A network that contracts, so that rounding does not grow: of simple units, or of layers of any
/// cells. Some have all layers in heads.
fn network(generator: &mut Generator, most: usize, steps: usize) -> rtrl_model::store::case::Case {
    let recipe = Recipe {
        units: 1 + generator.below(most),
        inputs: generator.below(6),
        steps,
        seed: generator.below(1 << 30) as u64,
        bias: generator.bit(),
        mixed: generator.bit(),
        leaky: choose(generator, &[0.0, 0.6, 1.0]),
        targets: choose(generator, &[0.2, 0.6, 1.0]),
        forcing: generator.bit(),
        density: choose(generator, &[1.0, 0.5]),
        frozen: choose(generator, &[0.0, 0.4]),
        epochwise: chance(generator, 0.3),
        late: generator.bit(),
        every: 1 + generator.below(3),
        resets: generator.bit(),
    };
    let cells = generator.bit().then(|| shapes::cells(generator, most));
    let case = cells.map_or_else(|| recipe.case(), |cells| recipe.chain(&cells));
    let in_heads = chance(generator, 0.7);
    let case = if in_heads { divided(case, |count| generator.below(count)) } else { case };
    contracting(case)
}
