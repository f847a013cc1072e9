//! Which entries of the Jacobian can differ from 0.

use crate::error::Error;

/// The places of the Jacobian that can differ from 0, whatever the weights, the state and the input
/// are: a property of the connections.
///
/// ```
/// use rtrl_kernel::Pattern;
///
/// # fn main() -> Result<(), rtrl_kernel::Error> {
/// // State 1 depends on state 0 and on itself, state 0 on itself only.
/// let pattern = Pattern::new(vec![vec![0], vec![0, 1]])?;
/// assert_eq!((pattern.states(), pattern.entries()), (2, 3));
/// assert!(pattern.contains(1, 0) && !pattern.contains(0, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// For each state k, in ascending order, every l with an entry `J[k][l]`.
    rows: Vec<Vec<u32>>,
}

impl Pattern {
    /// The pattern with the entries `J[k][l]` for each l in `rows[k]`. The lists are ascending.
    ///
    /// # Errors
    /// [`Error::Entry`] for a list that is not ascending or that names a state that is not there.
    pub fn new(rows: Vec<Vec<u32>>) -> Result<Self, Error> {
        let states = rows.len();
        for (k, row) in rows.iter().enumerate() {
            let ascends = row.windows(2).all(|pair| pair[0] < pair[1]);
            if let Some(&last) = row.last().filter(|&&l| !ascends || l as usize >= states) {
                return Err(Error::Entry { row: k, last, states });
            }
        }
        Ok(Self { rows })
    }

    /// Number of states, n.
    pub fn states(&self) -> usize {
        self.rows.len()
    }

    /// The states that state `k` depends on, in ascending order; none if there is no state `k`.
    pub fn row(&self, k: usize) -> &[u32] {
        self.rows.get(k).map_or(&[], Vec::as_slice)
    }

    /// Whether `J[k][l]` can differ from 0; not if one of these states does not exist.
    pub fn contains(&self, k: usize, l: usize) -> bool {
        u32::try_from(l).is_ok_and(|l| self.row(k).binary_search(&l).is_ok())
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// Number of entries between `states`, which are ascending. States that do not exist have none.
    pub fn entries_between(&self, states: &[u32]) -> usize {
        states.iter().map(|&k| common(self.row(k as usize), states)).sum()
    }
}

/// Number of values that two ascending lists have in common.
fn common(short: &[u32], long: &[u32]) -> usize {
    let (short, long) = if short.len() <= long.len() { (short, long) } else { (long, short) };
    if short.len() * 8 < long.len() {
        return short.iter().filter(|value| long.binary_search(value).is_ok()).count();
    }
    let (mut count, mut rest) = (0, long);
    for value in short {
        let skip = rest.iter().take_while(|other| *other < value).count();
        rest = &rest[skip..];
        count += usize::from(rest.first() == Some(value));
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_are_no_pattern_are_refused() {
        for (row, last) in [(vec![1, 0], 0), (vec![1, 1], 1), (vec![0, 2], 2)] {
            let refused = Pattern::new(vec![vec![], row]);
            assert_eq!(refused, Err(Error::Entry { row: 1, last, states: 2 }));
        }
    }

    #[test]
    fn states_that_do_not_exist_have_no_entries() {
        let pattern = Pattern::new(vec![vec![0, 1], vec![1]]).unwrap();
        assert_eq!((pattern.row(2), pattern.contains(2, 0)), (&[][..], false));
        assert!(!pattern.contains(0, 2) && !pattern.contains(0, usize::MAX));
        assert_eq!(pattern.entries_between(&[0, 1, 5, u32::MAX]), 3);
    }

    #[test]
    fn entries_are_counted_between_states() {
        let rows = (0..40u32).map(|k| (0..40).filter(|l| (k + l) % 3 == 0).collect()).collect();
        let pattern = Pattern::new(rows).unwrap();
        for states in [vec![], vec![7], vec![0, 3, 4, 30], (0..40).collect::<Vec<u32>>()] {
            let pairs = states.iter().flat_map(|&k| states.iter().map(move |&l| (k, l)));
            let expected = pairs.filter(|&(k, l)| pattern.contains(k as usize, l as usize)).count();
            assert_eq!(pattern.entries_between(&states), expected);
        }
    }
}
