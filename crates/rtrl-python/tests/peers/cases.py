"""The networks and data that this package, PyTorch and JAX compute the same with.

A case has weights in the layout of the package, rows x (inputs, bias, units) for each layer, and
data of 50 steps. NaN is no target.
"""

from dataclasses import dataclass

import numpy as np

STEPS = 50
BLOCKS = {"simple": 1, "gru": 4, "lstm": 4}
CASES = (
    # name, cell, units of the layers, inputs, streams, outputs of the readout, loss, density
    ("simple", "simple", (6,), 2, 1, None, "squared", 1.0),
    ("simple, masked", "simple", (7,), 2, 1, None, "squared", 0.6),
    ("simple, streams, readout", "simple", (6,), 2, 3, 2, "squared", 1.0),
    ("simple, two layers, softmax", "simple", (5, 5), 3, 1, 3, "softmax", 1.0),
    ("gru", "gru", (6,), 2, 1, None, "squared", 1.0),
    ("gru, streams, softmax", "gru", (5,), 2, 2, 3, "softmax", 1.0),
    ("gru, two layers, readout", "gru", (5, 5), 3, 1, 2, "squared", 1.0),
    ("lstm", "lstm", (5,), 2, 1, None, "squared", 1.0),
    ("lstm, streams, readout", "lstm", (4,), 2, 2, 2, "squared", 1.0),
    ("lstm, two layers, softmax", "lstm", (4, 4), 2, 1, 3, "softmax", 1.0),
)


@dataclass
class Case:
    """A case with its numbers, all in float64."""

    name: str
    cell: str
    units: tuple
    inputs: int
    streams: int
    loss: str
    weights: list
    masks: list
    readout: np.ndarray | None
    x: np.ndarray
    targets: np.ndarray

    @property
    def outputs(self) -> int:
        return sum(self.units) if self.readout is None else len(self.readout)


def mask_of(cell: str, n: int, m: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Which weights exist: a GRU's rows v do not see the units, and its rows w not the inputs."""
    mask = random.random((BLOCKS[cell] * n, m + 1 + n)) < share
    if cell == "gru":
        mask[2 * n : 3 * n, m + 1 :] = False
        mask[3 * n :, :m] = False
    return mask


def make(number: int) -> Case:
    """Case ``number``, the same on every machine."""
    name, cell, units, inputs, streams, outputs, loss, share = CASES[number]
    random = np.random.Generator(np.random.PCG64(number))
    masks, weights, seen = [], [], inputs
    for n in units:
        mask = mask_of(cell, n, seen, share, random)
        masks.append(mask)
        weights.append(np.where(mask, random.uniform(-0.7, 0.7, mask.shape), 0))
        seen = n
    readout = None if outputs is None else random.uniform(-0.7, 0.7, (outputs, units[-1] + 1))
    width = sum(units) if outputs is None else outputs
    x = random.uniform(-1, 1, (STEPS, streams, inputs))
    if loss == "softmax":
        targets = np.eye(width)[random.integers(width, size=(STEPS, streams))]
        targets[random.random((STEPS, streams)) < 0.4] = np.nan
    else:
        targets = random.uniform(-0.8, 0.8, (STEPS, streams, width))
        targets[random.random(targets.shape) < 0.4] = np.nan
    return Case(name, cell, units, inputs, streams, loss, weights, masks, readout, x, targets)


def every() -> list:
    return [make(number) for number in range(len(CASES))]
