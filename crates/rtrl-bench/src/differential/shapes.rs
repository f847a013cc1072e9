//! Layouts of gated cells and of chains of layers.

use rtrl_kernel::{Drive, Error, Layout};
use rtrl_model::{Cell, Generator};

/// Layers at most.
const MOST_LAYERS: usize = 3;

/// One to three layers, each with a cell and a number of units, with at most `most` states
/// altogether (but at least one layer of the smallest kind).
pub(super) fn cells(generator: &mut Generator, most: usize) -> Vec<(Cell, usize)> {
    let (mut cells, mut states) = (Vec::new(), 0);
    for _ in 0..=generator.below(MOST_LAYERS) {
        let cell = [Cell::Simple, Cell::Gru, Cell::Lstm][generator.below(3)];
        let left = most.saturating_sub(states) / cell.states();
        if left == 0 && states > 0 {
            break;
        }
        let units = 1 + generator.below(left.max(1));
        states += units * cell.states();
        cells.push((cell, units));
    }
    cells
}

/// The layout of such layers. z holds what each layer sees, one layer after the other.
pub(super) fn layers(generator: &mut Generator, most: usize) -> Result<Layout, Error> {
    let mut shape = Shape::default();
    let mut inputs = generator.below(6);
    for (cell, units) in cells(generator, most) {
        shape.push(cell, units, inputs, generator.bit());
        inputs = units;
    }
    shape.layout()
}

/// The layers so far.
#[derive(Default)]
struct Shape {
    states: u32,
    z_len: usize,
    /// The part of z that each row sees.
    rows: Vec<std::ops::Range<usize>>,
    /// The states of its own layer that each row drives, and the first state of the layer above.
    drives: Vec<(Vec<u32>, u32)>,
}

impl Shape {
    /// Adds a layer: simple and GRU rows drive the state of their unit, LSTM rows its y, and all
    /// but those of block o its c as well.
    fn push(&mut self, cell: Cell, units: usize, inputs: usize, bias: bool) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (n, first) = (count(units), self.states);
        let (start, fixed) = (self.z_len, inputs + usize::from(bias));
        let end = start + fixed + units;
        self.z_len = end;
        self.states += count(cell.states() * units);
        for block in 0..cell.blocks() {
            let (sees_inputs, sees_units) = cell.sees(block);
            let from = if sees_inputs { start } else { start + inputs };
            let to = if sees_units { end } else { start + fixed };
            for state in first..first + n {
                let driven = match (cell, block) {
                    (Cell::Lstm, 3) => vec![state + n],
                    (Cell::Lstm, _) => vec![state, state + n],
                    _ => vec![state],
                };
                self.rows.push(from..to);
                self.drives.push((driven, self.states));
            }
        }
    }

    /// The layout, in which each row also drives every state of the layers above its own.
    fn layout(self) -> Result<Layout, Error> {
        let all = self.drives.into_iter().zip(0u32..).flat_map(|((driven, above), row)| {
            let states = driven.into_iter().chain(above..self.states);
            states.map(move |state| Drive { row, state })
        });
        Layout::new(self.states as usize, self.rows, all.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_drives_its_own_states_and_those_above() {
        let mut shape = Shape::default();
        shape.push(Cell::Lstm, 1, 2, true);
        shape.push(Cell::Gru, 1, 1, true);
        let layout = shape.layout().unwrap();
        assert_eq!((layout.states(), layout.rows(), layout.z_len()), (3, 8, 7));
        let states = |row: usize| {
            layout.drives_of(row).map(|d| layout.drives()[d].state).collect::<Vec<_>>()
        };
        assert_eq!([states(0), states(3), states(4)], [vec![0, 1, 2], vec![1, 2], vec![2]]);
        assert_eq!(
            [0, 4, 6, 7].map(|row| layout.z(row)),
            [0..4, 4..7, 4..6, 5..7].map(|z| [z, 0..0])
        );
    }
}
