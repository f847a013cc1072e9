//! Weights in the names and shapes of `PyTorch`'s `nn.RNN`, with an `nn.Linear` for the readout.
//!
//! A safetensors file holds, for n units, m inputs and o outputs:
//!
//! | tensor | shape | part of W or R |
//! |---|---|---|
//! | `weight_ih_l0` | n x m | columns of the inputs |
//! | `weight_hh_l0` | n x n | columns of the units |
//! | `bias_ih_l0`, `bias_hh_l0` | n | their sum is the column of the bias; none without one |
//! | `readout.weight` | o x n | R without its bias; only with a readout |
//! | `readout.bias` | o | bias of R, if it has one |
//!
//! `nn.RNN` computes `h' = f(W_ih x + b_ih + W_hh h + b_hh)`, which is equations 1 and 2, with f
//! either tanh or relu. Only weights are stored: no state, no masks, no activation.

use std::ops::Range;
use std::path::Path;

use rtrl_kernel::Real;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::store::tensor::{bytes, dtype, numbers};
use crate::{
    Activation, Error, InitialWeights, Matrix, Network, NetworkBuilder, Readout, ReadoutWeights,
    store,
};

const WEIGHT_IH: &str = "weight_ih_l0";
const WEIGHT_HH: &str = "weight_hh_l0";
const BIAS_IH: &str = "bias_ih_l0";
const BIAS_HH: &str = "bias_hh_l0";
const READOUT_WEIGHT: &str = "readout.weight";
const READOUT_BIAS: &str = "readout.bias";
const NAMES: [&str; 6] = [WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, READOUT_WEIGHT, READOUT_BIAS];

/// Writes the weights of a network under the names of `nn.RNN`, in the precision of the network.
/// Absent weights are written as 0, frozen ones like any other, the whole bias as `bias_ih_l0` and
/// zeros as `bias_hh_l0`.
///
/// # Errors
/// [`Error::Setting`] for networks that `nn.RNN` and `nn.Linear` cannot represent: units that are not all tanh or all relu, a network without inputs, a readout that sees the inputs. [`Error::File`] if the file cannot be written (an existing file is then unchanged).
pub fn export<T: Real>(network: &Network<T>, path: &Path) -> Result<(), Error> {
    store::replace(path, &to_bytes(network)?)
}

/// Reads weights under the names of `nn.RNN`, of one layer in one direction, for units with this
/// nonlinearity, which the file does not contain. The returned builder has the weights and the
/// readout; more may be added before [`NetworkBuilder::build`].
///
/// The two biases are added in double precision. Numbers of the file are rounded if `T` is less
/// precise.
///
/// # Errors
/// [`Error::Setting`] if the nonlinearity is neither tanh nor relu, [`Error::File`] if the file
/// cannot be read, [`Error::Format`] if it has other tensors than these, or of inconsistent shapes.
pub fn import<T: Real>(path: &Path, nonlinearity: Activation) -> Result<NetworkBuilder<T>, Error> {
    check_nonlinearity("nonlinearity", std::slice::from_ref(&nonlinearity))?;
    let named = |source| Error::File { path: path.to_owned(), source };
    let weights = Weights::from_bytes(&std::fs::read(path).map_err(named)?)
        .map_err(|reason| Error::Format { what: path.display().to_string(), reason })?;
    Ok(weights.builder(nonlinearity))
}

fn to_bytes<T: Real>(network: &Network<T>) -> Result<Vec<u8>, Error> {
    check_shape(network)?;
    let tensors = tensors(network);
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(dtype::<T>(), shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|error| Error::Format { what: "weights".to_owned(), reason: error.to_string() })
}

/// Fails unless `nn.RNN` and `nn.Linear` can represent the network.
fn check_shape<T: Real>(network: &Network<T>) -> Result<(), Error> {
    check_nonlinearity("activation", network.activations())?;
    let (what, expected, got) = if network.inputs() == 0 {
        ("number of inputs", "at least 1, as in nn.RNN", "0")
    } else if network.leaks().is_some() {
        ("leak", "1, because nn.RNN has no leak", "a number below 1")
    } else if network.readout_sees_inputs() {
        (
            "readout",
            "one of the units alone, like nn.Linear after nn.RNN",
            "one that sees the inputs",
        )
    } else {
        return Ok(());
    };
    Err(Error::Setting { what, expected: expected.to_owned(), got: got.to_owned() })
}

