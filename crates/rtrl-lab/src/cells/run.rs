//! One run with one cell and one seed.

use rtrl_model::{
    Cell, Error, InitialWeights, Learner, Network, Optimizer, Readout, ReadoutWeights, Threads,
};

use super::Problem;
use super::measure::Errors;
use super::stream::{self, Stream};
use crate::scale::RunningScale;

/// The scores of a run; see [`Measure`](super::Measure).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Over the last steps with learning, every output before its target is learnt.
    pub learning: f64,
    /// Over the steps after them, with fixed weights.
    pub held_out: f64,
}

impl Problem {
    /// The whole run of a cell and a seed, which chooses the initial weights and the streams.
    ///
    /// # Errors
    /// As [`LearnerBuilder::build`](rtrl_model::LearnerBuilder::build) and
    /// [`Learner::step_streams`].
    pub fn run(&self, cell: Cell, seed: u64) -> Result<Score, Error> {
        self.run_standardised(stream::scale(self), cell, seed)
    }

    /// The same with the scale of the problem, so that several runs find it once.
    pub(super) fn run_standardised(
        &self,
        scale: RunningScale,
        cell: Cell,
        seed: u64,
    ) -> Result<Score, Error> {
        let mut streams = Stream::all(self, scale, seed);
        let mut learner = self.learner(cell, seed)?;
        let learning = self.learn(&mut learner, &mut streams)?;
        let held_out = self.hold_out(&learner, &mut streams)?;
        Ok(Score { learning: learning.score(self.measure), held_out: held_out.score(self.measure) })
    }

    fn learner(&self, cell: Cell, seed: u64) -> Result<Learner<f32>, Error> {
        let (inputs, outputs) = self.observed;
        let weights = ReadoutWeights::Normal { gain: 1.0 };
        let mut network = Network::builder(self.units, inputs)
            .cell(cell)
            .weights(InitialWeights::Torch)
            .readout(Readout::new(outputs).weights(weights))
            .seed(seed);
        if cell == Cell::Lstm {
            network = network.forget_bias(self.forget_bias);
        }
        let network = network.build()?;
        Learner::builder(network)
            .loss(self.measure.loss())
            .optimizer(Optimizer::adam(self.learning_rate))
            .streams(self.streams)
            .threads(Threads::SERIAL)
            .build()
    }

    /// Whether all streams start again at this step.
    fn restarts(&self, step: u64) -> bool {
        self.restart.is_some_and(|every| step.is_multiple_of(every))
    }

    /// Learns, and scores the last steps.
    fn learn(&self, learner: &mut Learner<f32>, streams: &mut [Stream]) -> Result<Errors, Error> {
        let initial = learner.network().initial_state().to_vec();
        let mut errors = Errors::default();
        for step in 0..self.steps {
            if self.restarts(step) {
                learner.reset(&initial)?;
            }
            streams.iter_mut().for_each(Stream::advance);
            let samples: Vec<_> = streams.iter().map(|stream| Some(stream.sample())).collect();
            let outputs = learner.step_streams(&samples)?.outputs;
            if step + self.scored >= self.steps {
                self.add(&mut errors, outputs, streams);
            }
        }
        Ok(errors)
    }

    /// Continues with fixed weights and scores every step.
    fn hold_out(&self, learner: &Learner<f32>, streams: &mut [Stream]) -> Result<Errors, Error> {
        let network = learner.network();
        let mut errors = Errors::default();
        for (b, stream) in streams.iter_mut().enumerate() {
            let mut state = learner.state(b)?.clone();
            for step in self.steps..self.steps + self.scored {
                if self.restarts(step) {
                    state.restart(network.initial_state())?;
                }
                stream.advance();
                let outputs = network.forward(&mut state, stream.sample().0)?;
                self.add(&mut errors, outputs, std::slice::from_ref(stream));
            }
        }
        Ok(errors)
    }

    /// Adds the outputs of streams to the errors, where there are targets.
    fn add(&self, errors: &mut Errors, outputs: &[f32], streams: &[Stream]) {
        for (outputs, stream) in outputs.chunks(self.observed.1).zip(streams) {
            if let Some(targets) = stream.targets() {
                errors.add(self.measure, outputs, targets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::cells::PROBLEMS;

    const CELLS: [Cell; 3] = [Cell::Simple, Cell::Gru, Cell::Lstm];

    fn quick(name: &str) -> Problem {
        PROBLEMS.iter().find(|problem| problem.task.name == name).unwrap().quick()
    }

    /// A forecast of the mean has an error of 1; the error of the last value instead of the next
    /// one is larger still, because the map alternates.
    #[test]
    fn all_cells_learn_a_series_and_none_without_learning() {
        for cell in CELLS {
            let learnt = quick("henon").run(cell, 1).unwrap();
            assert!(learnt.learning < 0.8 && learnt.held_out < 0.8, "{cell}: {learnt:?}");
            let still = Problem { learning_rate: 0.0, ..quick("henon") }.run(cell, 1).unwrap();
            assert!(still.learning > 0.9 && still.held_out > 0.9, "{cell}: {still:?}");
        }
    }

    /// Without learning, a step is scored alike in both parts of a run: the same streams, restarts
    /// and states. Only the order of the sum differs.
    #[test]
    fn the_held_out_part_continues_the_run() {
        for name in ["henon", "recall"] {
            for cell in CELLS {
                let run = |steps| {
                    let short = Problem { learning_rate: 0.0, steps, scored: 270, ..quick(name) };
                    short.run(cell, 3).unwrap()
                };
                let (earlier, later) = (run(330), run(600));
                assert_relative_eq!(earlier.held_out, later.learning, max_relative = 1e-12);
                assert!(earlier.learning != later.learning, "{name}, {cell}");
            }
        }
    }

    #[test]
    fn seeds_choose_weights_and_streams_and_runs_repeat() {
        let score = |seed| quick("lorenz").run(Cell::Gru, seed).unwrap();
        assert_eq!(score(1), score(1));
        assert_ne!(score(1), score(2));
    }
}
