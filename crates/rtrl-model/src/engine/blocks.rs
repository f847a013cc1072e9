//! The blocks of a network: which there are, and whether they pay.

use rtrl_kernel::{Block, Extent, Layout, Reach, Real, Spec, cost, merge, reaches};

use super::{EngineChoice, Size};
use crate::{Error, Network, Regime};

/// What a block costs in addition to its operations, weighted as [`Size::eager`] weights them: a
/// tenth of a microsecond, measured with heads of 4 to 16 units.
const OVERHEAD: u128 = 40_000;

/// The largest number of simple units of which the eager engine multiplies zeros as well.
const WHOLE: usize = 16;

/// What it costs to read and write a row of p and to sum its gradient, in entries of the Jacobian.
const ROW: usize = 2;

/// Weights that learn share panels of this many in float32.
const PANEL: usize = 16;

/// The blocks of a network with an engine for each, as `choice` says; `None` if one engine for all
/// is no slower, as in every network in which all rows reach all states.
///
/// Rows with the same reach make a block, and blocks are merged while that lowers the sum of
/// [`time`] over all blocks: a function of the connections and the regime, never of the machine.
/// A network of which no weight learns has no block.
///
/// # Errors
/// [`Error::Kernel`] if the connections do not fit the layout.
pub(super) fn divide<T: Real>(
    choice: EngineChoice,
    network: &Network<T>,
    regime: Regime,
) -> Result<Option<Vec<Block>>, Error> {
    if network.weight_counts().1 == 0 {
        return Ok(Some(Vec::new()));
    }
    let Some(pattern) = network.pattern()? else { return Ok(None) };
    let (layout, learning) = (network.layout(), network.learning());
    let reaches = reaches(layout, &learning, &pattern)?;
    let all = |reach: &Reach| reach.states.len() == layout.states() && !reach.diagonal;
    if reaches.len() == 1 && all(&reaches[0]) {
        return Ok(None);
    }
    let cost = |extent: Extent| time(choice, layout, extent, regime);
    let whole = cost(whole(&reaches, layout.states(), pattern.entries()));
    let merged = merge(reaches, &pattern, cost);
    if whole <= merged.iter().map(|reach| cost(reach.extent())).sum() {
        return Ok(None);
    }
    let block = |reach: Reach| {
        let engine = engine(choice, layout, reach.extent(), regime);
        Block { states: reach.states, rows: reach.rows, weights: reach.weights, engine }
    };
    Ok(Some(merged.into_iter().map(block).collect()))
}

/// All rows of all reaches with all states.
fn whole(reaches: &[Reach], states: usize, entries: usize) -> Extent {
    let (rows, weights, through) = reaches.iter().fold((0, 0, 0), |sums, reach| {
        (sums.0 + reach.rows.len(), sums.1 + reach.weights, sums.2 + reach.through)
    });
    Extent { states, rows, weights, entries, through, diagonal: false }
}

/// The engine of a block.
fn engine(choice: EngineChoice, layout: &Layout, extent: Extent, regime: Regime) -> Spec {
    if extent.diagonal { Spec::Diagonal } else { choice.settle(size(layout, extent), regime) }
}

/// What the choice of the engine of a block depends on.
fn size(layout: &Layout, extent: Extent) -> Size {
    let Extent { states, rows, weights, entries, through, .. } = extent;
    let simple = layout.drives().len() == layout.rows() && rows == states;
    Size { states, simple, present: entries, learning: weights, through }
}