/// Name, shape and contents of every tensor.
fn tensors<T: Real>(network: &Network<T>) -> Vec<(&'static str, Vec<usize>, Vec<u8>)> {
    let (n, m) = (network.units(), network.inputs());
    let weights = network.weights();
    let first_unit = m + usize::from(network.has_bias());
    let mut tensors = vec![
        (WEIGHT_IH, vec![n, m], columns(weights, 0..m)),
        (WEIGHT_HH, vec![n, n], columns(weights, first_unit..first_unit + n)),
    ];
    if network.has_bias() {
        tensors.push((BIAS_IH, vec![n], columns(weights, m..first_unit)));
        tensors.push((BIAS_HH, vec![n], bytes(&vec![T::ZERO; n])));
    }
    if let Some(readout) = network.readout_weights() {
        let outputs = readout.rows();
        tensors.push((READOUT_WEIGHT, vec![outputs, n], columns(readout, 0..n)));
        if network.readout_has_bias() {
            tensors.push((READOUT_BIAS, vec![outputs], columns(readout, n..n + 1)));
        }
    }
    tensors
}

/// These columns of a matrix, row by row.
fn columns<T: Real>(matrix: &Matrix<T>, columns: Range<usize>) -> Vec<u8> {
    matrix.iter_rows().flat_map(|row| bytes(&row[columns.clone()])).collect()
}

/// Fails unless all are tanh or all are relu.
fn check_nonlinearity(what: &'static str, activations: &[Activation]) -> Result<(), Error> {
    let tanh = |activation: &&Activation| !matches!(activation, Activation::Tanh);
    let relu = |activation: &&Activation| !matches!(activation, Activation::Relu);
    let (Some(odd), Some(other)) = (activations.iter().find(tanh), activations.iter().find(relu))
    else {
        return Ok(());
    };
    let expected = "tanh for all units or relu for all, as nn.RNN has".to_owned();
    let got = if matches!(odd, Activation::Relu) { other } else { odd };
    Err(Error::Setting { what, expected, got: got.saved_name() })
}

/// The contents of a file.
struct Weights {
    inputs: usize,
    bias: bool,
    /// In the order (inputs, bias, units).
    rows: Vec<Vec<f64>>,
    readout: Option<Readout>,
}

impl Weights {
    fn from_bytes(contents: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(contents)
            .map_err(|error| format!("not a safetensors file: {error}"))?;
        let names = tensors.names();
        if let Some(odd) = names.iter().find(|name| !NAMES.contains(name)) {
            return Err(format!("got a tensor {odd:?}, expected only {NAMES:?}"));
        }
        let has = |wanted: &str| names.contains(&wanted);
        let [n, m] = matrix_shape(&tensors, WEIGHT_IH)?;
        let mut rows = numbers(&tensors, WEIGHT_IH, None)?.rows();
        let bias = has(BIAS_IH) || has(BIAS_HH);
        if bias {
            let one = numbers(&tensors, BIAS_IH, Some(&[n]))?.values;
            let other = numbers(&tensors, BIAS_HH, Some(&[n]))?.values;
            let sums = one.iter().zip(other).map(|(a, b)| a + b);
            rows.iter_mut().zip(sums).for_each(|(row, sum)| row.push(sum));
        }
        let recurrent = numbers(&tensors, WEIGHT_HH, Some(&[n, n]))?.rows();
        rows.iter_mut().zip(recurrent).for_each(|(row, more)| row.extend(more));
        let readout = has(READOUT_WEIGHT) || has(READOUT_BIAS);
        let readout = readout.then(|| read_readout(&tensors, n, has(READOUT_BIAS))).transpose()?;
        Ok(Self { inputs: m, bias, rows, readout })
    }

    fn builder<T: Real>(self, nonlinearity: Activation) -> NetworkBuilder<T> {
        let builder = Network::builder(self.rows.len(), self.inputs)
            .bias(self.bias)
            .activation(nonlinearity)
            .weights(InitialWeights::given(self.rows));
        match self.readout {
            Some(readout) => builder.readout(readout),
            None => builder,
        }
    }
}

fn read_readout(tensors: &SafeTensors<'_>, units: usize, bias: bool) -> Result<Readout, String> {
    let [outputs, _] = matrix_shape(tensors, READOUT_WEIGHT)?;
    let mut rows = numbers(tensors, READOUT_WEIGHT, Some(&[outputs, units]))?.rows();
    let mut readout = Readout::new(outputs);
    if bias {
        let bias = numbers(tensors, READOUT_BIAS, Some(&[outputs]))?.values;
        rows.iter_mut().zip(bias).for_each(|(row, bias)| row.push(bias));
    } else {
        readout = readout.without_bias();
    }
    Ok(readout.weights(ReadoutWeights::given(rows)))
}

