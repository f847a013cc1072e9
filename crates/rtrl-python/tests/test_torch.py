"""Weights from and to PyTorch, which the tests do not need: stand-ins have the names, shapes and
attributes of its modules, and ``tests/torch`` at the root holds weights that it wrote and what it
computes with them. Where it is installed, its own modules are tested as well."""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import rtrl
from rtrl.torch import from_state_dict, from_torch, to_torch

FOLDER = Path(__file__).parents[3] / "tests/torch"
VALUES = load_file(FOLDER / "values.safetensors")
KINDS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
EVERY = [f"{kind}-{layers}" for kind in KINDS for layers in (1, 2, 3)]
UNITS = 4


def weights(name):
    """The ``state_dict`` of a module of PyTorch, as arrays of float64. With two layers, it has a
    ``readout``."""
    return load_file(FOLDER / f"{name}.safetensors")


class Stored:
    """A module that keeps its tensors, in its precision, as PyTorch does."""

    def load_state_dict(self, tensors):
        self.tensors = {name: array.astype(self.dtype) for name, array in tensors.items()}

    def state_dict(self):
        return dict(self.tensors)


class Linear(Stored):
    """What the package reads and calls of ``torch.nn.Linear``."""

    def __init__(self, in_features, out_features, bias=True, dtype="float32"):
        self.in_features, self.out_features, self.bias = in_features, out_features, bias
        self.dtype = dtype


class Recurrent(Stored):
    """What the package reads and calls of ``torch.nn.GRU`` and ``LSTM``."""

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, dtype="float32"):
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.dtype = bias, dtype

    def load_state_dict(self, tensors):
        super().load_state_dict(tensors)
        self.weight_ih_l0 = self.tensors["weight_ih_l0"]


class GRU(Recurrent):
    pass


class LSTM(Recurrent):
    pass


class RNN(Recurrent):
    """Only ``torch.nn.RNN`` has a nonlinearity."""

    def __init__(self, *arguments, nonlinearity="tanh", **options):
        super().__init__(*arguments, **options)
        self.nonlinearity = nonlinearity


def stand_in():
    """A module like ``torch`` without computations."""
    nn = types.SimpleNamespace(RNN=RNN, GRU=GRU, LSTM=LSTM, Linear=Linear)
    return types.SimpleNamespace(nn=nn, tensor=np.array, float32="float32", float64="float64")


def is_installed():
    found = importlib.util.find_spec("torch") is not None
    assert found or not os.environ.get("RTRL_EXPECT_PEERS"), "torch is expected"
    return found


@pytest.fixture(params=["stand-in", "installed"] if is_installed() else ["stand-in"])
def library(request, monkeypatch):
    """``torch``, or what has the same names."""
    if request.param == "stand-in":
        monkeypatch.setitem(sys.modules, "torch", stand_in())
    return importlib.import_module("torch")


def module_of(library, name, change=lambda tensors: tensors, **options):
    """The recorded module, and its linear layer if there is one."""
    kind, layers = name.split("-")
    tensors = {key: library.tensor(array) for key, array in change(weights(name)).items()}
    parts = ({}, {})
    for key, tensor in tensors.items():
        parts[key.startswith("readout.")][key.removeprefix("readout.")] = tensor
    inputs = len(tensors["weight_ih_l0"][0])
    options |= {"dtype": tensors["weight_ih_l0"].dtype, "bias": "bias_ih_l0" in tensors}
    module = getattr(library.nn, KINDS[kind])(inputs, UNITS, int(layers), **options)
    module.load_state_dict(parts[0])
    if not parts[1]:
        return module, None
    bias = "bias" in parts[1]
    linear = library.nn.Linear(UNITS, len(parts[1]["weight"]), bias, dtype=options["dtype"])
    linear.load_state_dict(parts[1])
    return module, linear


def difference(network, name):
    """The largest difference of the outputs from what PyTorch computes."""
    learner = rtrl.Learner(network)
    learner.reset(VALUES[f"{name}.start"])
    expected = VALUES[f"{name}.outputs"]
    outputs = learner.predict(VALUES["x"])[:, -expected.shape[1] :]
    return abs(outputs - expected).max()


def halved(tensors):
    return {name: array.astype("float32") for name, array in tensors.items()}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", EVERY)
def test_modules_compute_what_pytorch_computes(library, name):
    network = from_torch(*module_of(library, name))
    assert network.dtype == np.float64 and difference(network, name) < 1e-14
    kind, layers = name.split("-")
    layer = f"{KINDS[kind].replace('RNN', 'Simple')}({UNITS})"
    assert f"Network(3, [{', '.join([layer] * int(layers))}]" in repr(network)
    network = from_torch(*module_of(library, name, halved))
    assert network.dtype == np.float32 and difference(network, name) < 1e-5


