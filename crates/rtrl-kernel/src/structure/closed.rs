//! Whether blocks hold all that their weight rows reach.

use super::Pattern;
use crate::error::Error;
use crate::layout::Layout;
use crate::spec::{Block, Spec};

/// Fails unless the sensitivities of every row of every block are 0 in all states that the block
/// does not have: no entry of the pattern leads out of it, and no drive. Without a pattern, all
/// entries of the Jacobian can differ from 0.
///
/// # Errors
/// [`Error::Block`] that names the first state that is missing, or a diagonal engine where states
/// depend on each other.
pub fn check_blocks(
    layout: &Layout,
    pattern: Option<&Pattern>,
    blocks: &[Block],
) -> Result<(), Error> {
    let n = layout.states();
    let mut has = vec![false; n];
    for (number, block) in blocks.iter().enumerate() {
        let refuse = |got: String, expected| Err(Error::Block { block: number, expected, got });
        has.fill(false);
        for &state in &block.states {
            if let Some(place) = has.get_mut(state as usize) {
                *place = true;
            }
        }
        let rows = block.rows.iter().map(|&row| row as usize).filter(|&row| row < layout.rows());
        let mut driven = rows.flat_map(|row| &layout.drives()[layout.drives_of(row)]);
        if let Some(drive) = driven.find(|drive| !has[drive.state as usize]) {
            let got = format!("no state {}, which row {} drives", drive.state, drive.row);
            return refuse(got, "every state that its rows reach");
        }
        let depends = |k: usize, l: usize| pattern.is_none_or(|pattern| pattern.contains(k, l));
        for k in 0..n {
            let sees = match pattern {
                Some(pattern) => pattern.row(k).iter().find(|&&l| has[l as usize]).copied(),
                None => block.states.first().copied(),
            };
            if let Some(l) = sees.filter(|_| !has[k]) {
                let got = format!("no state {k}, which depends on state {l}");
                return refuse(got, "every state that its rows reach");
            }
        }
        if block.engine == Spec::Diagonal {
            let inner = block.states.iter().filter(|&&k| (k as usize) < n);
            for &k in inner {
                let other =
                    |&&l: &&u32| l != k && (l as usize) < n && depends(k as usize, l as usize);
                if let Some(l) = block.states.iter().find(other) {
                    let got = format!("a diagonal engine, and state {k} depends on state {l}");
                    return refuse(got, "states that do not depend on each other");
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message for one block of four units: 0 and 1 see each other, and 2 and 3 see 0.
    fn refused(states: &[u32], rows: &[u32], engine: Spec) -> Option<String> {
        let rows_of = vec![vec![0, 1], vec![0, 1], vec![0, 2], vec![0, 3]];
        let pattern = Pattern::new(rows_of).unwrap();
        let block = Block { states: states.to_vec(), rows: rows.to_vec(), weights: 1, engine };
        let checked = check_blocks(&Layout::simple(4, 1).unwrap(), Some(&pattern), &[block]);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn a_block_must_have_all_that_its_rows_reach() {
        assert_eq!(refused(&[0, 1, 2, 3], &[0, 1, 2], Spec::Eager), None);
        assert_eq!(refused(&[2, 3], &[2, 3], Spec::Diagonal), None);
        for (states, rows, engine, message) in [
            (&[0, 1, 2][..], &[0][..], Spec::Eager, "got no state 3, which depends on state 0"),
            (&[0, 1, 3], &[1], Spec::Eager, "got no state 2, which depends on state 0"),
            (&[2], &[2, 3], Spec::Diagonal, "got no state 3, which row 3 drives"),
            (
                &[0, 1, 2, 3],
                &[0, 1],
                Spec::Diagonal,
                "got a diagonal engine, and state 0 depends on state 1",
            ),
        ] {
            let refused = refused(states, rows, engine).unwrap();
            assert!(refused.starts_with(&format!("block 0: {message}")), "{refused}");
        }
        let block = Block { states: vec![0], rows: vec![0], weights: 1, engine: Spec::Eager };
        assert!(check_blocks(&Layout::simple(2, 1).unwrap(), None, &[block]).is_err());
    }
}
