"""Shared by all tests."""

import sys
from pathlib import Path

import numpy as np
import pytest

import rtrl

sys.path.insert(0, str(Path(__file__).parent / "peers"))


@pytest.fixture
def data():
    """Inputs and targets of 200 steps for the learner of ``make``."""
    random = np.random.default_rng(1)
    return random.uniform(-1, 1, (200, 2)), random.uniform(-0.5, 0.5, (200, 1))


@pytest.fixture
def make():
    """A function that makes a small learner."""

    def make(dtype="float64", layers=None, **options):
        layers = layers or [rtrl.GRU(5)]
        network = rtrl.Network(2, layers, readout=1, seed=3, dtype=dtype)
        return rtrl.Learner(network, rtrl.Adam(1e-2), **options)

    return make
