//! The engine of one rank: its columns of p, and the gradient of all ranks.

use std::fmt;
use std::sync::atomic::Ordering;

use mpi::traits::Equivalence;
use rtrl_model::kernel::{self, Quantity, Sink, Source};
use rtrl_model::{Engine, Layout, Real, Spec, Step};

use crate::division::Division;
use crate::gather::Gather;
use crate::shards::{self, Part, SharedShards};
use crate::{Error, Ranks};

/// An engine around another that holds only the columns of this rank.
///
/// Columns of p never mix, so each has the bits that it has in one process. A step ends with one
/// agreement of all ranks on whether p has overflowed, so that it is lost on all of them in the
/// same step; a gradient is gathered from all ranks. Every rank must make the same calls in the
/// same order, on the thread that has started MPI.
///
/// Made by [`Ranks::engine`] and [`Ranks::shard`]. It is saved and loaded by
/// [`Checkpoints`](crate::Checkpoints) only.
pub(crate) struct Sharded<T: Real> {
    ranks: Ranks,
    layout: Layout,
    inner: Box<dyn Engine<T>>,
    gather: Gather<T>,
    /// Whether p is lost on some rank.
    lost: bool,
    /// The shards from which [`Engine::load`] takes the columns.
    shards: Option<SharedShards>,
}

impl<T: Real> fmt::Debug for Sharded<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ranks, inner, lost, .. } = self;
        out.debug_struct("Sharded")
            .field("ranks", ranks)
            .field("inner", inner)
            .field("lost", lost)
            .finish_non_exhaustive()
    }
}

impl<T: Real + Equivalence> Sharded<T> {
    /// See [`Ranks::shard`].
    pub(crate) fn new(
        ranks: &Ranks,
        layout: &Layout,
        learns: &[bool],
        build: impl FnOnce(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, kernel::Error>,
    ) -> Result<Self, Error> {
        let (expected, got) = (layout.weights(), learns.len());
        if got != expected {
            let what = "mask of learning weights";
            return Err(kernel::Error::Length { what, expected, got }.into());
        }
        let division = Division::new(layout, learns, T::LANES, ranks.count());
        let inner = build(layout, &division.own(layout, learns, ranks.rank()))?;
        let (expected, got) = (division.columns(ranks.rank()).len(), inner.weights());
        if got != expected {
            let what = "columns of the engine of this rank";
            return Err(kernel::Error::Length { what, expected, got }.into());
        }
        let gather = Gather::new(ranks, division)?;
        let (ranks, layout) = (ranks.clone(), layout.clone());
        Ok(Self { ranks, layout, inner, gather, lost: false, shards: None })
    }

    /// The same, to be loaded from `shards`.
    pub(crate) fn with_shards(self, shards: SharedShards) -> Self {
        Self { shards: Some(shards), ..self }
    }

    /// Which of two failures one process would report: the eager engine looks for p that is not
    /// finite first, the deferred one for the gradient, which it reads before it moves p.
    fn severity(&self, outcome: &Result<(), kernel::Error>) -> i32 {
        let eager = self.inner.spec() == Spec::Eager;
        match outcome {
            Ok(()) => 0,
            Err(kernel::Error::NonFinite { quantity }) => {
                if eager == (*quantity == Quantity::Sensitivities) { 3 } else { 2 }
            }
            Err(_) => 1,
        }
    }

    /// The error of all ranks for the largest severity of one.
    fn error(&self, severity: i32, own: Result<(), kernel::Error>) -> kernel::Error {
        let eager = self.inner.spec() == Spec::Eager;
        let quantity = match (severity, own) {
            (1, Err(own)) => return own,
            (1, Ok(())) => {
                return kernel::Error::Unsupported { what: "a failure of another rank" };
            }
            (3, _) if eager => Quantity::Sensitivities,
            (3, _) => Quantity::Gradient,
            _ if eager => Quantity::Gradient,
            _ => Quantity::Sensitivities,
        };
        kernel::Error::NonFinite { quantity }
    }

    /// Makes the outcome of this rank that of all: after a failure of any, p is lost.
    fn settle(&mut self, outcome: Result<(), kernel::Error>) -> Result<(), kernel::Error> {
        let worst = self.ranks.largest(self.severity(&outcome));
        if worst == 0 { Ok(()) } else { Err(self.lose(worst, outcome)) }
    }

    /// Marks p as lost, and with it the errors that have not been read.
    #[cold]
    fn lose(&mut self, severity: i32, own: Result<(), kernel::Error>) -> kernel::Error {
        self.drop_unread();
        self.lost = true;
        self.error(severity, own)
    }

    /// Drops the errors of this rank that have not been read. What has overflowed is dropped in any
    /// case.
    fn drop_unread(&mut self) {
        let (rows, stride) = (self.layout.rows(), self.layout.widest());
        let _ = self.inner.gradient(&mut vec![T::ZERO; rows * stride], stride);
        let _ = self.inner.reset();
    }
}

impl<T: Real + Equivalence> Engine<T> for Sharded<T> {
    fn advance(&mut self, step: &Step<'_, T>, error: Option<&[T]>) -> Result<(), kernel::Error> {
        step.check(&self.layout, error)?;
        self.ranks.check_thread()?;
        if self.lost {
            return Err(kernel::Error::Lost);
        }
        let outcome = self.inner.advance(step, error);
        self.settle(outcome)
    }

