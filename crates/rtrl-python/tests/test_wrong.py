"""Every public call with every kind of wrong argument: a result, an exception of the package, or
Python's own ``TypeError``."""

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import rtrl
from rtrl import lab

ENDLESS: list = []
ENDLESS.append(ENDLESS)


def read_only():
    array = np.zeros((3, 2))
    array.flags.writeable = False
    return array


VALUES = {
    "none": None,
    "true": True,
    "zero": 0,
    "negative": -1,
    "three": 3,
    "huge": 10**400,
    "hugely negative": -(10**400),
    "2^63": 2**63,
    "2^64": 2**64,
    "half": 0.5,
    "nan": float("nan"),
    "infinite": float("-inf"),
    "beyond float32": 1e300,
    "fraction": Fraction(1, 2),
    "complex": 1j,
    "text": "text",
    "null character": "a\0b",
    "surrogate": "\udc80",
    "bytes": b"bytes",
    "object": object(),
    "class": rtrl.Adam,
    "layer": rtrl.GRU(3),
    "optimiser": rtrl.SGD(0.1),
    "empty list": [],
    "ragged list": [[1.0], [1.0, 2.0]],
    "list of none": [None, None],
    "list of text": ["tanh", "relu"],
    "list of huge numbers": [10**400, 0],
    "endless list": ENDLESS,
    "empty dict": {},
    "dict": {"layer0": [1.0], 3: 4},
    "endless dict": {"layer0": ENDLESS},
    "set": {1, 2},
    "function": lambda *arguments: arguments,
    "nothing that is returned": lambda *_: None,
    "no axis": np.array(0.5),
    "one number": np.zeros(1),
    "row": np.zeros(2, "float32"),
    "empty": np.zeros(0),
    "no steps": np.zeros((0, 2)),
    "steps": np.zeros((3, 2)),
    "labels": np.zeros((3, 1)),
    "square": np.zeros((3, 3)),
    "three axes": np.zeros((3, 1, 2)),
    "many axes": np.zeros((1,) * 30),
    "broadcast": np.broadcast_to(np.zeros(1), (3, 2)),
    "strided": np.zeros((6, 4))[::-2, ::2],
    "read-only": read_only(),
    "masked": np.ma.masked_array(np.zeros((3, 2)), mask=True),
    "nan array": np.full((3, 2), np.nan),
    "booleans": np.ones((3, 2), bool),
    "complex array": np.zeros((3, 2), complex),
    "half precision": np.zeros((3, 2), "float16"),
    "long double": np.zeros((3, 2), "longdouble"),
    "big-endian": np.zeros((3, 2), ">f8"),
    "unsigned": np.full((3, 2), 2**64 - 1, "uint64"),
    "text array": np.array([["a", "b"]]),
    "dates": np.zeros(2, "M8[s]"),
    "records": np.zeros(2, "i4,f8"),
    "array of objects": np.array([object(), None]),
    "array of huge objects": np.array([10**400, 1], object),
    "array of zero width": np.zeros((3, 0)),
}


def network():
    return rtrl.Network(2, [rtrl.GRU(3)], readout=1, seed=1, dtype="float64")


def learner(**options):
    return rtrl.Learner(network(), rtrl.SGD(0.1), **options)


def forecaster():
    return rtrl.Forecaster(learner(), 2)


def set_weights(value):
    learner().weights = value


def set_learning_rate(value):
    learner().learning_rate = value


def built(layer):
    return rtrl.Network(2, layer, readout=1)


def with_layer(kind, name):
    return lambda value: built(kind(3, **{name: value}))


def with_readout(name):
    return lambda value: rtrl.Network(2, 3, rtrl.Readout(1, **{name: value}))


def with_optimizer(kind, name):
    return lambda value: rtrl.Learner(network(), kind(**{name: value}))


def with_option(name):
    return lambda value: learner(**{name: value})


FOLDER = Path(tempfile.mkdtemp())
X = np.zeros((3, 2))

