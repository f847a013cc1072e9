"""Gradients and trajectories against PyTorch and JAX: recorded values everywhere, and the libraries
themselves where they are installed. ``RTRL_EXPECT_PEERS=1`` makes a missing library a failure."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

import cases
import rtrl

RECORDED = np.load(Path(__file__).parent / "peers/recorded.npz")
CELLS = {"simple": rtrl.Simple, "gru": rtrl.GRU, "lstm": rtrl.LSTM}
EVERY = [pytest.param(case, id=case.name) for case in cases.every()]
ENGINES = ["eager", "deferred"]


def network_of(case):
    layers = [
        CELLS[case.cell](n, weights=weights, connections=mask)
        for n, weights, mask in zip(case.units, case.weights, case.masks, strict=True)
    ]
    readout = case.readout
    if readout is not None:
        readout = rtrl.Readout(len(readout), weights=readout)
    return rtrl.Network(case.inputs, layers, readout, dtype="float64")


def squeezed(case, rows):
    """Without the axis of the streams if there is one stream."""
    return rows[:, 0] if case.streams == 1 else rows


def gradients(case, targets, engine):
    """Outputs, loss and gradients of an epoch."""
    learner = rtrl.Learner(
        network_of(case),
        loss=case.loss,
        streams=case.streams,
        regime=rtrl.Epochwise(),
        engine=engine,
    )
    run = learner.run(squeezed(case, case.x), squeezed(case, targets))
    outputs = run.outputs.reshape(*case.targets.shape)
    gradient = learner.accumulated_gradient()
    assert gradient is not None
    return gradient | {"outputs": outputs, "loss": run.losses.sum()}


def real_time(case, targets, engine):
    """Outputs and last weights of the real-time regime with Adam and a limit on the norm."""
    learner = rtrl.Learner(
        network_of(case),
        rtrl.Adam(0.02),
        loss=case.loss,
        streams=case.streams,
        clip=0.5,
        engine=engine,
    )
    run = learner.run(squeezed(case, case.x), squeezed(case, targets))
    return learner.weights | {"outputs": run.outputs.reshape(*case.targets.shape)}


def recorded(case, peer):
    prefix = f"{case.name}/{peer}/"
    return {key.removeprefix(prefix): RECORDED[key] for key in RECORDED if key.startswith(prefix)}


def differences(ours, theirs):
    """The largest difference of each array, relative to its largest number; NaN is infinite."""
    assert theirs
    result = {}
    for name, expected in theirs.items():
        got = np.asarray(ours[name])
        assert got.shape == expected.shape, name
        worst = np.nan_to_num(abs(got - expected), nan=np.inf).max() / abs(expected).max()
        result[name] = float(worst)
    return result


def check(ours, theirs, tolerance):
    worst = differences(ours, theirs)
    assert max(worst.values()) <= tolerance, worst


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", EVERY)
def test_gradients_are_those_of_autograd(case, engine):
    ours = gradients(case, case.targets, engine)
    check(ours, recorded(case, "torch"), 1e-12)
    check(ours, recorded(case, "jacfwd"), 1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", EVERY)
def test_trajectories_are_those_of_plain_rtrl(case, engine):
    check(real_time(case, case.targets, engine), recorded(case, "real-time"), 1e-10)


@pytest.mark.parametrize("case", EVERY)
def test_a_missing_target_would_be_noticed(case):
    targets = case.targets.copy()
    t, b = np.argwhere(~np.isnan(targets).all(axis=2))[5]
    targets[t, b] = np.nan
    worst = differences(gradients(case, targets, "auto"), recorded(case, "torch"))
    assert max(worst.values()) > 1e-6
    worst = differences(real_time(case, targets, "auto"), recorded(case, "real-time"))
    assert max(worst.values()) > 1e-6


def peer(library):
    """The module that computes with a library."""
    if importlib.util.find_spec(library) is None:
        assert not os.environ.get("RTRL_EXPECT_PEERS"), f"{library} is expected, but not installed"
        pytest.skip(f"{library} is not installed")
    return importlib.import_module(f"{library}_peer")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("library", ["torch", "jax"])
@pytest.mark.parametrize("case", EVERY)
def test_recorded_values_are_those_of_the_installed_libraries(case, library):
    module = peer(library)
    check(
        module.gradients(case), recorded(case, {"torch": "torch", "jax": "jacfwd"}[library]), 1e-11
    )
    if library == "jax":
        check(module.real_time(case), recorded(case, "real-time"), 1e-11)
