//! The processes of a run, and what they agree on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::thread::{self, ThreadId};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use rtrl_model::kernel;

use crate::Error;

/// The processes of a run, its *ranks*: MPI from its start to its end.
///
/// Every rank runs the same program and makes the same calls in the same order; each call that
/// involves other ranks waits for them. MPI ends when the last clone is dropped, and with it the
/// last engine. A panic on any rank ends all of them.
#[derive(Debug, Clone)]
pub struct Ranks(Arc<Context>);

/// MPI while it runs.
pub(crate) struct Context {
    _universe: Universe,
    /// The thread that has started MPI, the only one that may call it.
    thread: ThreadId,
    rank: usize,
    count: usize,
    /// What [`Engine::save`](rtrl_model::Engine::save) passes on now; see [`crate::sharded`].
    pub(crate) saving: AtomicU8,
}

impl fmt::Debug for Context {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rank {} of {}", self.rank, self.count)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // To end MPI in an orderly way would wait for ranks that wait for this one.
        if thread::panicking() {
            SimpleCommunicator::world().abort(1);
        }
    }
}

impl Ranks {
    /// Starts MPI. Only this thread may use it: learners must take their steps on it.
    ///
    /// # Errors
    /// [`Error::Start`] if MPI has been started before, or does not allow threads that do not call
    /// it.
    pub fn start() -> Result<Self, Error> {
        let started = mpi::initialize_with_threading(Threading::Funneled);
        let refused = |got| Error::Start { expected: "MPI to be started once", got };
        let (universe, level) = started.ok_or_else(|| refused("a second start".to_owned()))?;
        if level < Threading::Funneled {
            let (expected, got) = ("at least the level Funneled", format!("{level:?}"));
            return Err(Error::Start { expected, got });
        }
        let world = SimpleCommunicator::world();
        let number = |rank| usize::try_from(rank).unwrap_or_default();
        Ok(Self(Arc::new(Context {
            _universe: universe,
            thread: thread::current().id(),
            rank: number(world.rank()),
            count: number(world.size()),
            saving: AtomicU8::new(0),
        })))
    }

    /// The number of this rank, from 0. Rank 0 writes reports.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many ranks there are.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// The communicator of all ranks, for exchanges of the program itself.
    pub fn world(&self) -> SimpleCommunicator {
        SimpleCommunicator::world()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.0
    }

    /// The value, if every rank has one. Call this for anything that may fail on one rank alone, so
    /// that the others do not wait for it for ever.
    ///
    /// # Errors
    /// The rank's error if it has one; otherwise [`Error::OtherRank`] with the message of the first
    /// rank that has failed.
    pub fn agree<V>(&self, outcome: Result<V, Error>) -> Result<V, Error> {
        let message = outcome.as_ref().err().map(ToString::to_string);
        let mut sent = vec![u8::from(message.is_some())];
        sent.extend(message.unwrap_or_default().into_bytes());
        let messages = self.gather(&sent)?;
        let failed = messages.iter().position(|message| message.first() == Some(&1));
        match (outcome, failed) {
            (Ok(_), Some(rank)) => {
                let reason = String::from_utf8_lossy(&messages[rank][1..]).into_owned();
                Err(Error::OtherRank { rank, reason })
            }
            (outcome, _) => outcome,
        }
    }

    /// The bytes that rank 0 passes, on every rank. Those of the others are ignored.
    ///
    /// # Errors
    /// [`Error::Model`] for more bytes than MPI can count, and on another thread than the one that
    /// has started MPI.
    pub fn share(&self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let sent = if self.rank() == 0 { bytes } else { &[] };
        Ok(self.gather(sent)?.swap_remove(0))
    }

    /// The bytes of all ranks, in order.
    pub(crate) fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.check_thread()?;
        // No message is empty: the pointer of an empty slice means something else to MPI.
        let sent = [&[0], bytes].concat();
        let len = i32::try_from(sent.len()).map_err(|_| rtrl_model::Error::Setting {
            what: "bytes of a message",
            expected: format!("at most {}", i32::MAX),
            got: sent.len().to_string(),
        });
        let mut counts = vec![0i32; self.count()];
        let world = self.world();
        world.all_gather_into(len.as_ref().unwrap_or(&1), &mut counts[..]);
        let places = displacements(&counts);
        let sizes: Vec<usize> =
            counts.iter().map(|&count| usize::try_from(count).unwrap_or_default()).collect();
        let mut received = vec![0u8; sizes.iter().sum()];
        let mut parts = PartitionMut::new(&mut received[..], counts, places);
        world.all_gather_varcount_into(if len.is_ok() { &sent[..] } else { &[0] }, &mut parts);
        len?;
        let mut rest = received.as_slice();
        let part = |size| {
            let (part, behind) = rest.split_at(size);
            rest = behind;
            part[1..].to_vec()
        };
        Ok(sizes.into_iter().map(part).collect())
    }

    /// The largest of the numbers of all ranks.
    pub(crate) fn largest(&self, number: i32) -> i32 {
        let mut largest = 0;
        self.world().all_reduce_into(&number, &mut largest, SystemOperation::max());
        largest
    }

    /// Fails on another thread than the one that has started MPI: streams that several threads
    /// advance would reach other ranks in any order.
    pub(crate) fn check_thread(&self) -> Result<(), kernel::Error> {
        if thread::current().id() == self.0.thread {
            return Ok(());
        }
        Err(kernel::Error::Unsupported { what: "threads other than the one that started MPI" })
    }
}

/// Where the part of each rank begins.
pub(crate) fn displacements(counts: &[i32]) -> Vec<i32> {
    let starts = counts.iter().scan(0, |end, &count| {
        let start = *end;
        *end += count;
        Some(start)
    });
    starts.collect()
}
