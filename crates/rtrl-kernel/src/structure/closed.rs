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
    let dependents = pattern.map(|pattern| dependents(pattern, n));
    // For each state, the last block that has it, from 1.
    let mut holders = vec![0; n];
    for (number, block) in blocks.iter().enumerate() {
        let refuse = |field, got: String, expected: &str| {
            Err(Error::Block { block: number, field, expected: expected.to_owned(), got })
        };
        let states = || block.states.iter().map(|&state| state as usize).filter(|&k| k < n);
        states().for_each(|state| holders[state] = number + 1);
        let has = |state: usize| holders[state] == number + 1;
        let rows = block.rows.iter().map(|&row| row as usize).filter(|&row| row < layout.rows());
        let mut driven = rows.flat_map(|row| &layout.drives()[layout.drives_of(row)]);
        if let Some(drive) = driven.find(|drive| !has(drive.state as usize)) {
            let got = format!("no state {}, which row {} drives", drive.state, drive.row);
            return refuse("states", got, "every state that its rows reach");
        }
        // What leads out of the block, and two of its states of which one depends on the other.
        let (out, pair) = if let Some(dependents) = &dependents {
            let of = |l: usize| dependents[l].iter().map(move |&k| (k as usize, l));
            let (mut out, mut pairs) = (states().flat_map(of), states().flat_map(of));
            (out.find(|&(k, _)| !has(k)), pairs.find(|&(k, l)| k != l && has(k)))
        } else {
            let first = states().next();
            let out = first.and_then(|l| (0..n).find(|&k| !has(k)).map(|k| (k, l)));
            (out, first.zip(states().nth(1)))
        };
        if let Some((k, l)) = out {
            let got = format!("no state {k}, which depends on state {l}");
            return refuse("states", got, "every state that its rows reach");
        }
        if let Some((k, l)) = pair.filter(|_| block.engine == Spec::Diagonal) {
            let got = format!("a diagonal one, where state {k} depends on state {l}");
            return refuse("engine", got, "one for states that depend on each other");
        }
    }
    Ok(())
}

/// For each of n states l, in ascending order, the states that depend on it.
fn dependents(pattern: &Pattern, n: usize) -> Vec<Vec<u32>> {
    let mut lists = vec![Vec::new(); n];
    for (k, number) in (0..n).zip(0..) {
        for &l in pattern.row(k) {
            if let Some(list) = lists.get_mut(l as usize) {
                list.push(number);
            }
        }
    }
    lists
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
            (
                &[0, 1, 2][..],
                &[0][..],
                Spec::Eager,
                "states: got no state 3, which depends on state 0",
            ),
            (&[0, 1, 3], &[1], Spec::Eager, "states: got no state 2, which depends on state 0"),
            (&[2], &[2, 3], Spec::Diagonal, "states: got no state 3, which row 3 drives"),
            (
                &[0, 1, 2, 3],
                &[0, 1],
                Spec::Diagonal,
                "engine: got a diagonal one, where state 1 depends on state 0",
            ),
        ] {
            let refused = refused(states, rows, engine).unwrap();
            assert!(refused.starts_with(&format!("block 0, {message}")), "{refused}");
        }
        let block = Block { states: vec![0], rows: vec![0], weights: 1, engine: Spec::Eager };
        assert!(check_blocks(&Layout::simple(2, 1).unwrap(), None, &[block]).is_err());
    }
}