    fn gradient(&mut self, into: &mut [T], stride: usize) -> Result<(), kernel::Error> {
        self.ranks.check_thread()?;
        if self.lost {
            return Err(kernel::Error::Lost);
        }
        let outcome = self.inner.gradient(into, stride);
        if let Err(length @ kernel::Error::Length { .. }) = outcome {
            // All ranks have made the same mistake.
            return Err(length);
        }
        let worst = self.gather.matrix(self.severity(&outcome), into, stride);
        if worst == 0 { Ok(()) } else { Err(self.lose(worst, outcome)) }
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.ranks.check_thread()?;
        let outcome = self.inner.reset();
        self.lost = false;
        let worst = self.ranks.largest(self.severity(&outcome));
        if worst == 0 {
            return Ok(());
        }
        self.drop_unread();
        Err(self.error(worst, outcome))
    }

    fn weights(&self) -> usize {
        self.gather.weights()
    }

    fn sensitivities(&self, state: usize, row: &mut [T]) -> Result<(), kernel::Error> {
        self.ranks.check_thread()?;
        let (states, expected, got) = (self.layout.states(), self.weights(), row.len());
        if got != expected {
            let what = "row of sensitivities";
            return Err(kernel::Error::Length { what, expected, got });
        }
        if state >= states {
            return Err(kernel::Error::State { states, got: state });
        }
        if self.lost {
            return Err(kernel::Error::Lost);
        }
        let mut own = vec![T::ZERO; self.inner.weights()];
        let outcome = self.inner.sensitivities(state, &mut own);
        let worst = self.gather.row(self.severity(&outcome), &own, row);
        if worst == 0 { Ok(()) } else { Err(self.error(worst, outcome)) }
    }

    fn save(&self, to: &mut dyn Sink<T>) -> Result<(), kernel::Error> {
        if self.lost {
            return Err(kernel::Error::Lost);
        }
        let Some(part) = Part::of(self.ranks.context().saving.load(Ordering::Relaxed)) else {
            return Err(kernel::Error::Unsupported { what: "being saved by one rank alone" });
        };
        shards::check_inner(&self.inner.spec())?;
        self.inner.save(&mut part.filter(to))
    }

    fn load(&mut self, from: &mut dyn Source<T>) -> Result<(), kernel::Error> {
        let Some(shards) = self.shards.take() else {
            return Err(kernel::Error::Unsupported { what: "being loaded by one rank alone" });
        };
        self.lost = true;
        let columns = self.gather.columns(self.ranks.rank());
        let size = [self.layout.states(), self.weights()];
        shards.load(size, columns, from, |from| self.inner.load(from))?;
        self.lost = false;
        Ok(())
    }

    fn spec(&self) -> Spec {
        let inner = self.inner.spec();
        Spec::Custom { name: shards::name_of(&inner), exact: inner.is_exact() }
    }

    fn state_bytes(&self) -> usize {
        self.inner.state_bytes() + self.gather.bytes()
    }

    fn boxed_clone(&self) -> Box<dyn Engine<T>> {
        Box::new(Self {
            ranks: self.ranks.clone(),
            layout: self.layout.clone(),
            inner: self.inner.clone(),
            gather: self.gather.clone(),
            lost: self.lost,
            shards: self.shards.clone(),
        })
    }
}