/// The shape of a tensor with two dimensions, neither of them 0.
fn matrix_shape(tensors: &SafeTensors<'_>, name: &str) -> Result<[usize; 2], String> {
    let tensor = tensors.tensor(name).map_err(|error| format!("{name}: {error}"))?;
    match *tensor.shape() {
        [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
        ref other => Err(format!("{name}: got shape {other:?}, expected two dimensions above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 units, 2 inputs, 2 outputs, with an absent and a frozen weight.
    fn builder<T: Real>() -> NetworkBuilder<T> {
        let mut present = vec![vec![true; 6]; 3];
        present[1][4] = false;
        let mut frozen = vec![vec![false; 6]; 3];
        frozen[2][0] = true;
        Network::builder(3, 2)
            .weights(InitialWeights::Normal { gain: 1.5 })
            .connections(present)
            .frozen(frozen)
            .seed(8)
    }

    fn readout() -> Readout {
        Readout::new(2).weights(ReadoutWeights::given(vec![
            vec![0.1, 0.2, 0.3, 0.4],
            vec![-1.0, 0.5, 0.25, -2.0],
        ]))
    }

    fn without_bias() -> Readout {
        let rows = vec![vec![0.1, 0.2, 0.3], vec![-1.0, 0.5, 0.25]];
        readout().without_bias().weights(ReadoutWeights::given(rows))
    }

    fn read(contents: &[u8]) -> Result<Weights, String> {
        Weights::from_bytes(contents)
    }

    /// A file of float64 tensors filled with 0.5.
    fn file_of(list: &[(&str, &[usize])]) -> Vec<u8> {
        let fill = |shape: &[usize]| bytes(&vec![0.5f64; shape.iter().product()]);
        let filled: Vec<_> =
            list.iter().map(|(name, shape)| (*name, *shape, fill(shape))).collect();
        let views = filled.iter().map(|(name, shape, bytes)| {
            (*name, TensorView::new(dtype::<f64>(), shape.to_vec(), bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn check_round_trip<T: Real>() {
        let variants = [
            builder::<T>(),
            Network::builder(4, 1).bias(false).activation(Activation::Relu),
            builder().readout(readout()),
            builder().readout(without_bias()),
        ];
        for variant in variants {
            let network = variant.build().unwrap();
            let weights = read(&to_bytes(&network).unwrap()).unwrap();
            let back = weights.builder(network.activations()[0].clone()).build().unwrap();
            assert_eq!(back.weights(), network.weights());
            assert_eq!(back.readout_weights(), network.readout_weights());
            assert_eq!(back.readout_has_bias(), network.readout_has_bias());
            let input = vec![T::ONE; network.inputs()];
            let (mut ours, mut theirs) = (network.state(), back.state());
            for _ in 0..3 {
                let expected = network.forward(&mut ours, &input).unwrap();
                assert_eq!(back.forward(&mut theirs, &input).unwrap(), expected);
            }
        }
    }

    #[test]
    fn an_exported_network_comes_back() {
        check_round_trip::<f32>();
        check_round_trip::<f64>();
    }

    #[test]
    fn files_are_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rnn.safetensors");
        let network = builder::<f64>().build().unwrap();
        export(&network, &path).unwrap();
        let back = import::<f64>(&path, Activation::Tanh).unwrap().build().unwrap();
        assert_eq!(back.weights(), network.weights());
        assert!(matches!(import::<f64>(&path, Activation::Logistic), Err(Error::Setting { .. })));
        let missing = import::<f64>(&folder.path().join("none"), Activation::Tanh);
        assert!(matches!(missing, Err(Error::File { .. })));
    }

    #[test]
    fn every_tensor_has_its_place() {
        let network = builder::<f64>().readout(readout()).build().unwrap();
        let contents = to_bytes(&network).unwrap();
        let tensors = SafeTensors::deserialize(&contents).unwrap();
        let values = |name, shape: &[usize]| numbers(&tensors, name, Some(shape)).unwrap().values;
        let column = |j: usize| (0..3).map(|i| network.weights()[(i, j)]).collect::<Vec<_>>();
        assert_eq!(values(WEIGHT_IH, &[3, 2])[2..4], network.weights().row(1)[..2]);
        assert_eq!(values(BIAS_IH, &[3]), column(2));
        assert_eq!(values(BIAS_HH, &[3]), [0.0; 3]);
        assert_eq!(values(WEIGHT_HH, &[3, 3])[3..6], network.weights().row(1)[3..]);
        assert_eq!(values(WEIGHT_HH, &[3, 3])[4], 0.0);
        assert_eq!(values(READOUT_WEIGHT, &[2, 3])[3..], [-1.0, 0.5, 0.25]);
        assert_eq!(values(READOUT_BIAS, &[2]), [0.4, -2.0]);
    }

    #[test]
    fn the_two_biases_are_added() {
        let file = file_of(&[
            (WEIGHT_IH, &[2, 1]),
            (WEIGHT_HH, &[2, 2]),
            (BIAS_IH, &[2]),
            (BIAS_HH, &[2]),
        ]);
        assert_eq!(read(&file).unwrap().rows, vec![vec![0.5, 1.0, 0.5, 0.5]; 2]);
    }

    #[test]
    fn what_torch_has_no_layer_for_is_not_exported() {
        let refused = |builder: NetworkBuilder<f32>| {
            to_bytes(&builder.build().unwrap()).unwrap_err().to_string()
        };
        let own = Activation::custom("tanh", |s| s, |_| 1.0);
        let mixed = [Activation::Relu, Activation::Tanh, Activation::Tanh];
        let messages = [
            (refused(builder().activation(Activation::Softplus)), "activation: got softplus"),
            (refused(builder().activation(own)), "activation: got custom:tanh"),
            (refused(builder().activations(mixed)), "activation: got tanh, expected tanh for all"),
            (refused(Network::builder(2, 0)), "number of inputs: got 0"),
            (refused(builder().leak(0.5)), "leak: got a number below 1"),
            (
                refused(builder().readout(Readout::new(1).with_inputs())),
                "readout: got one that sees the inputs",
            ),
        ];
        for (message, expected) in messages {
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn files_of_other_layers_are_refused() {
        let (ih, hh): (&[usize], &[usize]) = (&[2, 3], &[2, 2]);
        let layer = [(WEIGHT_IH, ih), (WEIGHT_HH, hh)];
        let with = |more: &[(&'static str, &'static [usize])]| {
            read(&file_of(&[&layer[..], more].concat())).err().unwrap_or_default()
        };
        assert_eq!(with(&[]), "");
        let cases = [
            (with(&[("weight_ih_l1", &[2, 2])]), "got a tensor \"weight_ih_l1\""),
            (with(&[(BIAS_HH, &[2])]), "bias_ih_l0: "),
            (with(&[(BIAS_IH, &[2])]), "bias_hh_l0: "),
            (with(&[(BIAS_IH, &[2]), (BIAS_HH, &[3])]), "bias_hh_l0: got shape [3], expected [2]"),
            (
                with(&[(READOUT_WEIGHT, &[1, 3])]),
                "readout.weight: got shape [1, 3], expected [1, 2]",
            ),
            (with(&[(READOUT_WEIGHT, &[4])]), "readout.weight: got shape [4], expected two"),
            (with(&[(READOUT_BIAS, &[1])]), "readout.weight: "),
            (
                with(&[(READOUT_WEIGHT, &[1, 2]), (READOUT_BIAS, &[2])]),
                "readout.bias: got shape [2]",
            ),
        ];
        for (reason, expected) in cases {
            assert!(reason.starts_with(expected), "{reason:?}");
        }
        // The gates of nn.LSTM.
        let reason = read(&file_of(&[(WEIGHT_IH, &[8, 3]), (WEIGHT_HH, &[8, 2])])).err().unwrap();
        assert_eq!(reason, "weight_hh_l0: got shape [8, 2], expected [8, 8]");
        assert!(read(&file_of(&[(WEIGHT_IH, &[2, 0]), (WEIGHT_HH, &[2, 2])])).is_err());
        assert!(read(&file_of(&[(WEIGHT_IH, &[2, 1])])).is_err());
        assert!(read(b"no tensors").is_err());
    }

    #[test]
    fn numbers_that_are_not_finite_in_this_precision_are_refused() {
        let huge = Network::<f64>::builder(1, 1)
            .weights(InitialWeights::given(vec![vec![1e300, 0.0, 0.0]]));
        let weights = read(&to_bytes(&huge.build().unwrap()).unwrap()).unwrap();
        assert!(matches!(
            weights.builder::<f32>(Activation::Tanh).build(),
            Err(Error::Setting { .. })
        ));
    }
}