@pytest.mark.parametrize("name", EVERY)
def test_another_weight_would_be_noticed(name):
    for tensor in weights(name):
        changed = weights(name)
        changed[tensor] = changed[tensor] + 0.01
        assert difference(from_state_dict(changed), name) > 1e-4, tensor


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", EVERY)
def test_networks_come_back_as_modules(library, name):
    """With the names and shapes that PyTorch wrote. The first bias is the sum of both, except in
    the last block of a GRU."""
    module, linear = to_torch(from_torch(*module_of(library, name)))
    kind, layers = name.split("-")
    assert type(module) is getattr(library.nn, KINDS[kind])
    assert (module.input_size, module.hidden_size, module.num_layers) == (3, UNITS, int(layers))
    assert module.bias is True and getattr(module, "nonlinearity", "tanh") == "tanh"
    tensors = {key: np.asarray(tensor) for key, tensor in module.state_dict().items()}
    if linear is not None:
        assert (linear.in_features, linear.out_features) == (UNITS, 2)
        of_readout = linear.state_dict().items()
        tensors |= {f"readout.{key}": np.asarray(tensor) for key, tensor in of_readout}
    expected = weights(name)
    assert tensors.keys() == expected.keys()
    for key, array in expected.items():
        assert tensors[key].shape == array.shape and tensors[key].dtype == np.float64
        assert key.startswith("bias") or np.array_equal(tensors[key], array), key
    for layer in range(int(layers)):
        got, both = (biases(arrays, layer) for arrays in (tensors, expected))
        assert abs(got.sum(0) - both.sum(0)).max() < 1e-15
        if kind == "gru":
            assert np.array_equal(got[:, 2 * UNITS :], both[:, 2 * UNITS :])
    assert difference(from_torch(module, linear), name) < 1e-14


def biases(tensors, layer):
    return np.stack([tensors[f"bias_{side}_l{layer}"] for side in ("ih", "hh")])


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", EVERY)
def test_modules_without_a_bias(library, name):
    def without(tensors):
        return {key: array for key, array in tensors.items() if "bias" not in key}

    module, linear = module_of(library, name, without)
    network = from_torch(module, linear)
    zeros = {key: array * ("bias" not in key) for key, array in weights(name).items()}
    x = VALUES["x"]
    assert abs(network.run(x) - from_state_dict(zeros).run(x)).max() < 1e-15
    assert network.weights["layer0"].shape[1] == 3 + UNITS
    back = to_torch(network)
    assert not back[0].bias and (back[1] is None or "bias" not in back[1].state_dict())
    assert back[0].state_dict().keys() == module.state_dict().keys()


@pytest.mark.filterwarnings("default")
def test_a_nonlinearity_is_kept(library):
    module, _ = module_of(library, "rnn-1", nonlinearity="relu")
    network, x = from_torch(module), VALUES["x"]
    tensors, y, expected = weights("rnn-1"), np.zeros(UNITS), []
    bias = tensors["bias_ih_l0"] + tensors["bias_hh_l0"]
    for row in x[:5]:
        y = np.maximum(tensors["weight_ih_l0"] @ row + bias + tensors["weight_hh_l0"] @ y, 0)
        expected.append(y)
    assert abs(network.run(x[:5]) - expected).max() < 1e-12
    relu = from_state_dict(tensors, nonlinearity="relu").run(x)
    assert np.array_equal(network.run(x), relu)
    assert not np.array_equal(from_state_dict(tensors).run(x), relu)
    assert to_torch(network)[0].nonlinearity == "relu"
    with pytest.raises(rtrl.ArgumentError, match="nonlinearity: got logistic, expected tanh"):
        from_state_dict(tensors, nonlinearity="logistic")


def of_a_model():
    """The ``state_dict`` of a model that contains an LSTM and a linear layer, among others."""

    def renamed(name):
        readout = name.startswith("readout.")
        return name.replace("readout.", "fc.") if readout else f"lstm.{name}"

    tensors = {renamed(name): array for name, array in weights("lstm-2").items()}
    return tensors | {"embedding.weight": np.zeros((9, 3)), "norm.batches": np.zeros((), "int64")}


def test_the_layers_of_a_model_are_found_by_prefixes():
    network = from_state_dict(of_a_model(), "lstm.", "fc.")
    assert difference(network, "lstm-2") < 1e-14 and "readout=2" in repr(network)
    without = from_state_dict(of_a_model(), "lstm.")
    assert "readout" not in repr(without) and without.outputs == 2 * UNITS
    assert np.array_equal(without.weights["layer1"], network.weights["layer1"])
    unrelated = {f"readout.{name}": np.zeros((1, 4)) for name in ("weight", "0.weight")}
    for readout in (None, "fc."):
        other = from_state_dict(of_a_model() | unrelated, "lstm.", readout)
        assert other.outputs == (2 * UNITS if readout is None else 2)


