//! Values of all columns, gathered from the ranks that hold them.

use std::ops::Range;

use mpi::datatype::PartitionMut;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{CommunicatorCollectives, Equivalence};
use rtrl_model::{Error, Real};

use crate::Ranks;
use crate::division::Division;
use crate::ranks::displacements;

/// Buffers for one value of every column. The message of a rank is a number that says whether it
/// has failed, and one value for each of its columns.
#[derive(Debug, Clone)]
pub(crate) struct Gather<T> {
    division: Division,
    rank: usize,
    /// The length of the message of each rank, and where it begins.
    counts: Vec<i32>,
    starts: Vec<i32>,
    sent: Vec<T>,
    received: Vec<T>,
}

impl<T: Real + Equivalence> Gather<T> {
    /// Buffers for a division among the ranks.
    ///
    /// # Errors
    /// [`Error::Setting`] if MPI cannot count as many values.
    pub(crate) fn new(ranks: &Ranks, division: Division) -> Result<Self, Error> {
        let (rank, count) = (ranks.rank(), ranks.count());
        let all = division.weights() + count;
        if i32::try_from(all).is_err() {
            return Err(Error::Setting {
                what: "number of weights that learn",
                expected: format!("at most {}, the most that MPI gathers", i32::MAX),
                got: division.weights().to_string(),
            });
        }
        let len = |rank| i32::try_from(1 + division.columns(rank).len()).unwrap_or(i32::MAX);
        let counts: Vec<_> = (0..count).map(len).collect();
        let starts = displacements(&counts);
        let sent = vec![T::ZERO; 1 + division.columns(rank).len()];
        Ok(Self { division, rank, counts, starts, sent, received: vec![T::ZERO; all] })
    }

    /// Number of columns of all ranks.
    pub(crate) fn weights(&self) -> usize {
        self.division.weights()
    }

    /// The columns of a rank.
    pub(crate) fn columns(&self, rank: usize) -> Range<usize> {
        self.division.columns(rank)
    }

    /// Gathers the gradient: `into`, a matrix of weights with rows `stride` apart, holds that of
    /// this rank's columns, and then that of all. Returns the largest `severity` of all ranks;
    /// unless it is 0, nothing else is written.
    pub(crate) fn matrix(&mut self, severity: i32, into: &mut [T], stride: usize) -> i32 {
        let Self { division, rank, sent, received, counts, starts } = self;
        let (mut column, own) = (0, division.columns(*rank));
        let mut values = &mut sent[1..];
        for run in &division.runs {
            if own.contains(&column) {
                let (places, behind) = values.split_at_mut(run.len);
                places.copy_from_slice(&into[run.row * stride + run.column..][..run.len]);
                values = behind;
            }
            column += run.len;
        }
        sent[0] = T::from_f64(severity.into());
        exchange(sent, received, counts, starts);
        let worst = worst(received, starts);
        if worst != 0 {
            return worst;
        }
        let mut owner = 0;
        column = 0;
        for run in &division.runs {
            while column >= division.columns(owner).end {
                owner += 1;
            }
            if owner != *rank {
                // The numbers of this rank and those before it precede its column.
                let values = &received[column + owner + 1..][..run.len];
                into[run.row * stride + run.column..][..run.len].copy_from_slice(values);
            }
            column += run.len;
        }
        0
    }

    /// Gathers a row of p from `own`, the part of this rank. Returns the largest severity; unless
    /// it is 0, nothing else is written.
    pub(crate) fn row(&self, severity: i32, own: &[T], row: &mut [T]) -> i32 {
        let mut sent = vec![T::from_f64(severity.into())];
        sent.extend_from_slice(own);
        let mut received = self.received.clone();
        exchange(&sent, &mut received, &self.counts, &self.starts);
        let worst = worst(&received, &self.starts);
        if worst == 0 {
            for (owner, _) in self.counts.iter().enumerate() {
                let columns = self.division.columns(owner);
                let values = &received[columns.start + owner + 1..][..columns.len()];
                row[columns].copy_from_slice(values);
            }
        }
        worst
    }

    /// Bytes of the buffers.
    pub(crate) fn bytes(&self) -> usize {
        (self.sent.len() + self.received.len()) * size_of::<T>()
    }
}

fn exchange<T: Equivalence>(sent: &[T], received: &mut [T], counts: &[i32], starts: &[i32]) {
    let mut parts = PartitionMut::new(received, counts, starts);
    SimpleCommunicator::world().all_gather_varcount_into(sent, &mut parts);
}

/// The largest of the numbers that the messages start with.
fn worst<T: Real>(received: &[T], starts: &[i32]) -> i32 {
    let numbers = starts.iter().map(|&start| received[usize::try_from(start).unwrap_or_default()]);
    // They are small whole numbers.
    let largest = numbers.fold(0.0, |most: f64, number| most.max(number.to_f64()));
    [0, 1, 2, 3].into_iter().find(|&severity| f64::from(severity) >= largest).unwrap_or(1)
}
