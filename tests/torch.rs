//! Networks with weights that `PyTorch` wrote, against what it computes with them: modules with one
//! to three layers, with two biases, and some with a readout.
//!
//! `benches/peers/torch_values.py` made the files in `tests/torch`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use rtrl_bench::compare::relative_to_largest;
use rtrl_model::store::torch::{Prefixes, export, import};
use rtrl_model::{Activation, Network, Real};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

const UNITS: usize = 4;

/// The name of each module, with the blocks of rows in its tensors.
fn modules() -> Vec<(String, usize)> {
    let kinds = [("rnn", 1), ("gru", 3), ("lstm", 4)];
    let layers = |(kind, blocks)| (1..=3).map(move |layers| (format!("{kind}-{layers}"), blocks));
    kinds.into_iter().flat_map(layers).collect()
}

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/torch");
    folder.join(format!("{name}.safetensors"))
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Bytes of the tensor of this name.
fn bytes<'f>(file: &SafeTensors<'f>, name: &str) -> &'f [u8] {
    file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}")).data()
}

fn network<T: Real>(path: &Path) -> Network<T> {
    import(path, Prefixes::default(), &Activation::Tanh).unwrap().build().unwrap()
}

/// The largest difference from `PyTorch` of the outputs and of the state at the end, relative to
/// the largest of each.
fn difference<T: Real>(name: &str, weights: &Path) -> f64 {
    let values = std::fs::read(path("values")).unwrap();
    let values = SafeTensors::deserialize(&values).unwrap();
    let expected = |what: &str| numbers(bytes(&values, &format!("{name}.{what}")));
    let rounded = |values: Vec<f64>| values.into_iter().map(T::from_f64).collect::<Vec<T>>();
    let exact = |values: &[T]| values.iter().map(|value| value.to_f64()).collect::<Vec<f64>>();

    let network = network::<T>(weights);
    let mut state = network.state();
    state.restart(&rounded(expected("start"))).unwrap();
    let (x, mut outputs) = (rounded(numbers(bytes(&values, "x"))), Vec::new());
    let top = network.readout_weights().map_or(network.units() - UNITS, |_| 0);
    for x in x.chunks(network.inputs()) {
        outputs.extend(exact(&network.forward(&mut state, x).unwrap()[top..]));
    }
    let off = relative_to_largest(&outputs, &expected("outputs"));
    off.max(relative_to_largest(&exact(state.values()), &expected("end")))
}

#[test]
fn imported_weights_compute_what_pytorch_computes() {
    for (name, _) in modules() {
        let (double, single) =
            (difference::<f64>(&name, &path(&name)), difference::<f32>(&name, &path(&name)));
        println!("{name}: {double:.1e} in float64, {single:.1e} in float32");
        assert!(double <= 1e-12, "{name} in float64: {double:e}");
        assert!(single <= 1e-5, "{name} in float32: {single:e}");
    }
}

/// Writes the file again with two blocks of rows swapped in one tensor.
fn swap(name: &str, tensor: &str, [one, other]: [usize; 2], to: &Path) {
    let contents = std::fs::read(path(name)).unwrap();
    let file = SafeTensors::deserialize(&contents).unwrap();
    let view = file.tensor(tensor).unwrap();
    let row = view.data().len() / view.shape()[0];
    let mut blocks: Vec<_> = view.data().chunks(UNITS * row).collect();
    blocks.swap(one, other);
    let swapped = blocks.concat();
    let view = TensorView::new(view.dtype(), view.shape().to_vec(), &swapped).unwrap();
    let others = file.tensors().into_iter().filter(|(other, _)| other != tensor);
    let tensors = others.chain([(tensor.to_owned(), view)]);
    std::fs::write(to, safetensors::serialize(tensors, None).unwrap()).unwrap();
}

/// Negative control: another order of the gates in any one tensor is noticed.
#[test]
fn swapped_gates_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("swapped.safetensors");
    for (name, blocks) in modules() {
        for other in 1..blocks {
            for tensor in ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"] {
                swap(&name, tensor, [other - 1, other], &to);
                let off = difference::<f32>(&name, &to);
                assert!(off > 1e-3, "{name}, {tensor}, block {other}: {off:e}");
            }
        }
    }
}

/// What an export of the module's two biases of a layer holds: the candidate of a GRU has two
/// biases, all other rows have one, the sum.
fn exported_biases(blocks: usize, of_inputs: &[f64], of_units: &[f64]) -> [Vec<f64>; 2] {
    let both = of_inputs.iter().zip(of_units).enumerate();
    let pairs = both.map(|(row, (&ih, &hh))| {
        let is_candidate = blocks == 3 && row / UNITS == 2;
        if is_candidate { (ih, hh) } else { (ih + hh, 0.0) }
    });
    let (of_inputs, of_units) = pairs.unzip();
    [of_inputs, of_units]
}

#[test]
fn exported_matrices_are_the_bytes_that_pytorch_wrote_and_biases_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    for (name, blocks) in modules() {
        export(&network::<f64>(&path(&name)), &first).unwrap();
        let [original, back] = [&path(&name), &first].map(|path| std::fs::read(path).unwrap());
        let [from, to] = [&original, &back].map(|file| SafeTensors::deserialize(file).unwrap());
        for tensor in from.names() {
            let (was, is) = (from.tensor(tensor).unwrap(), to.tensor(tensor).unwrap());
            assert_eq!((was.shape(), was.dtype()), (is.shape(), is.dtype()), "{name}, {tensor}");
            if !tensor.starts_with("bias") {
                assert!(was.data() == is.data(), "{name}, {tensor}");
            }
        }
        assert_eq!(from.len(), to.len());
        for l in (0..).take_while(|l| from.tensor(&format!("bias_ih_l{l}")).is_ok()) {
            let names = ["ih", "hh"].map(|side| format!("bias_{side}_l{l}"));
            let [ih, hh] = [&names[0], &names[1]].map(|name| numbers(bytes(&from, name)));
            let got = [&names[0], &names[1]].map(|name| numbers(bytes(&to, name)));
            assert_eq!(got, exported_biases(blocks, &ih, &hh), "{name}, layer {l}");
        }
        export(&network::<f64>(&first), &second).unwrap();
        assert!(back == std::fs::read(&second).unwrap(), "{name}");
    }
}
