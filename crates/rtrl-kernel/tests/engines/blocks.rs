//! Blocks of weight rows that reach few states, against the loops on all states.

use rtrl_kernel::{
    Block, Blocks, Diagonal, Drive, Engine, Error, Extent, Isa, Jacobian, Layout, Pace, Pattern,
    Reach, Real, Snapshot, Spec, Step, Threads, build, merge, reaches,
};

use crate::drives::difference_of;
use crate::held::saved;
use crate::loops::Loops;
use crate::numerals::Numerals;
use crate::random::{self, Numbers};
use crate::structures::{self, STRUCTURES};
use crate::tested;

const DEFERRED: Spec = Spec::Deferred { window: 4, pace: Pace::Bursts };
const EVEN: Spec = Spec::Deferred { window: 3, pace: Pace::Even };

/// The blocks of a layout, merged where that is cheaper if a block costs `overhead`, with `engine`
/// in each that is not diagonal.
fn blocks(
    layout: &Layout,
    learns: &[bool],
    pattern: &Pattern,
    overhead: u128,
    engine: &Spec,
) -> Vec<Block> {
    let cost = |extent: Extent| overhead + (extent.entries * extent.weights) as u128;
    let reaches = merge(reaches(layout, learns, pattern).unwrap(), pattern, cost);
    let block = |reach: Reach| Block {
        states: reach.states,
        rows: reach.rows,
        weights: reach.weights,
        engine: if reach.diagonal { Spec::Diagonal } else { engine.clone() },
    };
    reaches.into_iter().map(block).collect()
}

/// A layout for `check`, its pattern, the weights that learn, and the terms of its Jacobians.
struct Case {
    name: &'static str,
    layout: Layout,
    pattern: Pattern,
    learns: Vec<bool>,
    terms: usize,
}

/// Simple units and random layouts of all structures, with frozen rows and weights.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, (name, depends)) in STRUCTURES.into_iter().enumerate() {
        for seed in 0..6 {
            let mut numbers = Numbers(seed as u64 * 8 + number as u64);
            let n = [1, 4, 9, 13, 18, 30][seed];
            let simple = seed % 2 == 0;
            let layout =
                if simple { Layout::simple(n, n + 2) } else { Ok(random::layout(&mut numbers, n)) };
            let layout = layout.unwrap();
            let density = if seed % 3 == 0 { 1.1 } else { 0.2 };
            let mut learns = random::learns(&layout, &mut numbers, density);
            if seed == 4 {
                learns[..layout.offset(layout.rows() / 3)].fill(false);
            }
            let pattern = structures::pattern(depends, n);
            cases.push(Case { name, layout, pattern, learns, terms: 1 + seed % 3 });
        }
    }
    cases
}

impl Case {
    fn blocks(&self, overhead: u128, engine: &Spec) -> Vec<Block> {
        blocks(&self.layout, &self.learns, &self.pattern, overhead, engine)
    }

    fn difference<T: Real>(&self, blocks: &[Block], isa: Isa, threads: usize) -> f64 {
        self.run(blocks, (isa, Threads::Exactly(threads)), |numerals: Numerals<T>| numerals)
    }

    /// The difference in steps that `change` has changed.
    fn difference_of<T: Real>(
        &self,
        blocks: &[Block],
        change: impl Fn(Numerals<T>) -> Numerals<T>,
    ) -> f64 {
        self.run(blocks, (Isa::best(), Threads::SERIAL), change)
    }

    fn run<T: Real>(
        &self,
        blocks: &[Block],
        (isa, threads): (Isa, Threads),
        change: impl Fn(Numerals<T>) -> Numerals<T>,
    ) -> f64 {
        let Self { layout, pattern, learns, terms, .. } = self;
        let spec = Spec::Blocks(blocks.to_vec());
        let mut engine = build::<T>(&spec, layout, learns, isa, threads).unwrap();
        assert_eq!(engine.spec(), spec);
        let mut loops = Loops::new(layout, learns);
        difference_of(&mut *engine, &mut loops, layout, |numbers, t| {
            change(structures::numerals(layout, pattern, numbers, t, *terms))
        })
    }
}

