//! The derivatives of a whole step, where they are not just those of one layer's rows: of LSTM
//! units, and of several layers.
//!
//! Row r of layer l drives state k of that layer with the slope `g_rk`. With
//! `E_l[k][j] = sum over the rows r of k's unit of g_rk w_rj`, z being one vector for all rows of a
//! layer, the derivatives of state k at t + 1 are
//!
//! ```text
//! J[k][l']  = E[k][column of l'] + what k keeps of l'         l' an output or cell of the layer
//! J[k][l']  = sum over units j below of E[k][j] J[j][l']      l' a state of a layer below
//! R[k][j']  = E[k][j']  or  sum over j of E[k][j] R[j][j']    j' a unit of a layer below
//! ```
//!
//! In a layer of heads, l' is one of the units that k sees, and E has columns for these only. Of a
//! single such layer, J is stored in the same way: see [`Jacobian::with_heads`]. For the deferred
//! engine, a single layer of units with cells that all see each other is one such head: of the
//! columns of the cells, only what is kept is stored.
//!
//! R is the derivative with respect to the output of a unit in the same step. A row of layer l
//! therefore drives every state k above it that sees its unit with the factor `R[k][unit] g`, where
//! g is the slope of the row's own output.

use rtrl_kernel::{Jacobian, Real, combine};

use super::{Layer, Network};
use crate::{Error, Matrix};

/// Room for the derivatives of a step.
#[derive(Debug, Clone)]
pub(crate) struct Derivatives<T> {
    /// J, states x states; if there are `heads`, states x units of a head.
    jacobian: Matrix<T>,
    /// Units and size of the heads, if J has columns for these only: of a single layer in heads,
    /// and for the deferred engine of any single layer with cells.
    heads: Option<(usize, usize)>,
    /// What outputs and cells pass on of the cells, times `decay`, if there are `heads`.
    diagonal: Vec<T>,
    decay: T,
    /// The factor of each row of J.
    scale: Vec<T>,
    /// R, states x units.
    reach: Matrix<T>,
    /// One value for each drive.
    injection: Vec<T>,
    /// Whether they are formed at all.
    is_formed: bool,
}

