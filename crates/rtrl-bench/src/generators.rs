//! Random cases for differential tests.

use proptest::prelude::*;
use rtrl_model::store::case::{
    ActivationNames, Case, Layer, LayerState, Leak, PerLayer, RegimeName, Reset, Table, TimingName,
};
use rtrl_model::{Cell, Generator};

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

/// Six tanh units with three inputs and a bias, fully connected, over 20 steps of the real-time
/// regime; a target for every other unit and step.
impl Default for Recipe {
    fn default() -> Self {
        Self {
            units: 6,
            inputs: 3,
            steps: 20,
            seed: 5,
            bias: true,
            mixed: false,
            leaky: 0.0,
            targets: 0.5,
            forcing: false,
            density: 1.0,
            frozen: 0.0,
            epochwise: false,
            late: false,
            every: 1,
            resets: false,
        }
    }
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
    /// The case of [`Recipe::case`] made [`contracting`].
    pub fn contracting_case(&self) -> Case {
        contracting(self.case())
    }

    /// The case of the recipe, without expected values, in the short form.
    pub fn case(&self) -> Case {
        let mut case = self.chain(&[(Cell::Simple, self.units)]);
        case.layers = PerLayer::One(case.layers[0].clone());
        for Reset { layers, .. } in &mut case.resets {
            *layers = PerLayer::One(layers[0].clone());
        }
        case
    }

    /// A case of these layers, each with a cell and a number of units; the units of the recipe have
    /// no part in it. There is teacher forcing only in a single layer.
    pub fn chain(&self, layers: &[(Cell, usize)]) -> Case {
        let mut draw = Draw { recipe: self, generator: Generator::new(self.seed) };
        let mut inputs = self.inputs;
        let layer = |&(cell, units): &(Cell, usize)| {
            let below = std::mem::replace(&mut inputs, units);
            draw.layer(cell, units, below)
        };
        let drawn: Vec<Layer> = layers.iter().map(layer).collect();
        let units = drawn.iter().map(|layer| layer.units).sum();
        let resets = if self.resets && self.steps > 3 {
            let layers = PerLayer::Each(drawn.iter().map(|layer| draw.state(layer)).collect());
            vec![Reset { before_step: self.steps / 2, layers }]
        } else {
            Vec::new()
        };
        Case {
            name: String::new(),
            inputs: self.inputs,
            bias: self.bias,
            layers: PerLayer::Each(drawn),
            regime: if self.epochwise { RegimeName::Epochwise } else { RegimeName::RealTime },
            update_timing: if self.late {
                TimingName::AfterNextStep
            } else {
                TimingName::Immediate
            },
            teacher_forcing: self.forcing && layers.len() == 1,
            learning_rate: 0.05,
            update_every: self.every.max(1),
            resets,
            x: draw.table(self.steps, self.inputs, 1.0),
            targets: (0..self.steps).map(|_| draw.targets(units)).collect(),
            expect: None,
        }
    }
}

/// The case made contracting (no row of recurrent weights sums to more than 1) and with a small
/// learning rate, so that rounding differences do not grow.
pub fn contracting(mut case: Case) -> Case {
    case.learning_rate = 0.01;
    for layer in case.layers.iter_mut() {
        for row in &mut layer.weights {
            let recurrent = row.len() - layer.units;
            let sum: f64 = row[recurrent..].iter().map(|weight| weight.abs()).sum();
            row[recurrent..].iter_mut().for_each(|weight| *weight /= sum.max(1.0));
        }
    }
    case
}

/// The random numbers of a recipe.
struct Draw<'a> {
    recipe: &'a Recipe,
    generator: Generator,
}

impl Draw<'_> {
    fn chance(&mut self, probability: f64) -> bool {
        self.generator.uniform() < probability
    }

    fn list(&mut self, len: usize, bound: f64) -> Vec<f64> {
        (0..len).map(|_| self.generator.between(-bound, bound)).collect()
    }

    fn table(&mut self, rows: usize, columns: usize, bound: f64) -> Table {
        (0..rows).map(|_| self.list(columns, bound)).collect()
    }

    fn mask(&mut self, rows: usize, columns: usize, probability: f64) -> Vec<Vec<u8>> {
        let mut row = || (0..columns).map(|_| u8::from(self.chance(probability))).collect();
        (0..rows).map(|_| row()).collect()
    }

    fn targets(&mut self, units: usize) -> Vec<Option<f64>> {
        let mut target = || {
            let value = self.generator.between(-0.8, 0.8);
            self.chance(self.recipe.targets).then_some(value)
        };
        (0..units).map(|_| target()).collect()
    }

    fn layer(&mut self, cell: Cell, units: usize, inputs: usize) -> Layer {
        let recipe = self.recipe;
        let columns = inputs + usize::from(recipe.bias) + units;
        let rows = cell.blocks() * units;
        let is_simple = cell == Cell::Simple;
        let initial_cell = (cell == Cell::Lstm).then(|| self.list(units, 0.5));
        Layer {
            cell,
            units,
            heads_of: None,
            activation: is_simple.then(|| self.activations(units)),
            leak: (is_simple && recipe.leaky > 0.0).then(|| self.leaks(units)),
            weights: self.table(rows, columns, 1.5 / (columns as f64).sqrt()),
            connections: (recipe.density < 1.0).then(|| self.mask(rows, columns, recipe.density)),
            frozen: (recipe.frozen > 0.0).then(|| self.mask(rows, columns, recipe.frozen)),
            initial_state: self.list(units, 0.5),
            initial_cell,
        }
    }

    fn activations(&mut self, units: usize) -> ActivationNames {
        if !self.recipe.mixed {
            return ActivationNames::All("tanh".to_owned());
        }
        let names = ["logistic", "tanh", "relu", "identity", "softplus"];
        let name = |_| names[self.generator.below(names.len())].to_owned();
        ActivationNames::Each((0..units).map(name).collect())
    }

    fn leaks(&mut self, units: usize) -> Leak {
        let mut leak = || {
            let value = self.generator.between(0.05, 1.0);
            if self.chance(self.recipe.leaky) { value } else { 1.0 }
        };
        Leak::Each((0..units).map(|_| leak()).collect())
    }

    fn state(&mut self, layer: &Layer) -> LayerState {
        let state = self.list(layer.units, 0.5);
        LayerState { state, cell: layer.initial_cell.as_ref().map(|c| self.list(c.len(), 0.5)) }
    }
}