#[test]
fn eager_blocks_equal_the_loops() {
    fn check<T: Real>() {
        for case in cases() {
            for isa in tested::sets() {
                for (threads, overhead) in [(1, 0), (3, 60), (2, 0)] {
                    let blocks = case.blocks(overhead, &Spec::Eager);
                    let off = case.difference::<T>(&blocks, isa, threads);
                    let Case { name, layout, .. } = &case;
                    assert_eq!(off, 0.0, "{name}, {isa}, {threads} threads: {layout:?}");
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn deferred_blocks_equal_the_loops_up_to_rounding() {
    for case in cases() {
        for engine in [DEFERRED, EVEN] {
            let off = case.difference::<f64>(&case.blocks(0, &engine), Isa::best(), 2);
            assert!(off <= 1e-12, "{off}: {}, {engine:?}", case.name);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in cases() {
        for engine in [Spec::Eager, DEFERRED] {
            let spec = Spec::Blocks(case.blocks(0, &engine));
            let snapshots = [1, 2, 5].map(|threads| {
                let threads = Threads::Exactly(threads);
                let mut engine =
                    build::<f32>(&spec, &case.layout, &case.learns, Isa::best(), threads).unwrap();
                run(&case, &mut *engine, 0..6)
            });
            assert!(snapshots.iter().all(|snapshot| *snapshot == snapshots[0]), "{}", case.name);
        }
    }
}

/// Steps `steps` of a run, a gradient at every third. Returns what the engine then saves.
fn run(case: &Case, engine: &mut dyn Engine<f32>, steps: std::ops::Range<usize>) -> Snapshot<f32> {
    let stride = case.layout.widest().max(1);
    for t in steps {
        let mut numbers = Numbers(t as u64 + 3);
        let numerals =
            structures::numerals(&case.layout, &case.pattern, &mut numbers, t, case.terms);
        engine.advance(&numerals.step(), numerals.error.as_deref()).unwrap();
        if t % 3 == 2 {
            engine.gradient(&mut vec![0.0; case.layout.rows() * stride], stride).unwrap();
        }
    }
    saved(engine)
}

#[test]
fn a_stored_engine_continues_after_any_step() {
    for case in cases() {
        for inner in [Spec::Eager, DEFERRED, EVEN] {
            let spec = Spec::Blocks(case.blocks(0, &inner));
            let new = || {
                build::<f32>(&spec, &case.layout, &case.learns, Isa::best(), Threads::SERIAL)
                    .unwrap()
            };
            let whole = run(&case, &mut *new(), 0..7);
            for stop in 0..7 {
                let mut engine = new();
                let mut stored = run(&case, &mut *engine, 0..stop);
                let p = spec.sensitivities(case.layout.states(), engine.weights());
                for (name, shape) in p {
                    assert_eq!(stored.tensors[&name].0, shape, "{name}");
                }
                let mut resumed = new();
                resumed.load(&mut stored).unwrap();
                assert_eq!(run(&case, &mut *resumed, stop..7), whole, "{}, step {stop}", case.name);
            }
        }
    }
}

/// One state that is left out of a reach must be seen, whichever it is.
#[test]
fn a_reach_with_a_state_less_is_seen() {
    let mut seen = 0;
    for case in cases().iter().filter(|case| (4..14).contains(&case.layout.states())) {
        let blocks = case.blocks(0, &Spec::Eager);
        for (b, block) in blocks.iter().enumerate().filter(|(_, b)| b.engine == Spec::Eager) {
            for left_out in 0..block.states.len() {
                let mut fewer = blocks.clone();
                fewer[b].states.remove(left_out);
                let off = case.difference_of(&fewer, full::<f64>);
                assert!(off > 0.0, "{off}: {}, state {left_out} of block {b}", case.name);
                seen += 1;
            }
        }
        assert_eq!(case.difference_of(&blocks, full::<f64>), 0.0);
    }
    assert!(seen > 100, "{seen}");
}

/// The step without slopes of 0 and forced units, so that every state is reached.
fn full<T: Real>(mut numerals: Numerals<T>) -> Numerals<T> {
    let half = |values: &mut Vec<T>| {
        let zeros = values.iter_mut().filter(|value| **value == T::ZERO);
        zeros.for_each(|value| *value = T::from_f64(0.5));
    };
    numerals.blocks.iter_mut().for_each(|block| half(&mut block.scale));
    half(&mut numerals.injection);
    numerals.forced.fill(false);
    numerals
}

/// Two blocks of two simple units, and steps in which weights and slopes are 1.
fn pairs(engine: &Spec) -> Box<dyn Engine<f32>> {
    let layout = Layout::simple(4, 1).unwrap();
    let pattern = structures::pattern(|_, k, l| k / 2 == l / 2, 4);
    let spec = Spec::Blocks(blocks(&layout, &[true; 4], &pattern, 0, engine));
    build(&spec, &layout, &[true; 4], Isa::best(), Threads::SERIAL).unwrap()
}

fn advance(
    engine: &mut dyn Engine<f32>,
    injection: [f32; 4],
    error: Option<&[f32]>,
) -> Result<(), Error> {
    let mut weights = [0.0; 16];
    (0..16).filter(|i| i / 8 == i % 4 / 2).for_each(|i| weights[i] = 1.0);
    let step = Step {
        jacobian: Jacobian::scaled(&weights, 4, &[1.0; 4]),
        injection: &injection,
        z: &[1.0],
        forced: &[false; 4],
    };
    engine.advance(&step, error)
}

#[test]
fn an_overflow_in_one_block_loses_all() {
    for inner in [Spec::Eager, Spec::Deferred { window: 1, pace: Pace::Bursts }] {
        let mut engine = pairs(&inner);
        advance(&mut *engine, [1.0; 4], Some(&[1.0; 4])).unwrap();
        let huge = [1.0, 1.0, f32::MAX, f32::MAX];
        let mut lost = Ok(());
        for _ in 0..4 {
            lost = lost.and_then(|()| advance(&mut *engine, huge, None));
        }
        assert!(matches!(lost, Err(Error::NonFinite { .. })), "{lost:?}");
        let mut gradient = [7.0; 4];
        assert_eq!(advance(&mut *engine, [1.0; 4], None), Err(Error::Lost));
        assert_eq!(engine.gradient(&mut gradient, 1), Err(Error::Lost));
        assert_eq!(engine.save(&mut Snapshot::default()), Err(Error::Lost));
        assert_eq!(engine.sensitivities(0, &mut [0.0; 4]), Err(Error::Lost));
        engine.reset().unwrap();
        engine.gradient(&mut gradient, 1).unwrap();
        assert_eq!(gradient, [0.0; 4], "errors before the overflow are dropped");
        advance(&mut *engine, [1.0; 4], Some(&[1.0; 4])).unwrap();
        engine.gradient(&mut gradient, 1).unwrap();
        assert_eq!(gradient, [-1.0; 4]);
    }
}

#[test]
fn errors_count_after_a_reset() {
    for inner in [Spec::Eager, DEFERRED] {
        let mut engine = pairs(&inner);
        advance(&mut *engine, [1.0; 4], Some(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        engine.reset().unwrap();
        let mut gradient = [7.0; 4];
        engine.gradient(&mut gradient, 1).unwrap();
        assert_eq!(gradient, [-1.0, -2.0, -3.0, -4.0]);
    }
}

/// Rows of which all see two values of z and one of their own: blocks of some of them.
#[test]
fn a_step_of_blocks_with_its_gradient_equals_a_step_and_a_gradient() {
    let rows = (0..5).map(|k| [0..2, 2 + k..3 + k]).collect();
    let drives = (0..5).map(|k| Drive { row: k, state: k }).collect();
    let layout = Layout::divided(5, rows, drives).unwrap();
    // Only the gradient of one block of neighbours is written in the step.
    for (blocks, expected) in
        [(&[&[2, 3, 4][..]][..], true), (&[&[0, 2, 4]], false), (&[&[0, 1], &[3, 4]], false)]
    {
        let learns: Vec<bool> = (0..15).map(|w| blocks.concat().contains(&(w / 3))).collect();
        let block = |rows: &&[u32]| {
            let (states, rows, weights) = (rows.to_vec(), rows.to_vec(), 3 * rows.len());
            Block { states, rows, weights, engine: Spec::Diagonal }
        };
        let blocks: Vec<_> = blocks.iter().map(block).collect();
        let new =
            || Blocks::<f32>::new(&layout, &learns, &blocks, Isa::best(), Threads::SERIAL).unwrap();
        let (mut apart, mut together, mut numbers) = (new(), new(), Numbers(5));
        for t in 0..6 {
            let [own, injection, error] = [(); 3].map(|()| numbers.list::<f32>(5));
            let z = numbers.list::<f32>(7);
            let jacobian = Jacobian::sum([]).with_diagonal(Some(&own));
            let step = Step { jacobian, injection: &injection, z: &z, forced: &[false; 5] };
            let (mut gradient, mut got) = ([7.0; 15], [7.0; 15]);
            if blocks.len() == 1 {
                let before = saved(&together);
                let short = together.advance_into(&step, &error, (&mut got[..14], 3));
                assert!(matches!(short, Err(Error::Length { .. })), "{short:?}");
                assert_eq!((saved(&together), got), (before, [7.0; 15]));
            }
            if t == 3 {
                let huge = Step { z: &[f32::MAX; 7], injection: &[2.0; 5], ..step };
                let lost = together.advance_into(&huge, &error, (&mut got, 3));
                assert!(matches!(lost, Err(Error::NonFinite { .. })), "{lost:?}");
                let lost = together.advance_into(&step, &error, (&mut got, 3));
                assert_eq!(lost, Err(Error::Lost));
                together.reset().unwrap();
                (apart, got) = (new(), [7.0; 15]);
            }
            apart.advance(&step, Some(&error)).unwrap();
            apart.gradient(&mut gradient, 3).unwrap();
            assert_eq!(together.advance_into(&step, &error, (&mut got, 3)), Ok(expected));
            if !expected {
                together.gradient(&mut got, 3).unwrap();
            }
            assert_eq!((got, saved(&together)), (gradient, saved(&apart)), "step {t}");
        }
    }
}

#[test]
fn weights_that_do_not_learn_keep_their_gradient() {
    for case in cases() {
        let spec = Spec::Blocks(case.blocks(0, &Spec::Eager));
        let mut engine =
            build::<f32>(&spec, &case.layout, &case.learns, Isa::best(), Threads::SERIAL).unwrap();
        run(&case, &mut *engine, 0..2);
        let stride = case.layout.widest().max(1);
        let mut gradient = vec![7.0; case.layout.rows() * stride];
        engine.gradient(&mut gradient, stride).unwrap();
        let mut learns = case.learns.iter();
        for row in 0..case.layout.rows() {
            for (j, &value) in gradient[row * stride..][..stride].iter().enumerate() {
                // The rest of a row is padding.
                if j < case.layout.width(row) {
                    let learns = *learns.next().unwrap();
                    assert_eq!(value == 7.0, !learns, "{}, row {row}, column {j}", case.name);
                }
            }
        }
    }
}

#[test]
fn blocks_that_do_not_divide_the_rows_are_refused() {
    let layout = Layout::simple(3, 2).unwrap();
    let block = |states: &[u32], rows: &[u32], weights| Block {
        states: states.to_vec(),
        rows: rows.to_vec(),
        weights,
        engine: Spec::Eager,
    };
    let good = block(&[0, 1], &[0, 1], 4);
    let with = |engine| Block { engine, ..block(&[2], &[2], 2) };
    let custom = Spec::Custom { name: "mine".to_owned(), exact: true };
    for (other, message) in [
        (block(&[2], &[2], 1), "block 1, weights: got 1, expected 2, those of its rows that learn"),
        (
            block(&[2], &[1, 2], 4),
            "block 1, rows: got row 1 again, expected rows that no other block has",
        ),
        (block(&[2, 3], &[2], 2), "block 1, states: got 3, expected a number below 3"),
        (block(&[2, 1], &[2], 2), "block 1, states: got 1 after 2, expected ascending numbers"),
        (block(&[2], &[3], 2), "block 1, rows: got 3, expected a number below 3"),
        (block(&[], &[2], 2), "block 1, states: got none, expected at least one"),
        (
            with(Spec::Blocks(vec![block(&[0], &[0], 2)])),
            "block 1, engine: got blocks, expected eager, deferred or diagonal",
        ),
        (with(custom), "block 1, engine: got a custom one, expected eager, deferred or diagonal"),
    ] {
        let blocks = [good.clone(), other];
        let refused =
            Blocks::<f32>::new(&layout, &[true; 6], &blocks, Isa::best(), Threads::SERIAL);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(message), "{refused}");
    }
    let refused = Blocks::<f32>::new(&layout, &[true; 6], &[good], Isa::best(), Threads::SERIAL);
    let message = "got row 2 in no block, expected every row with a weight that learns";
    assert_eq!(refused.unwrap_err().to_string(), message);
    let drives = [(0, 0), (0, 1)].map(|(row, state)| Drive { row, state });
    let layout = Layout::new(2, vec![0..1; 2], drives.to_vec()).unwrap();
    let refused = Diagonal::<f32>::new(&layout, &[true; 2], Isa::best());
    assert_eq!(refused.unwrap_err(), Error::Drives { row: 0, expected: 1, got: 2 });
}
