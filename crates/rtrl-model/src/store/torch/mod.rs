//! Weights in the names and shapes of `PyTorch`'s `nn.RNN`, `nn.GRU` and `nn.LSTM`, with an
//! `nn.Linear` for the readout.
//!
//! A safetensors file holds, for each layer `{l}` of n units with m inputs, and for o outputs:
//!
//! | tensor | shape | part of W or R |
//! |---|---|---|
//! | `weight_ih_l{l}` | b n x m | columns of the inputs |
//! | `weight_hh_l{l}` | b n x n | columns of the units |
//! | `bias_ih_l{l}`, `bias_hh_l{l}` | b n | the column of the bias; none without one |
//! | `readout.weight` | o x n | R without its bias; only with a readout |
//! | `readout.bias` | o | bias of R, if it has one |
//!
//! There are b blocks of rows, one row a unit in each: one of an `nn.RNN`, three of an `nn.GRU` and
//! four of an `nn.LSTM`. The blocks r, z and n of an `nn.GRU` are r, u, and v and w together: v
//! sees the inputs, w the units, each with one of the two biases. Other rows have the sum of both.
//!
//! `nn.RNN` computes `h' = f(W_ih x + b_ih + W_hh h + b_hh)`, which is equations 1 and 2, with f
//! either tanh or relu. Only weights are stored: no state, no masks, no activation.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | whole networks |
//! | `layer.rs` | the tensors of one layer |

mod layer;

use std::ops::Range;
use std::path::Path;

use rtrl_kernel::Real;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use self::layer::{Entry, LayerWeights, matrix_shape};
use crate::store::tensor::{bytes, dtype, numbers};
use crate::{
    Activation, Cell, Error, InitialWeights, Matrix, Network, NetworkBuilder, Readout,
    ReadoutWeights, store,
};

/// What the names of the readout's tensors start with next to layers without a prefix, unless
/// [`Prefixes::readout`] says otherwise.
const READOUT: &str = "readout.";

/// What the names of the tensors in a file start with, in files of modules that contain an
/// `nn.RNN`, `nn.GRU` or `nn.LSTM`. By default, the names are those of the table above.
///
/// ```no_run
/// use std::path::Path;
///
/// use rtrl_model::store::torch::{Prefixes, import};
/// use rtrl_model::{Activation, Network};
///
/// # fn main() -> Result<(), rtrl_model::Error> {
/// // The state_dict of a module with `self.lstm = nn.LSTM(...)` and `self.fc = nn.Linear(...)`.
/// let prefixes = Prefixes { layers: "lstm.", readout: Some("fc.") };
/// let network: Network<f32> =
///     import(Path::new("module.safetensors"), prefixes, &Activation::Tanh)?.build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Prefixes<'n> {
    /// Of the tensors of the layers.
    pub layers: &'n str,
    /// Of `weight` and `bias` of the readout; `weight` must be there. `None` reads no readout if
    /// `layers` is a prefix; if it is empty, it reads `readout.` where there are such tensors.
    pub readout: Option<&'n str>,
}

impl<'n> Prefixes<'n> {
    /// Of the tensors of the readout, if any are to be read.
    fn of_readout(self) -> Option<&'n str> {
        self.readout.or(self.layers.is_empty().then_some(READOUT))
    }
}

/// Writes the weights of a network under the names of `nn.RNN`, `nn.GRU` or `nn.LSTM`, in the
/// precision of the network. Absent weights are written as 0, frozen ones like any other. A bias
/// that is the sum of two is written as `bias_ih`, next to zeros.
///
/// # Errors
/// [`Error::Setting`] for networks that these and `nn.Linear` cannot represent: layers of unequal
/// cells or sizes or with heads, simple units that are not all tanh or all relu or that leak, a
/// network without inputs, a readout that sees the inputs. [`Error::File`] if the file cannot be
/// written (an existing file is then unchanged).
pub fn export<T: Real>(network: &Network<T>, path: &Path) -> Result<(), Error> {
    store::replace(path, &to_bytes(network)?)
}

