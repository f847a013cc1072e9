//! What a file must be to be believed.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Fault, Plan, Reader, Tensor, Writer, save};
use crate::Error;

const WEIGHTS: [f64; 6] = [1.5, -2.0, 0.0, 3.25, 1e300, 5e-324];
const STATE: [f32; 3] = [0.1, -0.2, 0.3];

fn tensors() -> Vec<Tensor> {
    vec![
        Tensor::numbers::<f64>("weight", [2, 3]),
        Tensor::numbers::<f64>("nothing", [0, 3]),
        Tensor::numbers::<f32>("state", [3]),
        Tensor::bytes("flags", [2]),
    ]
}

fn plan() -> Plan {
    Plan::new(&json!({"step": 7, "names": ["a", "b"]}), tensors()).unwrap()
}

fn write_all(writer: &mut Writer<'_>) -> Result<(), Error> {
    for row in WEIGHTS.chunks(3) {
        writer.numbers("weight", row)?;
    }
    writer.numbers("state", &STATE)?;
    writer.bytes("flags", &[1, 2])
}

/// A small checkpoint in a folder of its own.
fn saved() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.safetensors");
    save(&path, &plan(), write_all).unwrap();
    (folder, path)
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Container { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

/// The reason why a file of these bytes is refused.
fn refused(path: &Path, bytes: &[u8]) -> Fault {
    fs::write(path, bytes).unwrap();
    fault(Reader::open(path).map(drop).unwrap_err())
}

/// The file with a checksum that fits it.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 32;
    let checksum: [u8; 32] = Sha256::digest(&bytes[..end]).into();
    bytes[end..].copy_from_slice(&checksum);
    bytes
}

fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let place = bytes.windows(old.len()).position(|w| w == old.as_bytes()).unwrap();
    let mut bytes = bytes.to_vec();
    bytes[place..place + new.len()].copy_from_slice(new.as_bytes());
    signed(bytes)
}

#[test]
fn what_was_written_is_read() {
    let (_folder, path) = saved();
    assert_eq!(fs::metadata(&path).unwrap().len(), plan().file_len() as u64);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.contents(), &json!({"step": 7, "names": ["a", "b"]}));
    assert!(reader.tensors().eq(&tensors()));
    for tensor in tensors() {
        reader.expect(&tensor).unwrap();
    }
    for row in [1, 0] {
        let mut values = [0.0f64; 3];
        reader.numbers("weight", 3 * row, &mut values).unwrap();
        assert_eq!(values, WEIGHTS[3 * row..][..3]);
    }
    let (mut state, mut flags) = ([0.0f32; 3], [0; 2]);
    reader.numbers("state", 0, &mut state).unwrap();
    reader.bytes("flags", 0, &mut flags).unwrap();
    assert_eq!((state, flags), (STATE, [1, 2]));
}

/// The safetensors library sees the same tensors, and the checksum is what anyone would compute.
#[test]
fn other_tools_read_it() {
    let (_folder, path) = saved();
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("weight").unwrap().shape(), [2, 3]);
    let state: Vec<u8> = STATE.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(file.tensor("state").unwrap().data(), state);
    let checksum: [u8; 32] = Sha256::digest(&bytes[..bytes.len() - 32]).into();
    assert_eq!(file.tensor("checksum").unwrap().data(), checksum);
}

#[test]
fn every_flipped_bit_is_refused() {
    let (_folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    let mut by_checksum = 0;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        by_checksum += u32::from(matches!(refused(&path, &flipped), Fault::Checksum { .. }));
    }
    // At least in the numbers and in the checksum itself, nothing else can notice.
    assert!(by_checksum >= 8 * (6 * 8 + 3 * 4 + 2 + 32), "{by_checksum}");
    // Negative control: with a checksum that fits, other numbers are a checkpoint.
    let mut other = bytes.clone();
    let number = bytes.len() - 32 - 2 - 12 - 1;
    other[number] ^= 1;
    fs::write(&path, signed(other)).unwrap();
    Reader::open(&path).unwrap();
}

