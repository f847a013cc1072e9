"""What the estimators of River and of scikit-learn have in common."""

from collections.abc import Sequence

import numpy.typing as npt

from rtrl._layers import Layer, LeastSquares, Readout, Simple
from rtrl._learner import Learner
from rtrl._network import Network
from rtrl._updates import SGD, Adam, Optimizer

# Half of the units have no memory of their old value, the others a time constant of up to 10 steps.
LEAKS = [1.0] * 8 + [1 / constant for constant in (2, 3, 4, 5, 6, 7, 8, 10)]

Layers = Sequence[Layer | int] | Layer | int


def regressor(
    inputs: int,
    outputs: int,
    layers: Layers | None,
    optimizer: Optimizer | None,
    seed: int,
    dtype: npt.DTypeLike,
) -> Learner:
    """A learner of the squared error: by default 16 units whose weights learn by gradient descent,
    and a readout fitted by recursive least squares, as those of the program ``rtrl``."""
    readout = Readout(outputs, inputs=True, least_squares=LeastSquares(0.999, 1.0))
    network = Network(inputs, default(layers), readout, seed=seed, dtype=dtype)
    return Learner(
        network,
        SGD(0.02) if optimizer is None else optimizer,
        clip=1.0,
        reset_sensitivities=True,
        skip_updates=True,
    )


def classifier(
    inputs: int,
    classes: int,
    layers: Layers | None,
    optimizer: Optimizer | None,
    seed: int,
    dtype: npt.DTypeLike,
) -> Learner:
    """A learner of the cross-entropy of a softmax: by default 16 units and Adam."""
    readout = Readout(classes, inputs=True)
    network = Network(inputs, default(layers), readout, seed=seed, dtype=dtype)
    return Learner(
        network,
        Adam(0.01) if optimizer is None else optimizer,
        "softmax",
        clip=1.0,
        reset_sensitivities=True,
        skip_updates=True,
    )


def default(layers: Layers | None) -> Layers:
    """The layers, or those of the default."""
    return Simple(len(LEAKS), leak=LEAKS) if layers is None else layers
