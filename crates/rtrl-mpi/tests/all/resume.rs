//! Checkpoints that another number of ranks resumes.

use std::fs;
use std::path::{Path, PathBuf};

use rtrl_model::store::container::{self, Dtype, Plan, Reader, Tensor};
use rtrl_model::{Error as ModelError, Learner, Real, Recovery, Supplies, Threads};
use rtrl_mpi::mpi::traits::Equivalence;
use rtrl_mpi::{Checkpoints, Error, Ranks};
use serde_json::{Value, json};

use crate::launch::{alone, argument, as_rank, check, command, on_ranks};
use crate::tasks::{ENGINES, STEPS, TASKS, Task, sawtooth, sensitivity_bits, state_bits};

/// Steps at which runs are saved: before the first, with windows of 7 steps empty, partly filled
/// and full, and with unread errors where gradients accumulate.
const SAVED: [u64; 6] = [0, 1, 7, 52, 55, 133];

fn supplies<T: Real>() -> Supplies<T> {
    Supplies { activations: vec![sawtooth()], ..Supplies::default() }
}

fn checkpoints(ranks: &Ranks, folder: &Path, task: Task, engine: usize) -> Checkpoints {
    let name = format!("{}-{engine}", task.name.replace(' ', "-"));
    Checkpoints::new(ranks, folder, &name, SAVED.len()).unwrap()
}

fn each(mut work: impl FnMut(Task, usize)) {
    for task in TASKS {
        (0..ENGINES.len()).for_each(|engine| work(task, engine));
    }
}

fn save(ranks: &Ranks) {
    let folder = PathBuf::from(argument());
    each(|task, engine| {
        let checkpoints = checkpoints(ranks, &folder, task, engine);
        let mut learner = task.sharded::<f32>(ranks, ENGINES[engine]);
        for step in SAVED {
            while learner.steps() < step {
                task.advance(&mut learner).unwrap();
            }
            checkpoints.save(&learner, &json!({ "saved": step })).unwrap();
        }
    });
}

/// Resumes each run at each step and compares its end with that of one process.
fn resume(ranks: &Ranks) {
    let folder = PathBuf::from(argument());
    each(|task, engine| {
        let checkpoints = checkpoints(ranks, &folder, task, engine);
        let mut whole = task.whole::<f32>(ENGINES[engine]);
        // A step in which p overflows is not counted.
        while whole.steps() < STEPS {
            task.advance(&mut whole).unwrap();
        }
        for step in SAVED.into_iter().rev() {
            let what = format!("{} with {:?}, step {step}, {ranks:?}", task.name, ENGINES[engine]);
            let (mut learner, application) = newest::<f32>(&checkpoints).expect(&what);
            assert_eq!((learner.steps(), &application["saved"]), (step, &json!(step)), "{what}");
            while learner.steps() < STEPS {
                task.advance(&mut learner).unwrap();
            }
            assert!(state_bits(&learner) == state_bits(&whole), "{what}");
            let [got, expected] = [&learner, &whole].map(sensitivity_bits);
            let odd = got.iter().zip(&expected).position(|(got, expected)| got != expected);
            let values = odd.map(|i| [got[i], expected[i]].map(f64::from_bits));
            assert!(odd.is_none(), "{what}: place {odd:?} of p is {values:?}");
            // The next newest one.
            if ranks.rank() == 0 {
                fs::remove_file(checkpoints.manifest(step)).unwrap();
            }
            ranks.agree(Ok(())).unwrap();
        }
        assert!(newest::<f32>(&checkpoints).is_none());
    });
}

fn newest<T: Real + Equivalence>(checkpoints: &Checkpoints) -> Option<(Learner<T>, Value)> {
    let latest = checkpoints.latest(&supplies()).unwrap();
    assert!(latest.rejected.is_empty(), "{:?}", latest.rejected);
    latest.found
}