/// The operations of a step of a block, weighted so that those of different engines compare, and
/// what it costs to have the block.
fn time(choice: EngineChoice, layout: &Layout, extent: Extent, regime: Regime) -> u128 {
    let size = size(layout, extent);
    let operations = match engine(choice, layout, extent, regime) {
        Spec::Diagonal => 2 * cost::diagonal(size.learning),
        Spec::Deferred { window, .. } => size.deferred(window, regime),
        _ => {
            let dense = size.simple && size.states <= WHOLE;
            let entries = if dense { size.states * size.states } else { size.present };
            let present = entries + ROW * size.states;
            Size { present, learning: size.learning.next_multiple_of(PANEL), ..size }.eager()
        }
    };
    OVERHEAD + operations
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of states and weights of each block, and its engine.
    fn blocks(
        network: crate::NetworkBuilder<f32>,
        choice: EngineChoice,
    ) -> Option<Vec<(usize, usize, Spec)>> {
        let blocks = divide(choice, &network.build().unwrap(), Regime::real_time()).unwrap()?;
        Some(blocks.into_iter().map(|b| (b.states.len(), b.weights, b.engine)).collect())
    }

    /// Units that see the 2 inputs, the bias, and those units of the network that `sees` says.
    fn masked(units: usize, sees: impl Fn(usize, usize) -> bool) -> crate::NetworkBuilder<f32> {
        let row = |i: usize| {
            let sees = &sees;
            [true; 3].into_iter().chain((0..units).map(move |l| sees(i, l)))
        };
        let mask: Vec<bool> = (0..units).flat_map(row).collect();
        Network::builder(units, 2).connections(mask)
    }

    #[test]
    fn networks_in_which_all_reach_all_have_no_blocks() {
        for choice in [EngineChoice::Auto, EngineChoice::Eager, EngineChoice::DEFERRED] {
            for cell in [crate::Cell::Simple, crate::Cell::Gru, crate::Cell::Lstm] {
                assert_eq!(blocks(Network::builder(20, 2).cell(cell), choice), None);
            }
            let circle = masked(20, |i, l| l == (i + 1) % 20);
            assert_eq!(blocks(circle, choice), None);
            let frozen = Network::builder(20, 2);
            let half = (0..20 * 23).map(|w| w < 10 * 23).collect::<Vec<bool>>();
            assert_eq!(blocks(frozen.frozen(half), choice), None);
        }
    }

    #[test]
    fn layers_heads_and_single_units_are_blocks() {
        let eager = |states, weights| (states, weights, Spec::Eager);
        let chain = Network::builder(24, 2).layer(24);
        let expected = vec![eager(48, 24 * 27), eager(24, 24 * 49)];
        assert_eq!(blocks(chain, EngineChoice::Eager), Some(expected));
        let heads = masked(32, |i, l| i / 8 == l / 8);
        assert_eq!(blocks(heads, EngineChoice::Auto), Some(vec![eager(8, 8 * 11); 4]));
        let diagonal = masked(100, |i, l| i == l);
        let expected = vec![(100, 100 * 4, Spec::Diagonal)];
        assert_eq!(blocks(diagonal, EngineChoice::DEFERRED), Some(expected));
    }

    /// One engine for all states took 40 GB for 100 000 units.
    #[test]
    fn a_network_of_which_no_weight_learns_has_no_engine() {
        for choice in [EngineChoice::Auto, EngineChoice::Eager, EngineChoice::DEFERRED] {
            let frozen = || Network::builder(20, 2).frozen(vec![true; 20 * 23]);
            assert_eq!(blocks(frozen(), choice), Some(Vec::new()));
            let mut learner =
                crate::Learner::builder(frozen().build().unwrap()).engine(choice).build().unwrap();
            assert_eq!(learner.state_bytes(), 0);
            learner.step(&[1.0; 2], crate::Targets::All(&[0.5; 20])).unwrap();
            let gradient = learner.gradient().unwrap().recurrent();
            assert!(gradient.iter_rows().flatten().all(|&g| g == 0.0));
        }
    }

    #[test]
    fn tiny_heads_are_merged() {
        let pairs = blocks(masked(128, |i, l| i / 2 == l / 2), EngineChoice::Eager).unwrap();
        assert!(pairs.len() < 32, "{pairs:?}");
    }

    #[test]
    fn a_choice_applies_within_each_block() {
        let heads = || masked(120, |i, l| i / 60 == l / 60);
        let pace = rtrl_kernel::Pace::Even;
        let choice = EngineChoice::Deferred { window: Some(5), pace };
        let expected = vec![(60, 60 * 63, Spec::Deferred { window: 5, pace }); 2];
        assert_eq!(blocks(heads(), choice), Some(expected));
        let pace = rtrl_kernel::Pace::Bursts;
        let expected = vec![(60, 60 * 63, Spec::Deferred { window: 40, pace }); 2];
        assert_eq!(blocks(heads(), EngineChoice::Auto), Some(expected));
    }
}
