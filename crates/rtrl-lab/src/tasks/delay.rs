//! Answers that are due some steps later.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

/// A delay line: returns what was put in some calls earlier.
#[derive(Debug)]
pub(super) struct DelayLine<V> {
    /// What is not due yet.
    pending: VecDeque<V>,
    delay: NonZeroUsize,
}

impl<V> DelayLine<V> {
    /// With a delay of 1, an answer to z(t) is due at t + 1: in the same call.
    pub(super) fn new(delay: NonZeroUsize) -> Self {
        Self { pending: VecDeque::with_capacity(delay.get()), delay }
    }

    /// Takes the answer to z(t) and returns the one that is due at t + 1, once the delay has
    /// passed.
    pub(super) fn pass(&mut self, answer: V) -> Option<V> {
        self.pending.push_back(answer);
        let due = self.pending.len() >= self.delay.get();
        if due { self.pending.pop_front() } else { None }
    }
}