#[test]
fn every_task_on_another_number_of_ranks() {
    let test = "resume::every_task_on_another_number_of_ranks";
    if let Some(ranks) = as_rank(test) {
        return if fs::exists(Path::new(&argument()).join("saved")).unwrap() {
            resume(&ranks);
        } else {
            save(&ranks);
        };
    }
    let _alone = alone();
    for (saved, resumed) in [(2, 3), (3, 2), (1, 7), (7, 4), (4, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let run = |ranks| {
            let output = command(test, ranks, folder.path().to_str().unwrap()).output().unwrap();
            check(&output, &format!("saved by {saved}, resumed by {resumed} ranks"));
        };
        run(saved);
        fs::write(folder.path().join("saved"), "").unwrap();
        run(resumed);
    }
}

/// All files of a run, shards and manifests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// A shard that is damaged, missing or of another save rejects the whole checkpoint, on all ranks.
#[test]
fn a_checkpoint_is_valid_as_a_whole() {
    on_ranks("resume::a_checkpoint_is_valid_as_a_whole", &[3], |ranks| {
        let folder = PathBuf::from(argument());
        let task = TASKS[0];
        let checkpoints = Checkpoints::new(&ranks, &folder, "run", 2).unwrap();
        let mut learner = task.sharded::<f32>(&ranks, ENGINES[1]);
        for step in 0..4 {
            checkpoints.save(&learner, &Value::Null).unwrap();
            // Those of the steps before the last two have been removed.
            let expected = 4 * 2.min(1 + step);
            ranks.agree(Ok(())).unwrap();
            assert_eq!(files(&folder).len(), expected, "{:?}", files(&folder));
            ranks.agree(Ok(())).unwrap();
            task.advance(&mut learner).unwrap();
        }
        let shard = |rank: usize, step: u64| {
            let of_step =
                |path: &PathBuf| path.to_str().unwrap().contains(&format!("/{step:012}-"));
            files(&folder.join(format!("run-shards/rank-{rank}"))).into_iter().find(of_step)
        };
        let newest = |step: u64, rejected: usize| {
            let latest = checkpoints.latest::<f32>(&supplies()).unwrap();
            assert_eq!(latest.found.map(|(learner, _)| learner.steps()), Some(step));
            assert_eq!(latest.rejected.len(), rejected, "{:?}", latest.rejected);
            ranks.agree(Ok(())).unwrap();
        };
        newest(3, 0);
        let path = shard(1, 3).unwrap();
        let whole = fs::read(&path).unwrap();
        ranks.agree(Ok(())).unwrap();
        let replace = |bytes: &[u8]| {
            if ranks.rank() == 0 {
                fs::write(&path, bytes).unwrap();
            }
            ranks.agree(Ok(())).unwrap();
        };
        replace(&whole[..whole.len() - 1]);
        newest(2, 1);
        // A valid shard of another step.
        replace(&fs::read(shard(1, 2).unwrap()).unwrap());
        newest(2, 1);
        replace(&whole);
        newest(3, 0);
        // Saving again replaces the shards of that step, and those of a save that was killed go.
        if ranks.rank() == 0 {
            fs::write(path.with_file_name("000000000009-00000000000000aa.safetensors"), "")
                .unwrap();
        }
        let (learner, _) = checkpoints.latest::<f32>(&supplies()).unwrap().found.unwrap();
        checkpoints.save(&learner, &Value::Null).unwrap();
        ranks.agree(Ok(())).unwrap();
        assert_eq!(files(&folder).len(), 8, "{:?}", files(&folder));
        assert_ne!(shard(1, 3).unwrap(), path);
        newest(3, 0);
        // One process cannot do without the shards, nor save what needs them.
        let alone = learner.save(&folder.join("alone"), &Value::Null).unwrap_err();
        assert!(alone.to_string().contains("being saved by one rank alone"), "{alone}");
        let other = checkpoints.latest::<f64>(&Supplies::default()).unwrap();
        assert!(other.found.is_none() && other.rejected.len() == 2, "{:?}", other.rejected);
    });
}

/// The tensors of a file, with their bytes.
type Tensors = Vec<(Tensor, Vec<u8>)>;

/// Replaces a file by one with other contents, and returns its checksum.
fn rewrite(path: &Path, forge: impl FnOnce(&mut Value, &mut Tensors)) -> String {
    let mut reader = Reader::open(path).unwrap();
    let mut contents = reader.contents().clone();
    let announced: Vec<Tensor> = reader.tensors().cloned().collect();
    let read = |tensor: Tensor| {
        let count = tensor.shape.iter().product();
        let mut bytes = vec![0; count];
        if tensor.dtype == Dtype::F32 {
            let mut numbers = vec![0.0f32; count];
            reader.numbers(&tensor.name, 0, &mut numbers).unwrap();
            bytes = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        } else {
            reader.bytes(&tensor.name, 0, &mut bytes).unwrap();
        }
        (tensor, bytes)
    };
    let mut tensors: Tensors = announced.into_iter().map(read).collect();
    forge(&mut contents, &mut tensors);
    let plan = Plan::new(&contents, tensors.iter().map(|t| t.0.clone()).collect()).unwrap();
    container::save(path, &plan, |writer| {
        tensors.iter().try_for_each(|(tensor, bytes)| {
            if tensor.dtype == Dtype::U8 {
                return writer.bytes(&tensor.name, bytes);
            }
            let numbers = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
            writer.numbers(&tensor.name, &numbers.collect::<Vec<_>>())
        })
    })
    .unwrap();
    let bytes = fs::read(path).unwrap();
    let checksum = &bytes[bytes.len() - 32..];
    checksum.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Files made by hand, with checksums that are right, of which a part of p is missing.
#[test]
fn sensitivities_that_are_missing_are_noticed() {
    on_ranks("resume::sensitivities_that_are_missing_are_noticed", &[2], |ranks| {
        let folder = PathBuf::from(argument());
        let task = TASKS.into_iter().find(|task| task.name == "three streams").unwrap();
        let mut learner = task.sharded::<f32>(&ranks, ENGINES[0]);
        (0..5).for_each(|_| drop(task.advance(&mut learner).unwrap()));
        let states = learner.network().layout().states();
        let columns = learner.engine(0).unwrap().weights();
        let refusal = |name: &str, forge: &dyn Fn(&Path, &Path)| {
            let checkpoints = Checkpoints::new(&ranks, &folder, name, 1).unwrap();
            checkpoints.save(&learner, &Value::Null).unwrap();
            if ranks.rank() == 0 {
                let shards = files(&folder.join(format!("{name}-shards/rank-1")));
                forge(&checkpoints.manifest(learner.steps()), &shards[0]);
            }
            ranks.agree(Ok(())).unwrap();
            let latest = checkpoints.latest::<f32>(&supplies()).unwrap();
            latest.rejected.first().map(ToString::to_string)
        };
        let untouched = refusal("untouched", &|manifest, _| drop(rewrite(manifest, |_, _| {})));
        assert_eq!(untouched, None);
        let unlike = refusal("more-columns", &|manifest, _| {
            rewrite(manifest, |contents, _| {
                let shards = contents["application"]["shards"].as_array_mut().unwrap();
                shards.push(json!({"weights": 5, "checksum": ""}));
            });
        });
        let expected = format!("got shards of {} columns, expected {columns}", columns + 5);
        assert!(unlike.as_ref().is_some_and(|got| got.contains(&expected)), "{unlike:?}");
        let missing = refusal("no-p", &|manifest, shard| {
            let name = "stream.1.sensitivities";
            let checksum = rewrite(shard, |_, tensors| tensors.retain(|(t, _)| t.name != name));
            rewrite(manifest, |contents, _| {
                contents["application"]["shards"][1]["checksum"] = json!(checksum);
            });
        });
        let expected = "`stream.1.sensitivities`: got none";
        assert!(missing.as_ref().is_some_and(|got| got.contains(expected)), "{missing:?}");
        let lost = refusal("a-lost-stream", &|manifest, _| {
            rewrite(manifest, |contents, tensors| {
                contents["counts"]["stream.0.lost"] = json!(true);
                tensors.retain(|(tensor, _)| !tensor.name.starts_with("stream.0.engine."));
                let p = Tensor::numbers::<f32>("stream.0.engine.sensitivities", [states, columns]);
                tensors.insert(0, (p, vec![0; 4 * states * columns]));
            });
        });
        let expected = "got sensitivities of 2 streams, expected those of 3";
        assert!(lost.as_ref().is_some_and(|got| got.contains(expected)), "{lost:?}");
    });
}

/// A learner of one process has no shards.
#[test]
fn an_engine_that_is_not_sharded_is_not_saved() {
    on_ranks("resume::an_engine_that_is_not_sharded_is_not_saved", &[2], |ranks| {
        let folder = PathBuf::from(argument());
        let checkpoints = Checkpoints::new(&ranks, &folder, "run", 1).unwrap();
        let learner = TASKS[0].whole::<f32>(ENGINES[0]);
        let refused = checkpoints.save(&learner, &Value::Null).unwrap_err().to_string();
        assert!(refused.contains("engine to be saved: got Eager, expected a sharded"), "{refused}");
        assert!(files(&folder).is_empty());
    });
}

/// A stream that has lost its sensitivities must be reset first.
#[test]
fn lost_sensitivities_are_not_saved() {
    on_ranks("resume::lost_sensitivities_are_not_saved", &[2], |ranks| {
        let folder = PathBuf::from(argument());
        let task = TASKS.into_iter().find(|task| task.name == "expanding").unwrap();
        let recovery = Recovery { skip_updates: true, ..Recovery::default() };
        let builder = task.builder::<f32>(task.network()).recovery(recovery);
        let mut learner = ranks.build(builder, ENGINES[0], Threads::SERIAL).unwrap();
        let lost = (0..STEPS).find_map(|_| task.advance(&mut learner).err()).unwrap();
        assert!(matches!(lost, ModelError::Overflow { .. }), "{lost}");
        let checkpoints = Checkpoints::new(&ranks, &folder, "run", 1).unwrap();
        let refused = checkpoints.save(&learner, &Value::Null).unwrap_err();
        assert!(matches!(refused, Error::Model(_)), "{refused}");
        learner.reset_sensitivities().unwrap();
        checkpoints.save(&learner, &Value::Null).unwrap();
        ranks.agree(Ok(())).unwrap();
        assert_eq!(files(&folder).len(), 3);
        ranks.agree(Ok(())).unwrap();
    });
}