#[test]
fn every_cut_and_whatever_is_added_is_refused() {
    let (_folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    for len in 0..bytes.len() {
        let fault = refused(&path, &bytes[..len]);
        let Fault::CutShort { got, expected } = fault else { panic!("{len}: {fault}") };
        assert!(got == len as u64 && expected > got);
        // Nor with zeros instead of what is missing, as a file system may leave it.
        let mut zeros = bytes[..len].to_vec();
        zeros.resize(bytes.len(), 0);
        refused(&path, &zeros);
    }
    for added in [&b"\0"[..], b" ", &[0; 4096], &bytes] {
        let fault = refused(&path, &[&bytes, added].concat());
        assert!(matches!(fault, Fault::TooLong { .. }), "{fault}");
    }
}

#[test]
fn other_files_are_refused_with_the_reason() {
    let (_folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    let later = replaced(&bytes, "version\\\":2", "version\\\":9");
    assert_eq!(refused(&path, &later), Fault::Version { got: 9, expected: 2 });
    for (old, new, reason) in [
        (
            "format\\\":\\\"rtrl",
            "format\\\":\\\"lrtr",
            "\"lrtr\" version 2, expected \"rtrl\" version 2",
        ),
        ("\"rtrl\":", "\"trlr\":", "no key `rtrl`"),
        ("\"checksum\"", "\"checksun\"", "no checksum of 32 bytes"),
        ("[0,48]", "[8,48]", "offset"),
        ("[2,3]", "[2,4]", "shape"),
        ("\"F32\"", "\"I32\"", "\"state\": got type I32"),
    ] {
        let said = refused(&path, &replaced(&bytes, old, new)).to_string();
        assert!(said.starts_with("not a model or a checkpoint") && said.contains(reason), "{said}");
    }
    let model =
        safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView<'_>)>::new(), None);
    for other in [model.unwrap(), b"a text that is no safetensors file at all".to_vec()] {
        let fault = refused(&path, &other);
        assert!(matches!(fault, Fault::Foreign { .. }), "{fault}");
    }
    // A header's length is not believed before the file has it.
    let huge = [&99_999_999u64.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(refused(&path, &huge), Fault::CutShort { expected: 100_000_007, got: 10 }));
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(matches!(refused(&path, &huge), Fault::Foreign { .. }));
    assert!(matches!(Reader::open(Path::new("/no/such/file")), Err(Error::File { .. })));
}

#[test]
fn asking_for_what_is_not_there_is_an_error() {
    let (_folder, path) = saved();
    let mut reader = Reader::open(&path).unwrap();
    let (mut doubles, mut singles) = ([0.0f64; 3], [0.0f32; 3]);
    for refusal in [
        reader.numbers("weights", 0, &mut doubles),
        reader.numbers("weight", 4, &mut doubles),
        reader.numbers("weight", usize::MAX, &mut doubles),
        reader.numbers("weight", usize::MAX / 8, &mut doubles),
        reader.numbers("weight", 0, &mut singles),
        reader.bytes("weight", 0, &mut [0]),
        reader.expect(&Tensor::numbers::<f64>("weight", [3, 2])),
        reader.expect(&Tensor::numbers::<f32>("weight", [2, 3])),
        reader.expect(&Tensor::bytes("checksum", [32])),
    ] {
        let fault = fault(refusal.unwrap_err());
        assert!(matches!(fault, Fault::Tensor { .. }), "{fault}");
    }
    let missing = reader.expect(&Tensor::bytes("bias", [1])).unwrap_err().to_string();
    assert!(missing.ends_with("tensor `bias`: got none, expected U8 [1]"), "{missing}");
}

type Write = fn(&mut Writer<'_>) -> Result<(), Error>;

/// A writer that does not keep to its plan leaves the old file.
#[test]
fn a_broken_plan_is_an_error() {
    let (folder, path) = saved();
    let bytes = fs::read(&path).unwrap();
    let writers: [(&str, Write); 8] = [
        ("6 elements of F64 of `weight`", |_| Ok(())),
        ("2 elements of U8 of `flags`", |writer| {
            writer.numbers("weight", &WEIGHTS)?;
            writer.numbers("state", &STATE)
        }),
        ("1 element of F64 of `weight`", |writer| {
            writer.numbers("weight", &WEIGHTS[..5])?;
            writer.numbers("weight", &WEIGHTS[..2])
        }),
        ("5 elements of F64 of `weight`", |writer| {
            writer.numbers("weight", &WEIGHTS[..1])?;
            writer.numbers("state", &STATE)
        }),
        ("6 elements of F64 of `weight`", |writer| writer.numbers("weight", &[1.0f32; 6])),
        ("expected no more tensors", |writer| {
            write_all(writer)?;
            writer.bytes("flags", &[3])
        }),
        ("got NaN, expected finite numbers", |writer| writer.numbers("weight", &[f64::NAN])),
        ("got inf, expected finite numbers", |writer| {
            writer.numbers("weight", &[1.0, f64::INFINITY])
        }),
    ];
    for (reason, write) in writers {
        let error = save(&path, &plan(), write).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// Someone else's tool may sign a file with a NaN.
#[test]
fn a_number_that_is_not_finite_is_not_read() {
    let (_folder, path) = saved();
    let mut bytes = fs::read(&path).unwrap();
    let first = plan().file_len() - 32 - 2 - 12 - 48;
    bytes[first..first + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    fs::write(&path, signed(bytes)).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let mut row = [0.0f64; 3];
    reader.numbers("weight", 3, &mut row).unwrap();
    let error = reader.numbers("weight", 0, &mut row).unwrap_err().to_string();
    assert!(error.ends_with("NaN, expected finite numbers"), "{error}");
}

/// Longer than every buffer, in pieces of all sizes.
#[test]
fn a_long_tensor_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.safetensors");
    let values: Vec<f32> = (0..700_001).map(|k: u32| k as f32).collect();
    let tensor = Tensor::numbers::<f32>("p", [values.len()]);
    let plan = Plan::new(&json!(null), vec![tensor]).unwrap();
    save(&path, &plan, |writer| {
        let (mut left, mut len) = (&values[..], 1);
        while !left.is_empty() {
            let (piece, rest) = left.split_at(len.min(left.len()));
            writer.numbers("p", piece)?;
            (left, len) = (rest, len * 2);
        }
        Ok(())
    })
    .unwrap();
    let mut found = vec![0.0f32; values.len()];
    Reader::open(&path).unwrap().numbers("p", 0, &mut found).unwrap();
    assert_eq!(found, values);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error() {
    let error = save(Path::new("/dev/full"), &plan(), write_all).unwrap_err();
    let Error::File { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