/// [`export`] to memory: the bytes of the safetensors file.
///
/// # Errors
/// As [`export`], without those of files.
pub fn to_bytes<T: Real>(network: &Network<T>) -> Result<Vec<u8>, Error> {
    check_shape(network)?;
    let tensors = tensors(network);
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.as_str(), TensorView::new(dtype::<T>(), shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|error| Error::Format { what: "weights".to_owned(), reason: error.to_string() })
}

/// Reads weights under the names of `nn.RNN`, `nn.GRU` or `nn.LSTM`, of any number of layers in one
/// direction. Units of an `nn.RNN` get this nonlinearity, which the file does not contain. The
/// returned builder has the weights and the readout; more may be added before
/// [`NetworkBuilder::build`].
///
/// Tensors whose names start with neither prefix are not read. With the default ones, there are no
/// such tensors.
///
/// Biases are added in double precision. Numbers of the file are rounded if `T` is less precise.
///
/// # Errors
/// [`Error::Setting`] if the nonlinearity is neither tanh nor relu, [`Error::File`] if the file
/// cannot be read, [`Error::Format`] if it has other tensors than these under one of the prefixes,
/// or of inconsistent shapes.
pub fn import<T: Real>(
    path: &Path,
    prefixes: Prefixes<'_>,
    nonlinearity: &Activation,
) -> Result<NetworkBuilder<T>, Error> {
    let named = |source| Error::File { path: path.to_owned(), source };
    let contents = std::fs::read(path).map_err(named)?;
    described_by(&contents, path.display().to_string(), prefixes, nonlinearity)
}

/// [`import`] of the bytes of a safetensors file.
///
/// # Errors
/// As [`import`], without those of files.
pub fn from_bytes<T: Real>(
    contents: &[u8],
    prefixes: Prefixes<'_>,
    nonlinearity: &Activation,
) -> Result<NetworkBuilder<T>, Error> {
    described_by(contents, "weights".to_owned(), prefixes, nonlinearity)
}

/// What `contents`, which errors call `what`, describe.
fn described_by<T: Real>(
    contents: &[u8],
    what: String,
    prefixes: Prefixes<'_>,
    nonlinearity: &Activation,
) -> Result<NetworkBuilder<T>, Error> {
    check_nonlinearity("nonlinearity", std::slice::from_ref(nonlinearity))?;
    let weights =
        Weights::from_bytes(contents, prefixes).map_err(|reason| Error::Format { what, reason })?;
    Ok(weights.builder(nonlinearity))
}

