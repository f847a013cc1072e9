"""Memory that calls leave behind: `python memory.py [--calls 1000000] [--kinds step copy ...]`.

Every kind of call is made that often, slow ones less often (`RARER`). Printed is the growth of the
resident memory, which all leaks add to, and that of the number of Python's blocks, to which leaked
objects add even where freed memory is used again.
"""

import argparse
import contextlib
import ctypes
import gc
import os
import pickle
import sys
import tempfile
import time
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


def kinds():
    """A function for each kind of call."""
    core, ecosystem = of_the_core(), of_the_ecosystem()
    return core | of_files(Path(tempfile.mkdtemp())) | ecosystem


def learner(**options):
    return rtrl.Learner(rtrl.Network(1, [rtrl.Simple(2)], readout=1), rtrl.SGD(1e-3), **options)


def of_files(folder):
    """Files, which are replaced at every call."""
    one, forecaster = learner(), rtrl.Forecaster(learner())
    network, path = one.network, folder / "file"

    def stored(what, kind):
        what.save(path)
        kind.load(path)

    return {
        "save and load": lambda: stored(one, rtrl.Learner),
        "save and load, network": lambda: stored(network, rtrl.Network),
        "save and load, forecaster": lambda: stored(forecaster, rtrl.Forecaster),
    }


def of_the_ecosystem():
    """The lab, River, scikit-learn and PyTorch."""
    from rtrl import lab, river, sklearn, torch

    small, network = rtrl.Network(2, 1), rtrl.Network(2, 3, readout=1)
    row, x = {"a": 1.0, "b": 2.0}, np.zeros((10, 2))
    regressor, classifier = river.Regressor(), river.Classifier()
    values, classes = sklearn.SequenceRegressor(), sklearn.SequenceClassifier()
    y, labels = np.zeros(10), np.arange(10) % 2
    values.fit(x, y)
    classes.fit(x, labels)
    for label in "ab":
        classifier.learn_one(row, label)
    task, tensors = lab.task("recall"), torch.load(network._core.to_torch())
    experiment = min(lab.experiments(), key=lambda experiment: experiment.limit)
    return {
        "lab.task": lambda: lab.task("recall"),
        "lab.Task.draw": lambda: task.draw(2),
        "lab.experiments": lab.experiments,
        "lab.Experiment.run": lambda: experiment.run(1),
        "lab.inspect": lambda: lab.inspect(small, task="xor-2", steps=50),
        "river, learn": lambda: regressor.learn_one(row, 1.0),
        "river, predict": lambda: regressor.predict_one(row),
        "river, classes": lambda: classifier.learn_one(row, "a"),
        "river, probabilities": lambda: classifier.predict_proba_one(row),
        "sklearn, learn": lambda: values.partial_fit(x, y),
        "sklearn, predict": lambda: values.predict(x),
        "sklearn, classes": lambda: classes.partial_fit(x, labels),
        "torch, import": lambda: torch.from_state_dict(tensors),
        "torch, export": lambda: torch.load(network._core.to_torch()),
    }


def of_the_core():
    """Networks, learners and forecasters."""
    one, two, forecaster = learner(), learner(streams=2), rtrl.Forecaster(learner())
    x, target, row, wide = np.zeros(1, "f4"), np.ones(1, "f4"), np.zeros((1, 1)), np.zeros((2, 1))
    present = np.array([True, False])
    with_functions = rtrl.Learner(
        rtrl.Network(1, 2, readout=1), lambda weights, _: weights, lambda o, d: (0.5, d - o)
    )
    broken = learner(loss=lambda *_: 1 / 0)
    network = one.network
    one.step(x, target)
    two.step(wide, wide)

    def refused(error, call):
        try:
            call()
        except error:
            return
        raise AssertionError(f"expected {error.__name__}")

    argument, dtype, callback = rtrl.ArgumentError, rtrl.DtypeError, rtrl.CallbackError
    return {
        "step": lambda: one.step(x, target),
        "step, converted": lambda: one.step([0.5], [None]),
        "step, a stream skips it": lambda: two.step(wide, wide, present),
        "step, functions": lambda: with_functions.step(x, target),
        "Network.run": lambda: network.run(row),
        "run of one row": lambda: one.run(row, row),
        "run, observed": lambda: one.run(row, row, [lambda *_: None]),
        "predict": lambda: one.predict(x),
        "forecast": lambda: one.forecast(2),
        "generate": lambda: one.generate(2, lambda *_: x),
        "observe": lambda: forecaster.observe(x, target),
        "copy": one.copy,
        "pickle": lambda: pickle.loads(pickle.dumps(one)),
        "gradient": lambda: one.gradient,
        "sensitivities": lambda: one.sensitivities(0),
        "jacobian": lambda: one.jacobian(),
        "weights": lambda: one.weights,
        "set weights": lambda: setattr(one, "weights", {"readout": np.zeros((1, 3))}),
        "reset": one.reset,
        "repr": lambda: repr(one),
        "new": lambda: learner(),
        "wrong shape": lambda: refused(argument, lambda: one.step([1.0, 2.0])),
        "wrong type": lambda: refused(dtype, lambda: one.step("text")),
        "exception in a loss": lambda: refused(callback, lambda: broken.step(x, target)),
    }


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
    every = kinds()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="+", choices=every, default=list(every))
    options = parser.parse_args()
    print(f"{'call':26} {'calls':>8} {'growth, KiB':>12} {'blocks':>8} {'us a call':>12}")
    for name in options.kinds:
        calls = options.calls // RARER.get(name, 1)
        grown, blocks, seconds = growth(every[name], calls)
        figures = f"{calls:8} {grown / 1024:12.0f} {blocks:8} {seconds * 1e6:12.2f}"
        print(f"{name:26} {figures}", flush=True)


if __name__ == "__main__":
    main()
