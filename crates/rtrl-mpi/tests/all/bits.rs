//! The bits of one process on any number of ranks.

use std::path::{Path, PathBuf};

use rtrl_model::kernel::{self, Sink};
use rtrl_model::store::case::Case;
use rtrl_model::{Engine, EngineChoice, Error, Isa, Layout, Pace, Real, Spec, Step, Threads};
use rtrl_mpi::Ranks;
use rtrl_mpi::mpi::traits::Equivalence;

use crate::launch::{COUNTS, on_ranks};
use crate::tasks::{ENGINES, STEPS, TASKS, Task, sensitivity_bits, state_bits, undivided};

fn cases() -> Vec<(PathBuf, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases");
    let files = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<_> = files(folder.clone()).chain(files(folder.join("cells"))).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let read = |path: &PathBuf| Case::from_json(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases: Vec<_> = paths.iter().map(|path| (path.clone(), read(path))).collect();
    assert!(cases.len() > 20, "{} cases", cases.len());
    cases
}

/// What a case computes, with all digits and signs.
fn check_case<T: Real + Equivalence>(ranks: &Ranks, path: &Path, case: &Case) {
    let deferred = |window| EngineChoice::Deferred { window: Some(window), pace: Pace::Bursts };
    for choice in [EngineChoice::Eager, deferred(2), deferred(5), EngineChoice::Auto] {
        let builder = || case.learner::<T>(Isa::best()).unwrap().threads(Threads::SERIAL);
        let network = case.network::<T>(Isa::best()).unwrap();
        let engine = undivided(&network, case.regime(), choice);
        let whole = case.run(builder().custom_engine(engine)).unwrap();
        let engine = ranks.engine(&network, case.regime(), choice, Threads::SERIAL).unwrap();
        let sharded = case.run(builder().custom_engine(engine)).unwrap();
        assert!(!whole.sensitivities.is_empty());
        let [whole, sharded] = [whole, sharded].map(|trace| format!("{trace:?}"));
        assert_eq!(whole, sharded, "{} with {choice:?} on {ranks:?}", path.display());
    }
}

#[test]
fn every_case() {
    on_ranks("bits::every_case", &COUNTS, |ranks| {
        for (path, case) in cases() {
            check_case::<f32>(&ranks, &path, &case);
            check_case::<f64>(&ranks, &path, &case);
        }
    });
}

/// Runs a task in lockstep with one process, and returns how often p has overflowed.
fn check_task<T: Real + Equivalence>(ranks: &Ranks, task: Task, choice: EngineChoice) -> u64 {
    let (mut whole, mut sharded) = (task.whole::<T>(choice), task.sharded::<T>(ranks, choice));
    let what = format!("{} with {choice:?} in {} on {ranks:?}", task.name, T::NAME);
    for step in 0..STEPS {
        let [expected, got] =
            [&mut whole, &mut sharded].map(|learner| task.advance(learner).unwrap());
        assert!(expected == got, "{what}, step {step}");
        assert!(state_bits(&whole) == state_bits(&sharded), "{what}, step {step}");
        if step % 30 == 29 {
            assert!(sensitivity_bits(&whole) == sensitivity_bits(&sharded), "{what}, step {step}");
        }
    }
    whole.recoveries().resets
}

#[test]
fn every_task() {
    on_ranks("bits::every_task", &COUNTS, |ranks| {
        for task in TASKS {
            for choice in ENGINES {
                let overflows = check_task::<f32>(&ranks, task, choice);
                assert_eq!(overflows > 0, task.name == "expanding", "{}", task.name);
            }
        }
        check_task::<f64>(&ranks, TASKS[0], ENGINES[1]);
        check_task::<f64>(&ranks, TASKS[1], ENGINES[0]);
    });
}

/// Several threads of a rank compute the same bits.
#[test]
fn threads_of_a_rank() {
    on_ranks("bits::threads_of_a_rank", &[2], |ranks| {
        let task = TASKS[0];
        let mut learners = [1, 3].map(|threads| {
            task.custom::<f32>(|network| {
                let threads = Threads::Exactly(threads);
                ranks.engine(network, task.regime(), ENGINES[1], threads).unwrap()
            })
            .threads(Threads::SERIAL)
            .build()
            .unwrap()
        });
        for _ in 0..STEPS {
            let [one, three] = learners.each_mut().map(|learner| task.advance(learner).unwrap());
            assert!(one == three);
        }
    });
}

/// An engine that drops the gradient of its first column.
#[derive(Debug, Clone)]
struct Dropping(Box<dyn Engine<f32>>, usize);

impl Engine<f32> for Dropping {
    fn advance(
        &mut self,
        step: &Step<'_, f32>,
        error: Option<&[f32]>,
    ) -> Result<(), kernel::Error> {
        self.0.advance(step, error)
    }

    fn gradient(&mut self, into: &mut [f32], stride: usize) -> Result<(), kernel::Error> {
        self.0.gradient(into, stride)?;
        into[self.1 * stride] = 0.0;
        Ok(())
    }

    fn reset(&mut self) -> Result<(), kernel::Error> {
        self.0.reset()
    }

    fn weights(&self) -> usize {
        self.0.weights()
    }

    fn save(&self, to: &mut dyn Sink<f32>) -> Result<(), kernel::Error> {
        self.0.save(to)
    }

    fn boxed_clone(&self) -> Box<dyn Engine<f32>> {
        Box::new(self.clone())
    }
}

/// Negative control: a rank that drops a column is noticed, by its number of columns or by bits.
#[test]
fn a_dropped_column_is_noticed() {
    on_ranks("bits::a_dropped_column_is_noticed", &[3], |ranks| {
        let task = TASKS[0];
        let eager = |layout: &Layout, own: &[bool]| {
            kernel::build::<f32>(&Spec::Eager, layout, own, Isa::best(), Threads::SERIAL)
        };
        task.custom::<f32>(|network| {
            let fewer = ranks.shard(network.layout(), &network.learning(), |layout, own| {
                let mut own = own.to_vec();
                let first = own.iter().position(|&own| own).unwrap();
                own[first] = ranks.rank() != 1;
                eager(layout, &own)
            });
            assert_eq!(fewer.is_err(), ranks.rank() == 1);
            assert!(ranks.agree(fewer).is_err());
            ranks.engine(network, task.regime(), EngineChoice::Eager, Threads::SERIAL).unwrap()
        });
        let mut learner = task
            .custom::<f32>(|network| {
                let shard = ranks.shard(network.layout(), &network.learning(), |layout, own| {
                    let engine = eager(layout, own)?;
                    let row = own.iter().position(|&own| own).unwrap() / layout.widest();
                    Ok(if ranks.rank() == 1 { Box::new(Dropping(engine, row)) } else { engine })
                });
                shard.unwrap()
            })
            .build()
            .unwrap();
        let mut whole = task.whole::<f32>(EngineChoice::Eager);
        let mut same = || task.advance(&mut whole).unwrap() == task.advance(&mut learner).unwrap();
        assert!((0..10).any(|_| !same()));
    });
}

/// Streams that several threads advance would reach other ranks in any order.
#[test]
fn other_threads_are_refused() {
    on_ranks("bits::other_threads_are_refused", &[2], |ranks| {
        let task = TASKS.into_iter().find(|task| task.name == "three streams").unwrap();
        let learner = task.custom::<f32>(|network| {
            ranks.engine(network, task.regime(), EngineChoice::Eager, Threads::SERIAL).unwrap()
        });
        let mut learner = learner.threads(Threads::Exactly(3)).build().unwrap();
        let refused = (0..3).find_map(|_| task.advance(&mut learner).err()).unwrap();
        assert!(refused.to_string().contains("threads other than"), "{refused}");
        let Error::InStream { .. } = refused else { panic!("{refused:?}") };
    });
}
