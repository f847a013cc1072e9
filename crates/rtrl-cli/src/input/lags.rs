//! The inputs of earlier rows.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::error::Error;

/// Lets inputs be followed by those of earlier rows.
pub(super) struct Lags {
    /// How many rows before, in the order of the inputs.
    lags: Vec<usize>,
    /// The inputs of the last rows of each group, newest first.
    past: Vec<VecDeque<Vec<f64>>>,
}

impl Lags {
    /// These lags, which must all be different.
    pub(super) fn new(lags: &[NonZeroUsize]) -> Result<Self, Error> {
        let is_repeated = |&place: &usize| lags[..place].contains(&lags[place]);
        if let Some(place) = (0..lags.len()).find(is_repeated) {
            return Err(Error::Repeated { option: "--lags", item: format!("lag {}", lags[place]) });
        }
        let lags = lags.iter().map(|lag| lag.get()).collect();
        Ok(Self { lags, past: Vec::new() })
    }

    /// How often the inputs of a row are repeated, including their own row.
    pub(super) fn copies(&self) -> usize {
        1 + self.lags.len()
    }

    /// Appends the inputs of the earlier rows of a group to those of its next row. Before the first
    /// row, the inputs are those of the first row.
    pub(super) fn follow(&mut self, group: usize, inputs: &mut Vec<f64>) {
        let Some(&most) = self.lags.iter().max() else { return };
        if self.past.len() <= group {
            self.past.resize(group + 1, VecDeque::new());
        }
        let past = &mut self.past[group];
        let oldest = if past.len() > most { past.pop_back() } else { None };
        let mut newest = oldest.unwrap_or_default();
        newest.clear();
        newest.extend_from_slice(inputs);
        past.push_front(newest);
        for &lag in &self.lags {
            let earlier = past.get(lag).or_else(|| past.back());
            inputs.extend(earlier.into_iter().flatten());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_followed_by_those_of_earlier_rows() {
        let new = |lags: &[usize]| {
            let lags: Vec<_> = lags.iter().filter_map(|&lag| NonZeroUsize::new(lag)).collect();
            Lags::new(&lags).unwrap()
        };
        let mut lags = new(&[3, 1]);
        assert_eq!(lags.copies(), 3);
        for (row, earlier) in [(0, [0, 0]), (1, [0, 0]), (2, [0, 1]), (3, [0, 2]), (9, [1, 3])] {
            let mut inputs = vec![f64::from(row), -1.0];
            lags.follow(1, &mut inputs);
            let [third, first] = earlier.map(f64::from);
            assert_eq!(inputs, [f64::from(row), -1.0, third, -1.0, first, -1.0]);
            assert!(lags.past[1].len() <= 4);
        }
        let mut inputs = vec![1.0];
        new(&[]).follow(0, &mut inputs);
        assert_eq!(inputs, [1.0]);
    }
}