impl<T: Real> Derivatives<T> {
    /// Room for the derivatives of a network whose sensitivities lose all but the share `decay` at
    /// every step. `is_deferred`: the deferred engine takes them, so a single layer with cells
    /// that is not in heads is given as one head.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn new(network: &Network<T>, decay: T, is_deferred: bool) -> Result<Self, Error> {
        let states = network.layout.states();
        let several = network.layers.len() > 1;
        let below = if several { network.units() } else { 0 };
        let first = &network.layers[0];
        let is_one_head = is_deferred && first.cell().has_cells();
        let is_divided = !several && (first.heads() > 1 || is_one_head);
        let heads = is_divided.then_some((first.units(), first.columns.seen));
        Ok(Self {
            jacobian: Matrix::zeros(states, heads.map_or(states, |(_, size)| size))?,
            heads,
            diagonal: vec![T::ZERO; if heads.is_some() { states } else { 0 }],
            decay,
            scale: vec![decay; states],
            reach: Matrix::zeros(if several { states } else { 0 }, below)?,
            injection: vec![T::ZERO; network.layout.drives().len()],
            is_formed: true,
        })
    }

    /// The same for an engine without sensitivities, which reads no derivatives: they remain 0, but
    /// are allocated, since [`rtrl_kernel::Step::check`] counts the numbers of every Jacobian.
    pub(crate) fn unformed(self) -> Self {
        Self { is_formed: false, ..self }
    }

    /// The Jacobian of the step.
    pub(crate) fn jacobian(&self) -> Jacobian<'_, T> {
        let own = Jacobian::scaled(self.jacobian.padded(), self.jacobian.stride(), &self.scale);
        match self.heads {
            Some((units, size)) => own.with_diagonal(Some(&self.diagonal)).with_heads(units, size),
            None => own,
        }
    }

    /// The factors of the immediate influence, one for each drive.
    pub(crate) fn injection(&self) -> &[T] {
        &self.injection
    }

    /// Takes the slopes and kept shares of a step with the present weights of `network`, unless
    /// nothing reads them.
    ///
    /// # Errors
    /// [`Error::Kernel`] if they do not fit.
    pub(crate) fn form(
        &mut self,
        network: &Network<T>,
        slopes: &[T],
        kept: &[T],
    ) -> Result<(), rtrl_kernel::Error> {
        if !self.is_formed {
            return Ok(());
        }
        let mut below = None;
        for layer in &network.layers {
            let (slopes, kept) = (&slopes[layer.slopes.clone()], &kept[layer.kept.clone()]);
            for unit in 0..layer.units() {
                self.form_rows(network, layer, unit, (below, slopes))?;
            }
            self.add_kept(layer, kept);
            below = Some(layer);
        }
        self.inject(network, slopes);
        Ok(())
    }

    /// The rows of J and R of the states of one unit, without what they keep.
    fn form_rows(
        &mut self,
        network: &Network<T>,
        layer: &Layer<T>,
        unit: usize,
        (below, slopes): (Option<&Layer<T>>, &[T]),
    ) -> Result<(), rtrl_kernel::Error> {
        let (cell, n, stride) = (layer.cell(), layer.units(), network.weights.stride());
        let weights = &network.weights.padded()[(layer.rows.start + unit) * stride..];
        let factor = |block: usize, of_cell: usize| slopes[cell.slope(n, block, unit) + of_cell];
        let outputs: [T; 4] =
            std::array::from_fn(|b| if b < cell.blocks() { factor(b, 0) } else { T::ZERO });
        let cells: [T; 4] =
            std::array::from_fn(|b| if cell.drives_cell(b) { factor(b, 1) } else { T::ZERO });
        let rows = [
            (Some(layer.outputs.start + unit), &outputs[..cell.blocks()]),
            (cell.has_cells().then_some(layer.cells.start + unit), &cells[..]),
        ];
        for (state, factors) in rows {
            let Some(k) = state else { continue };
            let seen =
                if self.heads.is_some() { 0..layer.columns.seen } else { layer.seen_by(unit) };
            let own = &mut self.jacobian.row_mut(k)[seen];
            let recurrent = &weights[layer.columns.first_unit()..];
            combine(network.isa, factors, recurrent, n * stride, own)?;
            let Some(below) = below else { continue };
            let from_below = &mut self.reach.row_mut(k)[below.outputs.clone()];
            combine(network.isa, factors, weights, n * stride, from_below)?;
            self.reach_down(network, below, k)?;
        }
        Ok(())
    }

    /// What state k sees of the states and units of all layers below, through the outputs of that
    /// right below.
    fn reach_down(
        &mut self,
        network: &Network<T>,
        below: &Layer<T>,
        k: usize,
    ) -> Result<(), rtrl_kernel::Error> {
        let (units, isa) = (network.units(), network.isa);
        let (further, outputs) = (0..below.outputs.start, below.outputs.clone());
        let stride = self.reach.stride();
        let (above, row) = self.reach.padded_mut().split_at_mut(k * stride);
        let (into, factors) = row.split_at_mut(outputs.start);
        let factors = &factors[..outputs.len()];
        let rows = &above[outputs.start * stride..];
        combine(isa, factors, rows, stride, &mut into[further])?;
        let stride = self.jacobian.stride();
        let (above, row) = self.jacobian.padded_mut().split_at_mut(k * stride);
        for columns in [0..outputs.end, units..below.cells.end] {
            let rows = &above[outputs.start * stride + columns.start..];
            combine(isa, factors, rows, stride, &mut row[columns])?;
        }
        Ok(())
    }

    /// Adds what each unit keeps of its own state.
    fn add_kept(&mut self, layer: &Layer<T>, kept: &[T]) {
        let (outputs, cells) = (layer.outputs.clone(), layer.cells.clone());
        if !cells.is_empty() {
            let (of_cells, of_outputs) = kept.split_at(cells.len());
            if self.heads.is_some() {
                let kept = of_outputs.iter().chain(of_cells);
                let places = self.diagonal.iter_mut().zip(kept);
                return places.for_each(|(place, &kept)| *place = self.decay * kept);
            }
            for (unit, cell) in cells.enumerate() {
                self.jacobian.row_mut(cell)[cell] = of_cells[unit];
                self.jacobian.row_mut(outputs.start + unit)[cell] = of_outputs[unit];
            }
            return;
        }
        let leaks = layer.units.simple().and_then(|simple| simple.leaks.as_ref());
        let kept = leaks.map_or(kept, |leaks| leaks.kept());
        for (state, &kept) in outputs.zip(kept) {
            self.jacobian.row_mut(state)[state] += kept;
        }
    }

    /// The factor of every drive.
    fn inject(&mut self, network: &Network<T>, slopes: &[T]) {
        if network.layers.len() == 1 {
            // Its drives are in the order of its slopes.
            let drives = self.injection.len();
            return self.injection.copy_from_slice(&slopes[..drives]);
        }
        let layout = network.layout();
        for layer in &network.layers {
            let (cell, n, slopes) = (layer.cell(), layer.units(), &slopes[layer.slopes.clone()]);
            for (number, row) in layer.rows.clone().enumerate() {
                let (block, unit) = (number / n, number % n);
                let slope = &slopes[cell.slope(n, block, unit)..];
                let output = layer.outputs.start + unit;
                for drive in layout.drives_of(row) {
                    let state = layout.drives()[drive].state as usize;
                    self.injection[drive] = if state == output {
                        slope[0]
                    } else if layer.cells.contains(&state) {
                        slope[1]
                    } else {
                        self.reach.row(state)[output] * slope[0]
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cell, NetworkBuilder};

    /// The deferred engine recognises one head by these numbers: units, and units of a head.
    #[test]
    fn a_layer_with_cells_is_one_head_for_the_deferred_engine() {
        let lstm = || Network::<f64>::builder(6, 2).cell(Cell::Lstm);
        let check = |builder: NetworkBuilder<f64>, eager, deferred| {
            let network = builder.build().unwrap();
            for (is_deferred, heads) in [(false, eager), (true, deferred)] {
                let derivatives = Derivatives::new(&network, 1.0, is_deferred).unwrap();
                assert_eq!(derivatives.heads, heads);
                let columns = heads.map_or(network.layout().states(), |(_, size)| size);
                assert_eq!(derivatives.jacobian.columns(), columns);
            }
        };
        check(lstm(), None, Some((6, 6)));
        check(lstm().heads_of(3), Some((6, 3)), Some((6, 3)));
        check(lstm().layer(4), None, None);
    }
}
