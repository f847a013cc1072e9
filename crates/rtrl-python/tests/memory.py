"""Memory that calls leave behind: `python memory.py [--calls 1000000] [--kinds step copy ...]`.

Every kind of call is made that often, slow ones less often (`RARER`). Printed is the growth of the
resident memory, which all leaks add to, and that of the number of Python's blocks, to which leaked
objects add even where freed memory is used again.
"""

import argparse
import contextlib
import ctypes
import gc
import importlib
import os
import pickle
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

import rtrl


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


RARER = {
    "pickle": 10,
    "new": 10,
    "save and load": 10,
    "save and load, network": 10,
    "save and load, forecaster": 10,
    "lab.task": 10,
    "lab.Experiment.run": 1000,
    "lab.inspect": 10_000,
    "sklearn, learn": 10,
    "sklearn, predict": 10,
    "sklearn, classes": 10,
    "torch, import": 10,
}
"""Kinds of calls that take more than 50 us, and what the number of calls is divided by."""


X, TARGET = np.zeros(1, "f4"), np.ones(1, "f4")
ROW, WIDE = np.zeros((1, 1)), np.zeros((2, 1))
SAMPLE = {"a": 1.0, "b": 2.0}
TABLE, VALUES, LABELS = np.zeros((10, 2)), np.zeros(10), np.arange(10) % 2


def learner(**options):
    return rtrl.Learner(rtrl.Network(1, [rtrl.Simple(2)], readout=1), rtrl.SGD(1e-3), **options)


def taught():
    """A learner after its first step."""
    one = learner()
    one.step(X, TARGET)
    return one


def of_functions():
    network = rtrl.Network(1, 2, readout=1)
    return rtrl.Learner(network, lambda weights, _: weights, lambda o, d: (0.5, d - o))


def pickled(one):
    pickle.loads(pickle.dumps(one))


def saved(what, path):
    """Replaces a file and reads it."""
    what.save(path)
    type(what).load(path)


def refused(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")


def extra(name):
    """A module that the core does not import."""
    return importlib.import_module(f"rtrl.{name}")


def of_two_classes():
    classifier = extra("river").Classifier()
    for label in "ab":
        classifier.learn_one(SAMPLE, label)
    return classifier


def exported(network):
    return extra("torch").load(network._core.to_torch())


def shortest_experiment():
    return min(extra("lab").experiments(), key=lambda experiment: experiment.limit)


def inspected():
    return partial(extra("lab").inspect, rtrl.Network(2, 1), task="xor-2", steps=50)


def imported():
    return partial(extra("torch").from_state_dict, exported(rtrl.Network(2, 3, readout=1)))


SAVED = {
    "save and load": learner,
    "save and load, network": lambda: learner().network,
    "save and load, forecaster": lambda: rtrl.Forecaster(learner()),
}
"""For each kind of call that saves and loads, what makes the object."""

MADE = {
    "step": lambda: partial(taught().step, X, TARGET),
    "step, converted": lambda: partial(taught().step, [0.5], [None]),
    "step, a stream skips it": lambda: partial(
        learner(streams=2).step, WIDE, WIDE, np.array([True, False])
    ),
    "step, functions": lambda: partial(of_functions().step, X, TARGET),
    "Network.run": lambda: partial(learner().network.run, ROW),
    "run of one row": lambda: partial(taught().run, ROW, ROW),
    "run, observed": lambda: partial(taught().run, ROW, ROW, [lambda *_: None]),
    "predict": lambda: partial(taught().predict, X),
    "forecast": lambda: partial(taught().forecast, 2),
    "generate": lambda: partial(taught().generate, 2, lambda *_: X),
    "observe": lambda: partial(rtrl.Forecaster(learner()).observe, X, TARGET),
    "copy": lambda: taught().copy,
    "pickle": lambda: partial(pickled, taught()),
    "gradient": lambda: partial(getattr, taught(), "gradient"),
    "sensitivities": lambda: partial(taught().sensitivities, 0),
    "jacobian": lambda: taught().jacobian,
    "weights": lambda: partial(getattr, taught(), "weights"),
    "set weights": lambda: partial(setattr, taught(), "weights", {"readout": np.zeros((1, 3))}),
    "reset": lambda: taught().reset,
    "repr": lambda: partial(repr, taught()),
    "new": lambda: learner,
    "wrong shape": lambda: partial(refused, rtrl.ArgumentError, taught().step, [1.0, 2.0]),
    "wrong type": lambda: partial(refused, rtrl.DtypeError, taught().step, "text"),
    "exception in a loss": lambda: partial(
        refused, rtrl.CallbackError, learner(loss=lambda *_: 1 / 0).step, X, TARGET
    ),
    "lab.task": lambda: partial(extra("lab").task, "recall"),
    "lab.Task.draw": lambda: partial(extra("lab").task("recall").draw, 2),
    "lab.experiments": lambda: extra("lab").experiments,
    "lab.Experiment.run": lambda: partial(shortest_experiment().run, 1),
    "lab.inspect": inspected,
    "river, learn": lambda: partial(extra("river").Regressor().learn_one, SAMPLE, 1.0),
    "river, predict": lambda: partial(extra("river").Regressor().predict_one, SAMPLE),
    "river, classes": lambda: partial(of_two_classes().learn_one, SAMPLE, "a"),
    "river, probabilities": lambda: partial(of_two_classes().predict_proba_one, SAMPLE),
    "sklearn, learn": lambda: partial(
        extra("sklearn").SequenceRegressor().fit(TABLE, VALUES).partial_fit, TABLE, VALUES
    ),
    "sklearn, predict": lambda: partial(
        extra("sklearn").SequenceRegressor().fit(TABLE, VALUES).predict, TABLE
    ),
    "sklearn, classes": lambda: partial(
        extra("sklearn").SequenceClassifier().fit(TABLE, LABELS).partial_fit, TABLE, LABELS
    ),
    "torch, import": imported,
    "torch, export": lambda: partial(exported, rtrl.Network(2, 3, readout=1)),
}
"""For each other kind of call, what makes it."""

KINDS = [*SAVED, *MADE]


@contextlib.contextmanager
def made(kind):
    """A call of this kind."""
    if kind in MADE:
        yield MADE[kind]()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield partial(saved, SAVED[kind](), Path(folder) / "file")


def growth(call, calls):
    """By how many bytes and blocks the memory has grown in this many calls, and the seconds of
    one."""
    for _ in range(min(calls, 2000)):
        call()
    before, blocks, start = trimmed(), sys.getallocatedblocks(), time.perf_counter()
    for _ in range(calls):
        call()
    seconds = (time.perf_counter() - start) / calls
    return trimmed() - before, sys.getallocatedblocks() - blocks, seconds


def trimmed():
    """Bytes in memory without those that have been freed."""
    gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return resident()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    print(f"{'call':26} {'calls':>8} {'growth, KiB':>12} {'blocks':>8} {'us a call':>12}")
    for name in options.kinds:
        calls = options.calls // RARER.get(name, 1)
        with made(name) as call:
            grown, blocks, seconds = growth(call, calls)
        figures = f"{calls:8} {grown / 1024:12.0f} {blocks:8} {seconds * 1e6:12.2f}"
        print(f"{name:26} {figures}", flush=True)


if __name__ == "__main__":
    main()
