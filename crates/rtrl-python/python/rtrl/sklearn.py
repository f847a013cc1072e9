"""Estimators for scikit-learn, which need ``pip install rtrl[sklearn]``.

>>> import numpy as np
>>> from rtrl.sklearn import SequenceRegressor
>>> wave = np.sin(0.3 * np.arange(1201))
>>> model = SequenceRegressor(seed=1).fit(wave[:1000, None], wave[1:1001])
>>> bool(model.score(wave[1000:-1, None], wave[1001:]) > 0.9)
True
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from rtrl._errors import ArgumentError
from rtrl._estimator import Layers, classifier, regressor
from rtrl._learner import Learner
from rtrl._updates import Optimizer

__all__ = ["EXPECTED_FAILED_CHECKS", "SequenceClassifier", "SequenceRegressor"]

# Checks of scikit-learn that assume that rows have no order.
EXPECTED_FAILED_CHECKS = {
    "check_methods_sample_order_invariance": "the order of the rows is their order in time",
    "check_methods_subset_invariance": "a prediction depends on the rows before it",
}

Array = npt.NDArray[Any]


class _Sequence(BaseEstimator):
    """The rows of X are consecutive steps of one sequence."""

    def __init__(
        self,
        layers: Layers | None = None,
        optimizer: Optimizer | None = None,
        epochs: int = 1,
        seed: int = 0,
        dtype: str = "float64",
    ) -> None:
        self.layers = layers
        self.optimizer = optimizer
        self.epochs = epochs
        self.seed = seed
        self.dtype = dtype

    _learner: Learner

    def _outputs(self, X: Any) -> Array:
        """The outputs for rows that follow those that have been learnt."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=self.dtype)
        return self._learner.predict(X).reshape(len(X), -1)

    def _run(self, x: Array, targets: Array, epochs: int) -> Self:
        for epoch in range(epochs):
            if epoch > 0:
                self._learner.reset()
            self._learner.run(x, targets)
        return self


class SequenceRegressor(RegressorMixin, _Sequence):
    """A recurrent network that learns a sequence step by step.

    The rows of X are consecutive steps. ``fit`` starts a new sequence, and ``partial_fit`` and
    ``predict`` continue it; ``predict`` changes nothing, so it always starts after the last row
    that was learnt.

    Parameters
    ----------
    layers : layers as of ``rtrl.Network``; 16 leaky tanh units by default.
    optimizer : how the units learn; ``rtrl.SGD(0.02)`` by default. The readout is fitted by
        recursive least squares.
    epochs : how often ``fit`` runs through the rows.
    seed : the seed of the initial weights.
    dtype : ``"float32"`` or ``"float64"``.
    """

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learns from rows in their order, from the beginning."""
        return self._learn(X, y, True)

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learns from further rows."""
        return self._learn(X, y, not hasattr(self, "_learner"))

    def _learn(self, X: Any, y: Any, anew: bool) -> Self:
        X, y = validate_data(
            self, X, y, reset=anew, dtype=self.dtype, multi_output=True, y_numeric=True
        )
        targets = np.asarray(y, self.dtype).reshape(len(X), -1)
        if anew:
            self._flat = np.ndim(y) == 1
            shape = X.shape[1], targets.shape[1]
            self._learner = regressor(*shape, self.layers, self.optimizer, self.seed, self.dtype)
        return self._run(X, targets, self.epochs if anew else 1)

    def predict(self, X: npt.ArrayLike) -> Array:
        """The outputs for rows that follow those that have been learnt."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = True
        tags.non_deterministic = False
        return tags


class SequenceClassifier(ClassifierMixin, _Sequence):
    """A recurrent network with a softmax that learns a sequence step by step, as
    :class:`SequenceRegressor`; ``rtrl.Adam(0.01)`` by default."""

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learns from rows in their order, from the beginning."""
        return self._learn(X, y, None, True)

    def partial_fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, classes: npt.ArrayLike | None = None
    ) -> Self:
        """Learns from further rows. The first call needs all ``classes``, or has them."""
        return self._learn(X, y, classes, not hasattr(self, "_learner"))

    def _learn(self, X: Any, y: Any, classes: npt.ArrayLike | None, anew: bool) -> Self:
        X, y = validate_data(self, X, y, reset=anew, dtype=self.dtype)
        check_classification_targets(y)
        if anew:
            known = np.unique(y if classes is None else classes)
            if len(known) < 2:
                raise ArgumentError("classes: got one class, expected at least two")
            shape = X.shape[1], len(known)
            self._learner = classifier(*shape, self.layers, self.optimizer, self.seed, self.dtype)
            self.classes_ = known
        if not np.isin(y, self.classes_).all():
            raise ArgumentError(f"y: got other classes than {self.classes_}")
        targets = (np.asarray(y)[:, None] == self.classes_).astype(self.dtype)
        return self._run(X, targets, self.epochs if anew else 1)

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The probability of every class, for rows that follow those that have been learnt."""
        logits = self._outputs(X)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def predict(self, X: npt.ArrayLike) -> Array:
        """The likeliest classes."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags
