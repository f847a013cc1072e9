"""Memory that calls leave behind: `python memory.py [--calls 1000000] [--kinds step copy ...]`.

Every kind of call is made that often. Printed is the growth of the resident memory, which all
leaks add to, and that of the number of Python's blocks, to which leaked objects add even where
freed memory is used again.
"""

import argparse
import contextlib
import ctypes
import gc
import os
import pickle
import sys
import time

import numpy as np

import rtrl


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def kinds():
    """A function for each kind of call."""

    def learner(**options):
        return rtrl.Learner(rtrl.Network(1, [rtrl.Simple(2)], readout=1), rtrl.SGD(1e-3), **options)

    one, two, forecaster = learner(), learner(streams=2), rtrl.Forecaster(learner())
    x, target, row, wide = np.zeros(1, "f4"), np.ones(1, "f4"), np.zeros((1, 1)), np.zeros((2, 1))
    present = np.array([True, False])
    with_functions = rtrl.Learner(
        rtrl.Network(1, 2, readout=1), lambda weights, _: weights, lambda o, d: (0.5, d - o)
    )
    broken = learner(loss=lambda *_: 1 / 0)
    one.step(x, target)
    two.step(wide, wide)

    def refused():
        with contextlib.suppress(rtrl.ArgumentError):
            one.step([1.0, 2.0])

    def wrong_type():
        with contextlib.suppress(rtrl.DtypeError):
            one.step("text")

    def raised():
        with contextlib.suppress(rtrl.CallbackError):
            broken.step(x, target)

    return {
        "step": lambda: one.step(x, target),
        "step, converted": lambda: one.step([0.5], [None]),
        "step, a stream skips it": lambda: two.step(wide, wide, present),
        "step, functions": lambda: with_functions.step(x, target),
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
        "wrong shape": refused,
        "wrong type": wrong_type,
        "exception in a loss": raised,
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
    print(f"{'call':24} {'growth, KiB':>12} {'blocks':>8} {'us a call':>12}")
    for name in options.kinds:
        grown, blocks, seconds = growth(every[name], options.calls)
        print(f"{name:24} {grown / 1024:12.0f} {blocks:8} {seconds * 1e6:12.2f}", flush=True)


if __name__ == "__main__":
    main()