def test_the_network_is_float64_if_any_tensor_is():
    tensors = halved(weights("gru-1"))
    assert from_state_dict(tensors).dtype == np.float32
    tensors["bias_hh_l0"] = tensors["bias_hh_l0"].astype("float64")
    assert from_state_dict(tensors).dtype == np.float64
    model = {f"gru.{name}": array for name, array in halved(weights("gru-1")).items()}
    model["embedding.weight"] = np.zeros((2, 2))
    assert from_state_dict(model, "gru.").dtype == np.float32


def test_tensors_that_have_no_place_are_errors():
    def refused(change, *prefixes):
        with pytest.raises(rtrl.FormatError) as caught:
            from_state_dict(of_a_model() | change, *prefixes)
        return str(caught.value)

    message = refused({"fc.0.weight": np.zeros((1, 4))}, "lstm.", "fc.")
    start, names = message.split(", expected only ")
    assert start == 'weights: got tensor "fc.0.weight"'
    expected = of_a_model().keys() - {"embedding.weight", "norm.batches"}
    assert set(names.split(", ")) == {f'"{name}"' for name in expected}
    odd = {"lstm.weight_ih_l0_reverse": np.zeros((16, 3))}
    assert 'got tensor "lstm.weight_ih_l0_reverse"' in refused(odd, "lstm.", "fc.")
    assert 'got tensor "embedding.weight"' in refused({"norm.batches": np.zeros(1)})
    assert "head.weight: " in refused({}, "lstm.", "head.")
    assert "gru.weight_ih_l0: " in refused({}, "gru.", "fc.")


@pytest.mark.parametrize("name", EVERY)
def test_a_broken_name_is_an_error(name):
    for key in weights(name):
        tensors = weights(name)
        tensors[f"{key[:-1]}X"] = tensors.pop(key)
        with pytest.raises(rtrl.FormatError, match=f'got tensor "{key[:-1]}X"'):
            from_state_dict(tensors)


def test_shapes_and_types_are_checked():
    def refused(kind, key, array):
        with pytest.raises(kind) as caught:
            from_state_dict(weights("gru-2") | {key: array})
        return str(caught.value)

    message = refused(rtrl.FormatError, "weight_ih_l1", np.zeros((12, 5)))
    assert message == "weights: weight_ih_l1: got shape [12, 5], expected [12, 4]"
    message = refused(rtrl.FormatError, "readout.bias", np.zeros(3))
    assert message == "weights: readout.bias: got shape [3], expected [2]"
    for dtype in ("float16", "int64", ">f8", "complex128"):
        message = f"bias_hh_l1: got dtype {np.dtype(dtype)}, expected float32 or float64"
        assert message == refused(rtrl.DtypeError, "bias_hh_l1", np.zeros(12, dtype))
    assert "got dtype list" in refused(rtrl.DtypeError, "bias_hh_l1", [0.0] * 12)
    with pytest.raises(TypeError, match="tensors: got list, expected Mapping"):
        from_state_dict([])
    with pytest.raises(TypeError, match="name of a tensor: got int, expected a string"):
        from_state_dict({1: np.zeros(12)})


@pytest.mark.filterwarnings("default")
def test_other_modules_are_refused(library):
    module, linear = module_of(library, "gru-2")
    with pytest.raises(TypeError, match="module: got Linear, expected RNN, GRU or LSTM"):
        from_torch(linear)
    with pytest.raises(TypeError, match="readout: got GRU, expected Linear"):
        from_torch(module, module)
    with pytest.raises(TypeError, match="network: got GRU, expected Network"):
        to_torch(module)
    for layers in ([rtrl.GRU(2), rtrl.LSTM(2)], rtrl.GRU(4, heads_of=2), rtrl.Simple(2, leak=0.5)):
        with pytest.raises(rtrl.ArgumentError, match="expected"):
            to_torch(rtrl.Network(2, layers))


class Tensor:
    """A tensor that needs a gradient, on another device: NumPy refuses both."""

    def __init__(self, array, dtype="torch.float64"):
        self.array, self.dtype = array, dtype

    def __array__(self, *_):
        raise TypeError("got a tensor that needs a gradient")

    def detach(self):
        return OnDevice(self.array, self.dtype)


class OnDevice(Tensor):
    def cpu(self):
        return self.array if self.dtype == "torch.float64" else self


def test_tensors_are_detached_and_moved():
    tensors = {name: Tensor(array) for name, array in weights("gru-1").items()}
    assert difference(from_state_dict(tensors), "gru-1") < 1e-14
    tensors["bias_hh_l0"].dtype = "torch.bfloat16"
    with pytest.raises(rtrl.DtypeError, match="bias_hh_l0: got dtype bfloat16, expected"):
        from_state_dict(tensors)