/// Fails unless a module of `PyTorch`'s and `nn.Linear` can represent the network.
fn check_shape<T: Real>(network: &Network<T>) -> Result<(), Error> {
    check_layers(network)?;
    let layers = network.layers();
    let activations: Vec<_> = layers.iter().flat_map(|l| l.activations().iter().cloned()).collect();
    check_nonlinearity("activation", &activations)?;
    let (what, expected, got) = if network.inputs() == 0 {
        ("number of inputs", "at least 1, as in nn.RNN", "0")
    } else if layers.iter().any(|layer| layer.leaks().is_some()) {
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

/// Fails unless all layers have the cell and the size of the first one, and none has heads.
fn check_layers<T: Real>(network: &Network<T>) -> Result<(), Error> {
    if let Some(divided) = network.layers().iter().find(|layer| layer.heads() > 1) {
        return Err(Error::Setting {
            what: "layer",
            expected: "units that all see each other, as in nn.RNN".to_owned(),
            got: format!("one of {} heads", divided.heads()),
        });
    }
    let describe = |layer: &crate::Layer<T>| (layer.cell(), layer.units());
    let mut layers = network.layers().iter().map(describe);
    let Some((cell, units)) = layers.next() else { return Ok(()) };
    match layers.find(|&other| other != (cell, units)) {
        None => Ok(()),
        Some((other, count)) => Err(Error::Setting {
            what: "layer",
            expected: format!("{units} {cell} units, as in the first layer"),
            got: format!("one of {count} {other} units"),
        }),
    }
}

fn tensors<T: Real>(network: &Network<T>) -> Vec<Entry> {
    let layers = network.layers().iter().enumerate();
    let mut tensors: Vec<Entry> =
        layers.flat_map(|(l, layer)| layer::tensors(l, layer, network.weights())).collect();
    if let (Some(readout), Some(top)) = (network.readout_weights(), network.layers().last()) {
        let (outputs, n) = (readout.rows(), top.units());
        let [weight, bias] = readout_names(READOUT);
        tensors.push((weight, vec![outputs, n], columns(readout, 0..n)));
        if network.readout_has_bias() {
            tensors.push((bias, vec![outputs], columns(readout, n..n + 1)));
        }
    }
    tensors
}

/// The names of the weights and the bias of the readout.
fn readout_names(prefix: &str) -> [String; 2] {
    ["weight", "bias"].map(|name| format!("{prefix}{name}"))
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
    bias: bool,
    layers: Vec<LayerWeights>,
    readout: Option<Readout>,
}

impl Weights {
    fn from_bytes(contents: &[u8], prefixes: Prefixes<'_>) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(contents)
            .map_err(|error| format!("not a safetensors file: {error}"))?;
        let all = tensors.names();
        let has = |wanted: &String| all.contains(&wanted.as_str());
        let of_layer = |l: usize| layer::names(prefixes.layers, l);
        let count = (1..=all.len()).take_while(|&l| of_layer(l).iter().any(has)).count() + 1;
        let of_readout = prefixes.of_readout().map(readout_names);
        let known = (0..count).flat_map(of_layer).chain(of_readout.iter().flatten().cloned());
        check_names(&all, prefixes, known)?;
        let bias = (0..count).any(|l| of_layer(l)[2..].iter().any(has));
        let mut layers: Vec<LayerWeights> = Vec::new();
        for l in 0..count {
            let inputs = layers.last().map(|below| below.units);
            layers.push(LayerWeights::read(&tensors, &of_layer(l), inputs, bias)?);
        }
        let top = layers.last().map_or(0, |layer| layer.units);
        let is_read = |names: &[String; 2]| prefixes.readout.is_some() || names.iter().any(has);
        let readout = of_readout
            .filter(is_read)
            .map(|names| read_readout(&tensors, &names, top, has(&names[1])))
            .transpose()?;
        Ok(Self { bias, layers, readout })
    }

    fn builder<T: Real>(self, nonlinearity: &Activation) -> NetworkBuilder<T> {
        let mut layers = self.layers.into_iter();
        let first = layers.next().map(|layer| {
            let builder = Network::builder(layer.units, layer.inputs).bias(self.bias);
            described(builder, layer, nonlinearity)
        });
        // A file without layers has been refused.
        let first = first.unwrap_or_else(|| Network::builder(0, 0));
        let builder = layers
            .fold(first, |below, layer| described(below.layer(layer.units), layer, nonlinearity));
        match self.readout {
            Some(readout) => builder.readout(readout),
            None => builder,
        }
    }
}

/// Describes the layer that `builder` has begun.
fn described<T: Real>(
    builder: NetworkBuilder<T>,
    layer: LayerWeights,
    nonlinearity: &Activation,
) -> NetworkBuilder<T> {
    let builder = builder.cell(layer.cell).weights(InitialWeights::given(layer.rows));
    match layer.cell {
        Cell::Simple => builder.activation(nonlinearity.clone()),
        Cell::Gru | Cell::Lstm => builder,
    }
}

/// Fails if a tensor under one of the prefixes has none of these names.
fn check_names(
    names: &[&str],
    prefixes: Prefixes<'_>,
    known: impl Iterator<Item = String>,
) -> Result<(), String> {
    let known: Vec<String> = known.collect();
    let read = [Some(prefixes.layers), prefixes.of_readout()];
    let is_read = |name: &str| read.iter().flatten().any(|prefix| name.starts_with(prefix));
    let is_odd = |name: &&&str| is_read(name) && !known.iter().any(|known| known == **name);
    match names.iter().filter(is_odd).min() {
        None => Ok(()),
        Some(odd) => {
            let known: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            Err(format!("got tensor {odd:?}, expected only {}", known.join(", ")))
        }
    }
}

fn read_readout(
    tensors: &SafeTensors<'_>,
    [weight_name, bias_name]: &[String; 2],
    units: usize,
    bias: bool,
) -> Result<Readout, String> {
    let [outputs, _] = matrix_shape(tensors, weight_name)?;
    let mut rows = numbers(tensors, weight_name, Some(&[outputs, units]))?.rows();
    let mut readout = Readout::new(outputs);
    if bias {
        let bias = numbers(tensors, bias_name, Some(&[outputs]))?.values;
        rows.iter_mut().zip(bias).for_each(|(row, bias)| row.push(bias));
    } else {
        readout = readout.without_bias();
    }
    Ok(readout.weights(ReadoutWeights::given(rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const READOUT_WEIGHT: &str = "readout.weight";
    const READOUT_BIAS: &str = "readout.bias";

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
        Weights::from_bytes(contents, Prefixes::default())
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
            let back = weights.builder(&network.layers()[0].activations()[0]).build().unwrap();
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
        let back =
            import::<f64>(&path, Prefixes::default(), &Activation::Tanh).unwrap().build().unwrap();
        assert_eq!(back.weights(), network.weights());
        assert!(matches!(
            import::<f64>(&path, Prefixes::default(), &Activation::Logistic),
            Err(Error::Setting { .. })
        ));
        let missing =
            import::<f64>(&folder.path().join("none"), Prefixes::default(), &Activation::Tanh);
        assert!(matches!(missing, Err(Error::File { .. })));
    }

    #[test]
    fn every_tensor_has_its_place() {
        let network = builder::<f64>().readout(readout()).build().unwrap();
        let contents = to_bytes(&network).unwrap();
        let tensors = SafeTensors::deserialize(&contents).unwrap();
        let values = |name, shape: &[usize]| numbers(&tensors, name, Some(shape)).unwrap().values;
        let column = |j: usize| (0..3).map(|i| network.weights()[(i, j)]).collect::<Vec<_>>();
        assert_eq!(values("weight_ih_l0", &[3, 2])[2..4], network.weights().row(1)[..2]);
        assert_eq!(values("bias_ih_l0", &[3]), column(2));
        assert_eq!(values("bias_hh_l0", &[3]), [0.0; 3]);
        assert_eq!(values("weight_hh_l0", &[3, 3])[3..6], network.weights().row(1)[3..]);
        assert_eq!(values("weight_hh_l0", &[3, 3])[4], 0.0);
        assert_eq!(values(READOUT_WEIGHT, &[2, 3])[3..], [-1.0, 0.5, 0.25]);
        assert_eq!(values(READOUT_BIAS, &[2]), [0.4, -2.0]);
    }

    fn gated(cell: Cell, layers: usize) -> NetworkBuilder<f64> {
        let first = Network::<f64>::builder(3, 2).seed(4);
        let first = first.cell(cell).weights(InitialWeights::Torch);
        (1..layers).fold(first, |below, _| below.layer(3).cell(cell).weights(InitialWeights::Torch))
    }

    #[test]
    fn gated_units_and_layers_come_back() {
        for (cell, layers) in
            [(Cell::Gru, 1), (Cell::Lstm, 1), (Cell::Gru, 2), (Cell::Lstm, 3), (Cell::Simple, 2)]
        {
            for network in [
                gated(cell, layers).readout(Readout::new(1)).build().unwrap(),
                gated(cell, layers).bias(false).build().unwrap(),
            ] {
                let weights = read(&to_bytes(&network).unwrap()).unwrap();
                let back = weights.builder::<f64>(&Activation::Tanh).build().unwrap();
                assert_eq!(back.weights(), network.weights(), "{layers} layers of {cell} units");
                assert_eq!(back.connections(), network.connections());
                assert_eq!(back.readout_weights(), network.readout_weights());
                let run = |network: &Network<f64>| {
                    network.run(&mut network.state(), 3, &[0.5, -1.0, 2.0, 0.1, 0.0, 1.0]).unwrap()
                };
                assert_eq!(run(&back), run(&network));
            }
        }
    }

    /// One step of `nn.GRU`, with its names and in its blocks.
    #[test]
    fn the_blocks_of_a_gru_are_those_of_torch() {
        let network = gated(Cell::Gru, 1).build().unwrap();
        let contents = to_bytes(&network).unwrap();
        let tensors = SafeTensors::deserialize(&contents).unwrap();
        let values = |name, shape: &[usize]| numbers(&tensors, name, Some(shape)).unwrap().values;
        let (w_ih, w_hh) = (values("weight_ih_l0", &[9, 2]), values("weight_hh_l0", &[9, 3]));
        let (b_ih, b_hh) = (values("bias_ih_l0", &[9]), values("bias_hh_l0", &[9]));
        let (x, h) = ([0.7, -0.4], [0.3, -0.9, 0.5]);
        let dot = |w: &[f64], v: &[f64]| w.iter().zip(v).map(|(w, v)| w * v).sum::<f64>();
        let of_x = |row: usize| dot(&w_ih[2 * row..][..2], &x) + b_ih[row];
        let of_h = |row: usize| dot(&w_hh[3 * row..][..3], &h) + b_hh[row];
        let mut state = network.state();
        state.restart(&h).unwrap();
        let got = network.forward(&mut state, &x).unwrap();
        for k in 0..3 {
            let logistic = |s: f64| 1.0 / (1.0 + (-s).exp());
            let r = logistic(of_x(k) + of_h(k));
            let z = logistic(of_x(3 + k) + of_h(3 + k));
            let n = (of_x(6 + k) + r * of_h(6 + k)).tanh();
            assert!((got[k] - ((1.0 - z) * n + z * h[k])).abs() < 1e-14, "unit {k}");
        }
    }

    #[test]
    fn layers_of_unequal_cells_or_sizes_are_not_exported() {
        for builder in [gated(Cell::Gru, 2).layer(3), gated(Cell::Gru, 1).layer(4).cell(Cell::Gru)]
        {
            let message = to_bytes(&builder.build().unwrap()).unwrap_err().to_string();
            assert!(message.contains("expected 3 gru units, as in the first layer"), "{message}");
        }
    }

    #[test]
    fn the_two_biases_are_added() {
        let file = file_of(&[
            ("weight_ih_l0", &[2, 1]),
            ("weight_hh_l0", &[2, 2]),
            ("bias_ih_l0", &[2]),
            ("bias_hh_l0", &[2]),
        ]);
        assert_eq!(read(&file).unwrap().layers[0].rows, vec![vec![0.5, 1.0, 0.5, 0.5]; 2]);
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
            (refused(Network::builder(3, 2).heads_of(1)), "layer: got one of 3 heads, expected"),
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
        let layer = [("weight_ih_l0", ih), ("weight_hh_l0", hh)];
        let with = |more: &[(&'static str, &'static [usize])]| {
            read(&file_of(&[&layer[..], more].concat())).err().unwrap_or_default()
        };
        assert_eq!(with(&[]), "");
        let cases = [
            (with(&[("weight_ih_l1", &[2, 2])]), "weight_hh_l1: "),
            (with(&[("weight_ih_l2", &[2, 2])]), "got tensor \"weight_ih_l2\""),
            (with(&[("weight_ih_l0_reverse", &[2, 2])]), "got tensor \"weight_ih_l0_reverse\""),
            (
                with(&[("weight_ih_l1", &[2, 3]), ("weight_hh_l1", &[2, 2])]),
                "weight_ih_l1: got shape [2, 3], expected [2, 2]",
            ),
            (with(&[("bias_hh_l0", &[2])]), "bias_ih_l0: "),
            (with(&[("bias_ih_l0", &[2])]), "bias_hh_l0: "),
            (
                with(&[("bias_ih_l0", &[2]), ("bias_hh_l0", &[3])]),
                "bias_hh_l0: got shape [3], expected [2]",
            ),
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
        let odd =
            |rows| read(&file_of(&[("weight_ih_l0", &[rows, 3]), ("weight_hh_l0", &[rows, 2])]));
        let reason = odd(10).err().unwrap();
        assert_eq!(reason, "weight_hh_l0: got shape [10, 2], expected [10, 10]");
        assert_eq!(odd(7).err().unwrap(), "weight_ih_l0: got shape [7, 3], expected [6, 3]");
        assert!(read(&file_of(&[("weight_ih_l0", &[2, 0]), ("weight_hh_l0", &[2, 2])])).is_err());
        assert!(read(&file_of(&[("weight_ih_l0", &[2, 1])])).is_err());
        assert!(read(b"no tensors").is_err());
    }

    #[test]
    fn tensors_are_found_under_the_prefixes_of_a_module() {
        let network = builder::<f64>().readout(readout()).build().unwrap();
        let contents = to_bytes(&network).unwrap();
        let file = SafeTensors::deserialize(&contents).unwrap();
        let with = |more: &[&str], readout: Option<&str>| {
            let renamed = |name: &str| match name.strip_prefix(READOUT) {
                Some(of_readout) => format!("fc.{of_readout}"),
                None => format!("rnn.{name}"),
            };
            let mut tensors: Vec<_> =
                file.tensors().into_iter().map(|(name, view)| (renamed(&name), view)).collect();
            let odd = file.tensor(READOUT_BIAS).unwrap();
            tensors.extend(more.iter().map(|&name| (name.to_owned(), odd.clone())));
            let contents = safetensors::serialize(tensors, None).unwrap();
            let prefixes = Prefixes { layers: "rnn.", readout };
            from_bytes::<f64>(&contents, prefixes, &Activation::Tanh)?.build()
        };
        let back = with(&["embedding.weight", "weight_ih_l0", "readouts"], Some("fc.")).unwrap();
        assert_eq!(back.weights(), network.weights());
        assert_eq!(back.readout_weights(), network.readout_weights());
        assert!(back.has_bias());
        for more in [&[][..], &[READOUT_WEIGHT], &[READOUT_BIAS, "readout.0.weight"]] {
            assert!(with(more, None).unwrap().readout_weights().is_none(), "{more:?}");
        }
        assert!(with(&["rnn.readout.weight"], None).is_err());
        let refused = |more: &[&str], readout| with(more, Some(readout)).unwrap_err().to_string();
        let expected = "weights: got tensor \"rnn.other\", expected only \"rnn.weight_ih_l0\", \
                        \"rnn.weight_hh_l0\", \"rnn.bias_ih_l0\", \"rnn.bias_hh_l0\", \
                        \"fc.weight\", \"fc.bias\"";
        assert_eq!(refused(&["rnn.z", "rnn.other"], "fc."), expected);
        assert!(refused(&["fc.2.weight"], "fc.").contains("got tensor \"fc.2.weight\""));
        assert!(refused(&[], "head.").starts_with("weights: head.weight: "));
        let without = from_bytes::<f64>(&contents, Prefixes::default(), &Activation::Tanh);
        assert!(without.unwrap().build().unwrap().readout_weights().is_some());
        let elsewhere = Prefixes { layers: "lstm.", readout: None };
        let message = from_bytes::<f64>(&contents, elsewhere, &Activation::Tanh).unwrap_err();
        assert!(message.to_string().starts_with("weights: lstm.weight_ih_l0: "), "{message}");
    }

    #[test]
    fn numbers_that_are_not_finite_in_this_precision_are_refused() {
        let huge = Network::<f64>::builder(1, 1)
            .weights(InitialWeights::given(vec![vec![1e300, 0.0, 0.0]]));
        let weights = read(&to_bytes(&huge.build().unwrap()).unwrap()).unwrap();
        assert!(matches!(
            weights.builder::<f32>(&Activation::Tanh).build(),
            Err(Error::Setting { .. })
        ));
    }
}