/// Cases of one to three layers of any cells, of up to `most_units` units each, with up to four
/// inputs.
pub fn chains(most_units: usize, steps: usize) -> impl Strategy<Value = Case> {
    let cell = prop_oneof![Just(Cell::Simple), Just(Cell::Gru), Just(Cell::Lstm)];
    let layers = prop::collection::vec((cell, 1..=most_units), 1..=3);
    (recipes(most_units, steps), layers).prop_map(|(recipe, layers)| {
        let inputs = recipe.inputs % 5;
        Recipe { inputs, ..recipe }.chain(&layers)
    })
}

/// [`chains`] of which each layer is divided into heads of any size.
pub fn in_heads(most_units: usize, steps: usize) -> impl Strategy<Value = Case> {
    let sizes = prop::collection::vec(any::<prop::sample::Index>(), 3);
    (chains(most_units, steps), sizes).prop_map(|(case, sizes)| {
        let mut sizes = sizes.into_iter();
        divided(case, |count| sizes.next().map_or(0, |size| size.index(count)))
    })
}

/// The case with each layer in heads. `choose` gets the number of possible sizes of a layer's
/// heads, and returns the index of the chosen one.
pub(crate) fn divided(mut case: Case, mut choose: impl FnMut(usize) -> usize) -> Case {
    for layer in case.layers.iter_mut() {
        let divisors = (1..=layer.units).filter(|&size| layer.units.is_multiple_of(size));
        let divisors: Vec<_> = divisors.collect();
        layer.heads_of = Some(divisors[choose(divisors.len())]);
    }
    case
}

/// Which units of a layer see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Each sees itself only.
    Diagonal,
    /// Groups of 4 neighbours.
    Heads,
    /// 3 groups whose members are not neighbours.
    Woven,
    /// Each sees itself and its parent.
    Tree,
    /// Groups of 3, the first of each sees the group before.
    Circles,
    /// Each sees all before itself.
    Triangle,
}

impl Structure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Diagonal, Self::Heads, Self::Woven, Self::Tree, Self::Circles, Self::Triangle];

    /// Whether unit k of `units` sees unit l.
    pub fn depends(self, units: usize, k: usize, l: usize) -> bool {
        match self {
            Self::Diagonal => k == l,
            Self::Heads => k / 4 == l / 4,
            Self::Woven => k % 3 == l % 3,
            Self::Tree => k == l || k > 0 && (k - 1) / 2 == l,
            Self::Circles => k / 3 == l / 3 || k.is_multiple_of(3) && k == l + 1,
            Self::Triangle => l <= k && k < units,
        }
    }
}

/// [`chains`] in which each layer has a structure, and whose upper layers see only some of the
/// units below. Where the chain has a mask or frozen weights, these stay.
pub fn structured(most_units: usize, steps: usize) -> impl Strategy<Value = Case> {
    let structure = prop::sample::select(Structure::ALL.to_vec());
    let structures = prop::collection::vec(structure, 3);
    (chains(most_units, steps), structures, any::<bool>()).prop_map(|(mut case, list, sparse)| {
        let inputs: Vec<usize> =
            (0..case.layers.iter().count()).map(|l| case.inputs_of(l)).collect();
        for (l, layer) in case.layers.iter_mut().enumerate() {
            let (units, width) = (layer.units, layer.weights[0].len());
            let first = width - units;
            let rows = layer.rows();
            let mask = layer.connections.get_or_insert_with(|| vec![vec![1; width]; rows]);
            for (i, row) in mask.iter_mut().enumerate() {
                let unit = i % units;
                for j in (0..units).filter(|&j| !list[l].depends(units, unit, j)) {
                    row[first + j] = 0;
                }
                let unseen = |&j: &usize| sparse && l > 0 && j % 2 != unit % 2;
                for j in (0..inputs[l]).filter(unseen) {
                    row[j] = 0;
                }
            }
        }
        case
    })
}
