//! Some states, weight rows or drives among all of them.

use std::ops::Range;

/// Some of the numbers from 0 on, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Places {
    /// A run: what belongs to them is taken where it is.
    Run(Range<usize>),
    /// Any: what belongs to them is copied.
    Any(Vec<usize>),
}

impl Places {
    /// The places `list`, ascending.
    pub(super) fn new(list: Vec<usize>) -> Self {
        match (list.first(), list.last()) {
            (Some(&first), Some(&last)) if last - first + 1 == list.len() => {
                Self::Run(first..last + 1)
            }
            (None, _) => Self::Run(0..0),
            _ => Self::Any(list),
        }
    }

    /// Number of places.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Run(run) => run.len(),
            Self::Any(list) => list.len(),
        }
    }

    /// How many values [`Places::pick`] copies.
    pub(super) fn copied(&self) -> usize {
        match self {
            Self::Run(_) => 0,
            Self::Any(list) => list.len(),
        }
    }

    /// The values in these places, copied to `room` unless they are neighbours.
    pub(super) fn pick<'a, V: Copy>(&self, from: &'a [V], room: &'a mut [V]) -> &'a [V] {
        match self {
            Self::Run(run) => &from[run.clone()],
            Self::Any(list) => {
                room.iter_mut().zip(list).for_each(|(value, &place)| *value = from[place]);
                room
            }
        }
    }

    /// All places.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let (run, list) = match self {
            Self::Run(run) => (run.clone(), [].as_slice()),
            Self::Any(list) => (0..0, list.as_slice()),
        };
        run.chain(list.iter().copied())
    }

    /// The place of `number` among them.
    pub(super) fn find(&self, number: usize) -> Option<usize> {
        match self {
            Self::Run(run) => run.contains(&number).then(|| number - run.start),
            Self::Any(list) => list.binary_search(&number).ok(),
        }
    }

    /// Neighbours together.
    pub(super) fn runs(&self) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for place in self.iter() {
            match runs.last_mut() {
                Some(run) if run.end == place => run.end += 1,
                _ => runs.push(place..place + 1),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_not_copied() {
        let values = [10, 11, 12, 13, 14];
        let run = Places::new(vec![1, 2, 3]);
        assert_eq!((run.copied(), run.pick(&values, &mut [])), (0, &[11, 12, 13][..]));
        let any = Places::new(vec![0, 1, 4]);
        assert_eq!((any.copied(), any.pick(&values, &mut [0; 3])), (3, &[10, 11, 14][..]));
        assert_eq!(
            (run.find(3), run.find(4), any.find(4), any.find(2)),
            (Some(2), None, Some(2), None)
        );
        assert_eq!((any.runs().as_slice(), run.runs().len()), (&[0..2, 4..5][..], 1));
        assert_eq!(Places::new(vec![]).len(), 0);
    }
}
