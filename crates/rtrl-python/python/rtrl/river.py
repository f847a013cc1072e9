"""Estimators for River, which needs ``pip install rtrl[river]``.

>>> from river import datasets, evaluate, metrics, preprocessing
>>> from rtrl.river import Regressor
>>> model = preprocessing.StandardScaler() | Regressor(seed=1)
>>> metric = evaluate.progressive_val_score(datasets.ChickWeights(), model, metrics.MAE())
>>> metric.get() < 100
True
"""

import math
from typing import Any

import numpy as np
from river import base

from rtrl._errors import ArgumentError
from rtrl._estimator import Layers, classifier, regressor
from rtrl._learner import Learner
from rtrl._updates import Optimizer

__all__ = ["Classifier", "Regressor"]

MISSING = ("last", "zero", "error")


class _Features:
    """The inputs of a network in a dict: a fixed list of names, in the order of the first sample
    sorted, or as given. Further features are ignored."""

    def __init__(self, names: tuple[Any, ...], missing: str) -> None:
        if missing not in MISSING:
            raise ArgumentError(f"missing: got {missing!r}, expected one of {MISSING}")
        self.names, self.missing = names, missing
        self.last = dict.fromkeys(names, 0.0)

    def row(self, x: dict[Any, Any], remember: bool) -> np.ndarray[Any, Any]:
        """The values of a sample; missing ones by the policy."""
        if self.missing == "error" and (absent := [name for name in self.names if name not in x]):
            raise ArgumentError(f"features: got none named {absent[0]!r}, expected {self.names}")
        other = self.last if self.missing == "last" else {}
        row = {name: float(x.get(name, other.get(name, 0.0))) for name in self.names}
        if odd := [name for name, value in row.items() if not math.isfinite(value)]:
            raise ArgumentError(f"features: got {row[odd[0]]} for {odd[0]!r}, expected a number")
        if remember:
            self.last = row
        return np.fromiter(row.values(), float, len(row))


class _Sequential(base.Estimator):
    layers: Layers | None
    optimizer: Optimizer | None
    features: tuple[Any, ...] | None
    missing: str
    seed: int
    dtype: str
    _learner: Learner | None = None
    _inputs: _Features | None = None

    def _names(self, x: dict[Any, Any]) -> _Features:
        if self._inputs is None:
            names = tuple(sorted(x, key=str)) if self.features is None else tuple(self.features)
            self._inputs = _Features(names, self.missing)
        return self._inputs


class Regressor(_Sequential, base.Regressor):
    """A recurrent network that forecasts a number and learns from every sample.

    Samples are a sequence: the state of the network advances in ``learn_one`` alone, so every
    sample must be learnt once and in order. ``predict_one`` changes nothing. Scale the features
    and the target, for example by ``StandardScaler`` and ``TargetStandardScaler``.

    Parameters
    ----------
    layers
        Layers as of ``rtrl.Network``; 16 leaky tanh units by default.
    optimizer
        How the weights of the units learn; ``rtrl.SGD(0.02)`` by default. The readout is fitted by
        recursive least squares.
    features
        The names of the features; by default those of the first sample that is learnt.
    missing
        The value of a missing feature: its ``"last"`` one, ``"zero"``, or an ``"error"``.
    seed
        The seed of the initial weights.
    dtype
        ``"float32"`` or ``"float64"``.
    """

    def __init__(
        self,
        layers: Layers | None = None,
        optimizer: Optimizer | None = None,
        features: tuple[Any, ...] | None = None,
        missing: str = "last",
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self.layers = layers
        self.optimizer = optimizer
        self.features = features
        self.missing = missing
        self.seed = seed
        self.dtype = dtype

    def learn_one(self, x: dict[Any, Any], y: float) -> None:
        inputs = self._names(x)
        if self._learner is None:
            count = len(inputs.names)
            self._learner = regressor(count, 1, self.layers, self.optimizer, self.seed, self.dtype)
        self._learner.step(inputs.row(x, remember=True), float(y))

    def predict_one(self, x: dict[Any, Any]) -> float:
        if self._learner is None or self._inputs is None:
            return 0.0
        return float(self._learner.predict(self._inputs.row(x, remember=False))[0])


class Classifier(_Sequential, base.Classifier):
    """A recurrent network with a softmax that learns from every sample. Samples are a sequence, as
    for :class:`Regressor`.

    A class that was never seen adds an output: the weights are kept, and the moments of the
    optimiser start again.

    Parameters
    ----------
    layers
        Layers as of ``rtrl.Network``; 16 leaky tanh units by default.
    optimizer
        How all weights learn; ``rtrl.Adam(0.01)`` by default.
    features
        The names of the features; by default those of the first sample that is learnt.
    missing
        The value of a missing feature: its ``"last"`` one, ``"zero"``, or an ``"error"``.
    seed
        The seed of the initial weights.
    dtype
        ``"float32"`` or ``"float64"``.
    """

    def __init__(
        self,
        layers: Layers | None = None,
        optimizer: Optimizer | None = None,
        features: tuple[Any, ...] | None = None,
        missing: str = "last",
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self.layers = layers
        self.optimizer = optimizer
        self.features = features
        self.missing = missing
        self.seed = seed
        self.dtype = dtype
        self._classes: list[Any] = []

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        inputs = self._names(x)
        row = inputs.row(x, remember=True)
        if y not in self._classes:
            self._classes.append(y)
            self._learner = self._grown(len(inputs.names))
        assert self._learner is not None
        target = [float(known == y) for known in self._classes]
        self._learner.step(row, target)

    def _grown(self, inputs: int) -> Learner:
        """A learner with an output for every class, and the weights and the state so far."""
        count = len(self._classes)
        grown = classifier(inputs, count, self.layers, self.optimizer, self.seed, self.dtype)
        if self._learner is not None:
            weights = self._learner.weights
            new = np.zeros((1, weights["readout"].shape[1]))
            grown.weights = weights | {"readout": np.concatenate([weights["readout"], new])}
            grown.reset(self._learner.state)
        return grown

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[Any, float]:
        if self._learner is None or self._inputs is None:
            return {}
        logits = self._learner.predict(self._inputs.row(x, remember=False)).tolist()
        powers = [math.exp(logit - max(logits)) for logit in logits]
        total = sum(powers)
        return {known: power / total for known, power in zip(self._classes, powers, strict=True)}
