//! Random cases for differential tests.

use proptest::prelude::*;
use rtrl_model::Generator;
use rtrl_model::store::case::{
    ActivationNames, Case, CellName, Layer, LayerState, Leak, PerLayer, RegimeName, Reset,
    TimingName,
};

/// The parameters of a random case; everything else follows from the seed.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "every feature is on or off on its own")]
pub struct Recipe {
    /// n
    pub units: usize,
    /// m
    pub inputs: usize,
    /// Number of steps.
    pub steps: usize,
    /// Seed of weights, inputs, targets and masks.
    pub seed: u64,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether activations differ from unit to unit (else tanh).
    pub mixed: bool,
    /// Probability that a unit leaks.
    pub leaky: f64,
    /// Probability of a target, for each unit and step.
    pub targets: f64,
    /// Teacher forcing.
    pub forcing: bool,
    /// Probability that a connection exists.
    pub density: f64,
    /// Probability that a weight is frozen.
    pub frozen: f64,
    /// Epochwise learning.
    pub epochwise: bool,
    /// The paper's order of updates.
    pub late: bool,
    /// u
    pub every: usize,
    /// Whether there are resets.
    pub resets: bool,
}

/// Recipes over shapes (n 1 to `most_units`, m 0 to 17), masks, forcing patterns and regimes.
pub fn recipes(most_units: usize, steps: usize) -> impl Strategy<Value = Recipe> {
    let shape = (1..=most_units, 0usize..=17, any::<u64>(), any::<bool>(), any::<bool>());
    let leaky = prop_oneof![Just(0.0), Just(0.6), Just(1.0)];
    let teaching = (prop_oneof![Just(0.0), Just(0.3), Just(1.0)], any::<bool>());
    let masks = (prop_oneof![Just(1.0), Just(0.5), Just(0.1)], prop_oneof![Just(0.0), Just(0.4)]);
    let regime = (prop::bool::weighted(0.25), any::<bool>(), 1usize..=4, any::<bool>());
    let parts = (shape, leaky, teaching, masks, regime);
    parts.prop_map(move |(shape, leaky, teaching, masks, regime)| Recipe {
        units: shape.0,
        inputs: shape.1,
        steps,
        seed: shape.2,
        bias: shape.3,
        mixed: shape.4,
        leaky,
        targets: teaching.0,
        forcing: teaching.1,
        density: masks.0,
        frozen: masks.1,
        epochwise: regime.0,
        late: regime.1,
        every: regime.2,
        resets: regime.3,
    })
}

impl Recipe {
    /// The case of [`Recipe::case`] made contracting (no row of recurrent weights sums to more than
    /// 1) and with a small learning rate, so that rounding differences do not grow.
    pub fn contracting_case(&self) -> Case {
        let mut case = self.case();
        case.learning_rate = 0.01;
        let recurrent = case.inputs + usize::from(case.bias);
        for row in &mut case.layers[0].weights {
            let sum: f64 = row[recurrent..].iter().map(|weight| weight.abs()).sum();
            row[recurrent..].iter_mut().for_each(|weight| *weight /= sum.max(1.0));
        }
        case
    }

    /// The case of the recipe, without expected values.
    pub fn case(&self) -> Case {
        let (n, m) = (self.units, self.inputs);
        let c = m + usize::from(self.bias) + n;
        let mut generator = Generator::new(self.seed);
        let mut table = |rows: usize, columns: usize, bound: f64| -> Vec<Vec<f64>> {
            let mut row = || (0..columns).map(|_| generator.between(-bound, bound)).collect();
            (0..rows).map(|_| row()).collect()
        };
        let weights = table(n, c, 1.5 / (c as f64).sqrt());
        let x = table(self.steps, m, 1.0);
        let initial_state = table(1, n, 0.5).remove(0);
        let state = table(1, n, 0.5).remove(0);
        let names = ["logistic", "tanh", "relu", "identity", "softplus"];
        let activation = if self.mixed {
            let name = |_| names[generator.below(names.len())].to_owned();
            ActivationNames::Each((0..n).map(name).collect())
        } else {
            ActivationNames::All("tanh".to_owned())
        };
        let mut target = || {
            let value = generator.between(-0.8, 0.8);
            (generator.uniform() < self.targets).then_some(value)
        };
        let targets = (0..self.steps).map(|_| (0..n).map(|_| target()).collect()).collect();
        let mut mask = |probability: f64| -> Vec<Vec<u8>> {
            let mut flag = || u8::from(generator.uniform() < probability);
            (0..n).map(|_| (0..c).map(|_| flag()).collect()).collect()
        };
        let connections = (self.density < 1.0).then(|| mask(self.density));
        let frozen = (self.frozen > 0.0).then(|| mask(self.frozen));
        let mut leak = || {
            let value = generator.between(0.05, 1.0);
            if generator.uniform() < self.leaky { value } else { 1.0 }
        };
        let leak = (self.leaky > 0.0).then(|| Leak::Each((0..n).map(|_| leak()).collect()));
        let resets = if self.resets && self.steps > 3 {
            let layers = PerLayer::One(LayerState { state, cell: None });
            vec![Reset { before_step: self.steps / 2, layers }]
        } else {
            Vec::new()
        };
        let regime = if self.epochwise { RegimeName::Epochwise } else { RegimeName::RealTime };
        let late = if self.late { TimingName::AfterNextStep } else { TimingName::Immediate };
        let layer = Layer {
            cell: CellName::Simple,
            units: n,
            activation: Some(activation),
            leak,
            weights,
            connections,
            frozen,
            initial_state,
            initial_cell: None,
        };
        Case {
            name: String::new(),
            inputs: m,
            bias: self.bias,
            layers: PerLayer::One(layer),
            regime,
            update_timing: late,
            teacher_forcing: self.forcing,
            learning_rate: 0.05,
            update_every: self.every.max(1),
            resets,
            x,
            targets,
            expect: None,
        }
    }
}
