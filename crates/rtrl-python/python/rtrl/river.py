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

from rtrl._arguments import real, text, wrong_type
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
        if text(missing, "missing") not in MISSING:
            raise ArgumentError(f"missing: got {missing!r}, expected one of {MISSING}")
        self.names, self.missing = names, missing
        self.last = [0.0] * len(names)

    def row(self, x: dict[Any, Any]) -> list[float]:
        """The values of a sample; those that are absent, ``None`` or NaN by the policy."""
        row = []
        for name, last in zip(self.names, self.last, strict=True):
            value = x.get(name)
            number = math.nan if value is None else real(value, f"feature {name!r}")
            if math.isnan(number):
                if self.missing == "error":
                    got = "none" if value is None else "NaN"
                    raise ArgumentError(f"feature {name!r}: got {got}, expected a number")
                number = last if self.missing == "last" else 0.0
            if math.isinf(number):
                raise ArgumentError(f"feature {name!r}: got {number}, expected a finite number")
            row.append(number)
        return row


class _Sequential(base.Estimator):
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
        self._learner: Learner | None = None
        self._inputs: _Features | None = None

    def _names(self, x: dict[Any, Any]) -> _Features:
        """The features so far, or those that a first sample has."""
        if self._inputs is not None:
            return self._inputs
        names = tuple(sorted(x, key=str)) if self.features is None else tuple(self.features)
        return _Features(names, self.missing)

    def _step(self, learner: Learner, inputs: _Features, row: list[float], target: Any) -> None:
        """A step. The learner and the features are kept unless it is refused."""
        learner.step(row, target)
        self._learner, self._inputs, inputs.last = learner, inputs, row

    def _outputs(self, x: dict[Any, Any]) -> Any:
        """The outputs for a sample, ``None`` before the first one that is learnt."""
        if self._learner is None or self._inputs is None:
            return None
        return self._learner.predict(self._inputs.row(x))


class Regressor(_Sequential, base.Regressor):
    """A recurrent network that forecasts a number and learns from every sample.

    Samples are a sequence: the state of the network advances in ``learn_one`` alone, so every
    sample must be learnt once and in order. ``predict_one`` changes nothing. Scale the features
    and the target, for example by ``StandardScaler`` and ``TargetStandardScaler``. A sample whose
    target is ``None`` or NaN advances the state.

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
        The value of a feature that is absent, ``None`` or NaN: its ``"last"`` one, ``"zero"``, or
        an ``"error"``.
    seed
        The seed of the initial weights.
    dtype
        ``"float32"`` or ``"float64"``.
    """

    def learn_one(self, x: dict[Any, Any], y: float | None) -> None:
        inputs = self._names(x)
        row = inputs.row(x)
        learner = self._learner
        if learner is None:
            settings = self.layers, self.optimizer, self.seed, self.dtype
            learner = regressor(len(row), 1, *settings)
        self._step(learner, inputs, row, y)

    def predict_one(self, x: dict[Any, Any]) -> float:
        outputs = self._outputs(x)
        return 0.0 if outputs is None else float(outputs[0])


class Classifier(_Sequential, base.Classifier):
    """A recurrent network with a softmax that learns from every sample. Samples and parameters are
    as for :class:`Regressor`, but all weights learn by the optimiser, which is ``rtrl.Adam(0.01)``
    by default.

    A class that was never seen adds an output: the weights are kept, and the moments of the
    optimiser start again. A sample whose class is ``None`` or NaN advances the state, but before
    the first class it is ignored.
    """

    _classes: tuple[Any, ...] = ()

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: dict[Any, Any], y: Any) -> None:
        inputs = self._names(x)
        row = inputs.row(x)
        if y is None or isinstance(y, float | np.floating) and math.isnan(y):
            if self._learner is not None:
                self._step(self._learner, inputs, row, None)
            return
        try:
            hash(y)
        except TypeError:
            raise wrong_type(y, "a label that can be hashed", "class") from None
        learner, classes = self._learner, self._classes
        if learner is None or y not in classes:
            learner, classes = self._grown(len(row)), (*classes, y)
        self._step(learner, inputs, row, [float(known == y) for known in classes])
        self._classes = classes

    def _grown(self, inputs: int) -> Learner:
        """A learner with an output for one more class, and the weights and the state so far."""
        count = len(self._classes) + 1
        grown = classifier(inputs, count, self.layers, self.optimizer, self.seed, self.dtype)
        if self._learner is not None:
            weights = self._learner.weights
            new = np.zeros((1, weights["readout"].shape[1]))
            grown.weights = weights | {"readout": np.concatenate([weights["readout"], new])}
            grown.reset(self._learner.state)
        return grown

    def predict_proba_one(self, x: dict[Any, Any], **_: Any) -> dict[Any, float]:
        outputs = self._outputs(x)
        if outputs is None:
            return {}
        logits = outputs.tolist()
        powers = [math.exp(logit - max(logits)) for logit in logits]
        total = sum(powers)
        return {known: power / total for known, power in zip(self._classes, powers, strict=True)}