CALLS = {
    "Network.inputs": lambda v: rtrl.Network(v, 3),
    "Network.layers": lambda v: rtrl.Network(2, v),
    "Network.layers of one": lambda v: rtrl.Network(2, [v]),
    "Network.readout": lambda v: rtrl.Network(2, 3, v),
    "Network.bias": lambda v: rtrl.Network(2, 3, bias=v),
    "Network.seed": lambda v: rtrl.Network(2, 3, seed=v),
    "Network.dtype": lambda v: rtrl.Network(2, 3, dtype=v),
    "Network.run": lambda v: network().run(v),
    "Network.save": lambda v: network().save(v),
    "Network.save.application": lambda v: network().save(FOLDER / "network", v),
    "Network.load": rtrl.Network.load,
    "Simple.units": lambda v: built(rtrl.Simple(v)),
    "GRU.units": lambda v: built(rtrl.GRU(v)),
    "LSTM.units": lambda v: built(rtrl.LSTM(v)),
    **{
        f"Simple.{name}": with_layer(rtrl.Simple, name)
        for name in (
            "heads_of",
            "activation",
            "leak",
            "connections",
            "frozen",
            "weights",
            "initial_state",
        )
    },
    **{
        f"{kind.__name__}.{name}": with_layer(kind, name)
        for kind in (rtrl.GRU, rtrl.LSTM)
        for name in ("heads_of", "connections", "frozen", "weights", "initial_state")
    },
    "LSTM.forget_bias": with_layer(rtrl.LSTM, "forget_bias"),
    "LSTM.initial_cells": with_layer(rtrl.LSTM, "initial_cells"),
    "Uniform": lambda v: built(rtrl.Simple(3, weights=rtrl.Uniform(v))),
    "Normal": lambda v: built(rtrl.Simple(3, weights=rtrl.Normal(v))),
    "Orthogonal": lambda v: built(rtrl.Simple(3, weights=rtrl.Orthogonal(v))),
    "Readout.outputs": lambda v: rtrl.Network(2, 3, rtrl.Readout(v)),
    **{f"Readout.{name}": with_readout(name) for name in ("inputs", "bias", "weights")},
    "Readout.least_squares": with_readout("least_squares"),
    "LeastSquares.forgetting": lambda v: with_readout("least_squares")(rtrl.LeastSquares(v)),
    "LeastSquares.ridge": lambda v: with_readout("least_squares")(rtrl.LeastSquares(1.0, v)),
    "SGD.learning_rate": with_optimizer(rtrl.SGD, "learning_rate"),
    "SGD.momentum": with_optimizer(rtrl.SGD, "momentum"),
    "RMSProp.learning_rate": with_optimizer(rtrl.RMSProp, "learning_rate"),
    "RMSProp.alpha": with_optimizer(rtrl.RMSProp, "alpha"),
    "RMSProp.epsilon": with_optimizer(rtrl.RMSProp, "epsilon"),
    "Adam.learning_rate": with_optimizer(rtrl.Adam, "learning_rate"),
    "Adam.beta1": with_optimizer(rtrl.Adam, "beta1"),
    "Adam.beta2": with_optimizer(rtrl.Adam, "beta2"),
    "Adam.epsilon": with_optimizer(rtrl.Adam, "epsilon"),
    "StepDecay.every": lambda v: learner(schedule=rtrl.StepDecay(v, 0.5)),
    "StepDecay.factor": lambda v: learner(schedule=rtrl.StepDecay(3, v)),
    "InverseTime": lambda v: learner(schedule=rtrl.InverseTime(v)),
    "Cosine.updates": lambda v: learner(schedule=rtrl.Cosine(v)),
    "Cosine.floor": lambda v: learner(schedule=rtrl.Cosine(3, v)),
    "RealTime.every": lambda v: learner(regime=rtrl.RealTime(v)),
    "RealTime.after_next_step": lambda v: learner(regime=rtrl.RealTime(1, v)),
    "Deferred.window": lambda v: learner(engine=rtrl.Deferred(v)),
    "Deferred.even_pace": lambda v: learner(engine=rtrl.Deferred(3, v)),
    "Learner.network": lambda v: rtrl.Learner(v),
    "Learner.optimizer": lambda v: rtrl.Learner(network(), v),
    **{
        f"Learner.{name}": with_option(name)
        for name in (
            "loss",
            "streams",
            "regime",
            "clip",
            "clip_value",
            "schedule",
            "readout_learning_rate",
            "weight_decay",
            "spectral_limit",
            "teacher_forcing",
            "engine",
            "threads",
            "reset_sensitivities",
            "skip_updates",
            "sensitivity_decay",
            "step_gradients",
        )
    },
    "step.x": lambda v: learner().step(v, [0.5]),
    "step.target": lambda v: learner().step([0.0, 0.0], v),
    "run.x": lambda v: learner().run(v, np.zeros((3, 1))),
    "run.targets": lambda v: learner().run(X, v),
    "run.observers": lambda v: learner().run(X, np.zeros((3, 1)), v),
    "run.x with an observer": lambda v: learner().run(v, None, [print_nothing]),
    "run.targets with an observer": lambda v: learner().run(X, v, [print_nothing]),
    "predict": lambda v: learner().predict(v),
    "generate.steps": lambda v: learner().generate(v, lambda *_: [0.0, 0.0]),
    "generate.input": lambda v: learner().generate(2, v),
    "generate.input.result": lambda v: learner().generate(2, lambda *_: v),
    "generate.stream": lambda v: learner().generate(2, lambda *_: [0.0, 0.0], v),
    "forecast.steps": lambda v: learner().forecast(v),
    "forecast.stream": lambda v: learner().forecast(1, v),
    "reset.state": lambda v: learner().reset(v),
    "reset.stream": lambda v: learner().reset(stream=v),
    "end_epoch": lambda v: learner(regime=rtrl.Epochwise()).end_epoch(v),
    "weights": set_weights,
    "weights of a layer": lambda v: set_weights({"layer0": v}),
    "weights of the readout": lambda v: set_weights({"readout": v}),
    "learning_rate": set_learning_rate,
    "sensitivities.unit": lambda v: learner().sensitivities(v),
    "sensitivities.stream": lambda v: learner().sensitivities(0, v),
    "jacobian": lambda v: learner().jacobian(v),
    "Learner.save": lambda v: learner().save(v),
    "Learner.save.application": lambda v: learner().save(FOLDER / "learner", v),
    "Learner.load": rtrl.Learner.load,
    "Learner.load.threads": lambda v: rtrl.Learner.load(saved("learner"), v),
    "Learner.load.name": lambda v: rtrl.Learner.load(saved("learner"), name=v),
    "Forecaster.learner": lambda v: rtrl.Forecaster(v),
    "Forecaster.horizon": lambda v: rtrl.Forecaster(learner(), v),
    "Forecaster.observe.x": lambda v: forecaster().observe(v, [0.5]),
    "Forecaster.observe.label": lambda v: forecaster().observe([0.0, 0.0], v),
    "Forecaster.load": rtrl.Forecaster.load,
    "Forecaster.save.application": lambda v: forecaster().save(FOLDER / "forecaster", v),
    "lab.task": lab.task,
    "lab.Task.draw.steps": lambda v: lab.task("recall").draw(v),
    "lab.Task.draw.seed": lambda v: lab.task("recall").draw(3, v),
    "lab.Experiment.run": lambda v: quickest().run(v),
    "lab.inspect.network": lambda v: lab.inspect(v),
    "lab.inspect.task": lambda v: lab.inspect(network(), task=v, steps=50),
    "lab.inspect.x": lambda v: lab.inspect(network(), x=v, steps=50),
    "lab.inspect.seed": lambda v: lab.inspect(network(), steps=50, seed=v),
    "lab.inspect.steps": lambda v: lab.inspect(network(), x=X, steps=v),
    "step.streams": lambda v: learner().step([0.0, 0.0], [0.5], v),
    "run.streams": lambda v: learner().run(X, np.zeros((3, 1)), streams=v),
    "run.streams with an observer": lambda v: learner().run(X, None, [print_nothing], v),
    "Forecaster.observe.streams": lambda v: forecaster().observe([0.0, 0.0], [0.5], v),
    "loss.result": lambda v: learner(loss=lambda *_: v).step([0.0, 0.0], [0.5]),
    "loss.errors": lambda v: learner(loss=lambda *_: (0.0, v)).step([0.0, 0.0], [0.5]),
    "optimizer.result": lambda v: rtrl.Learner(network(), lambda *_: v).step([0.0, 0.0], [0.5]),
    "Learner.load.loss": lambda v: rtrl.Learner.load(saved("learner"), loss=v),
    "Learner.load.optimizer": lambda v: rtrl.Learner.load(saved("learner"), optimizer=v),
    "river.feature": lambda v: regressor().learn_one({"a": v}, 1.0),
    "river.target": lambda v: regressor().learn_one({"a": 1.0}, v),
    "river.class": lambda v: classifier().learn_one({"a": 1.0}, v),
    "river.features": lambda v: regressor(features=v).learn_one({"a": 1.0}, 1.0),
    "river.missing": lambda v: regressor(missing=v).learn_one({"a": 1.0}, 1.0),
    "river.layers": lambda v: regressor(layers=v).learn_one({"a": 1.0}, 1.0),
    "river.optimizer": lambda v: regressor(optimizer=v).learn_one({"a": 1.0}, 1.0),
    "river.seed": lambda v: regressor(seed=v).learn_one({"a": 1.0}, 1.0),
    "river.dtype": lambda v: regressor(dtype=v).learn_one({"a": 1.0}, 1.0),
    "torch.from_torch.module": lambda v: torch().from_torch(v),
    "torch.from_state_dict.tensors": lambda v: torch().from_state_dict(v),
    "torch.from_state_dict.tensor": lambda v: torch().from_state_dict({"weight_ih_l0": v}),
    "torch.from_state_dict.prefix": lambda v: torch().from_state_dict(tensors(), v),
    "torch.from_state_dict.readout": lambda v: torch().from_state_dict(tensors(), "", v),
    "torch.from_state_dict.nonlinearity": lambda v: torch().from_state_dict(
        tensors(), nonlinearity=v
    ),
    "torch.to_torch": lambda v: torch().to_torch(v),
    "plots.learning_curve": lambda v: plot("learning_curve", v),
    "plots.learning_curve.window": lambda v: plot("learning_curve", np.ones(300), v),
    "plots.hinton": lambda v: plot("hinton", v),
    "plots.raster": lambda v: plot("raster", v),
    "plots.spectrum": lambda v: plot("spectrum", v),
    "plots.automaton": lambda v: plot("automaton", v),
}


