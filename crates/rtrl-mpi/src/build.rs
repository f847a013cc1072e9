//! Learners and engines of the ranks.

use mpi::traits::Equivalence;
use rtrl_model::{
    Engine, EngineChoice, Layout, Learner, LearnerBuilder, Network, Pace, Real, Regime, Spec,
    Threads, kernel,
};

use crate::alike;
use crate::sharded::Sharded;
use crate::{Error, Ranks};

impl Ranks {
    /// The engine of a learner of `network`: this rank's columns of p, and the gradient of all.
    ///
    /// `choice` means the engine of the whole network, with its window
    /// ([`EngineChoice::undivided`]), so that the results have the bits of one process with this
    /// engine. A learner of one process divides some networks, such as those of several layers,
    /// into blocks ([`EngineChoice::spec`]), and shards do not: eager engines still give equal
    /// results, deferred ones results that are equal up to rounding. `threads` are those of this
    /// rank. Does not involve other ranks.
    ///
    /// [`Ranks::build`] calls this. A learner that is built in another way must take its streams
    /// one after the other ([`Threads::SERIAL`]), and the ranks do not check that their learners
    /// are alike.
    ///
    /// # Errors
    /// [`Error::Model`] if the engine cannot be built, or for an even pace: its progress through
    /// the columns is that of one process, so that one rank would work at a time.
    pub fn engine<T: Real + Equivalence>(
        &self,
        network: &Network<T>,
        regime: Regime,
        choice: EngineChoice,
        threads: Threads,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        let spec = choice.undivided(network, regime)?;
        if let Spec::Deferred { pace: Pace::Even, .. } = spec {
            let expected = "bursts for a sharded engine".to_owned();
            let got = "even".to_owned();
            return Err(rtrl_model::Error::Setting { what: "pace", expected, got }.into());
        }
        let isa = network.isa();
        self.shard(network.layout(), &network.learning(), |layout, own| {
            kernel::build(&spec, layout, own, isa, threads)
        })
    }

    /// An engine around the one that `build` makes for the columns of this rank: it gets the layout
    /// and a mask of them, a part of `learns`. Does not involve other ranks. A custom engine cannot
    /// be saved.
    ///
    /// # Errors
    /// Those of `build`; [`Error::Model`] if the mask does not fit the layout, the engine is not
    /// one for its mask, or more weights learn than MPI can gather.
    pub fn shard<T: Real + Equivalence>(
        &self,
        layout: &Layout,
        learns: &[bool],
        build: impl FnOnce(&Layout, &[bool]) -> Result<Box<dyn Engine<T>>, kernel::Error>,
    ) -> Result<Box<dyn Engine<T>>, Error> {
        Ok(Box::new(Sharded::new(self, layout, learns, build)?))
    }

    /// Builds a learner with the engine of [`Ranks::engine`] on every rank, and makes sure that
    /// they are alike: version, precision, network, settings and weights. Streams take their steps
    /// one after the other; the engine divides each among its threads.
    ///
    /// # Errors
    /// [`Error::Model`] on a rank whose builder or engine fails, [`Error::OtherRank`] on the
    /// others. [`Error::Differs`] on all ranks, so that rank 0 can report it.
    pub fn build<T: Real + Equivalence>(
        &self,
        builder: LearnerBuilder<T>,
        choice: EngineChoice,
        threads: Threads,
    ) -> Result<Learner<T>, Error> {
        let equipped = builder
            .custom_engine_for(|network, regime| self.engine(network, regime, choice, threads));
        let built = equipped.and_then(|builder| Ok(builder.threads(Threads::SERIAL).build()?));
        let learner = self.agree(built)?;
        alike::check(self, &learner)?;
        Ok(learner)
    }
}