def regressor(**options):
    from rtrl.river import Regressor

    return Regressor(**options)


def classifier():
    from rtrl.river import Classifier

    return Classifier()


def torch():
    import rtrl.torch

    return rtrl.torch


def tensors():
    return {"weight_ih_l0": np.zeros((3, 2)), "weight_hh_l0": np.zeros((3, 3))}


def plot(name, *arguments):
    import matplotlib

    matplotlib.use("agg")
    from rtrl import plots

    getattr(plots, name)(*arguments, axes=matplotlib.figure.Figure().subplots())


def print_nothing(*_):
    pass


def saved(name):
    path = FOLDER / name
    if not path.exists():
        learner().save(path)
    return path


def quickest():
    return min(lab.experiments(), key=lambda experiment: experiment.limit)


@pytest.fixture(autouse=True)
def in_a_temporary_folder(tmp_path, monkeypatch):
    """Some of the values are names of files that can be written."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_raise_what_the_docs_say(name):
    escaped = {}
    for kind, value in VALUES.items():
        try:
            CALLS[name](value)
        except (rtrl.Error, TypeError) as error:
            if not str(error):
                escaped[kind] = "no message"
        except Exception as error:
            escaped[kind] = f"{type(error).__name__}: {error}"[:200]
    assert not escaped, "\n".join(f"{kind}: {what}" for kind, what in escaped.items())


def test_a_failed_call_would_be_noticed():
    def overflow(value):
        return float(value)

    CALLS["control"] = overflow
    try:
        with pytest.raises(AssertionError, match="OverflowError"):
            test_wrong_arguments_raise_what_the_docs_say("control")
    finally:
        del CALLS["control"]
