"""Forecasters: learners whose labels arrive late."""

from os import PathLike
from typing import Self

import numpy.typing as npt

from rtrl import _rtrl
from rtrl._arguments import count, instance, optional_count
from rtrl._errors import ArgumentError
from rtrl._learner import Learner
from rtrl._rtrl import StepReport
from rtrl._stored import MOST_THREADS, Array, Flags, LossFunction, Stored


class Forecaster(Stored[_rtrl.Forecaster]):
    """A learner that forecasts ``horizon`` calls ahead: the label of an input arrives that many
    calls later.

    Arguments:
        learner: the learner, which the forecaster copies.
        horizon: calls from an input to its label, at least 1.
    """

    __slots__ = ()

    def __init__(self, learner: Learner, horizon: int = 1) -> None:
        learner = instance(learner, Learner, "learner")
        if learner._optimizer is not None:
            message = "got one whose optimizer is a function, expected one of the package"
            raise ArgumentError(f"learner: {message}")
        self._core = _rtrl.Forecaster(learner._core, count(horizon, "horizon"))
        self._loss, self._optimizer = learner._loss, None

    def observe(
        self,
        x: npt.ArrayLike,
        label: npt.ArrayLike | None = None,
        streams: Flags | None = None,
    ) -> StepReport | None:
        """Takes an input and the label of the input of ``horizon`` calls ago, and learns from that
        pair. The first ``horizon`` calls have no pair and return ``None``. ``streams`` is that of
        :meth:`Learner.step`: a stream with ``False`` skips the call."""
        return self._core.observe(x, label, streams, self._loss)

    def forecast(self) -> Array:
        """The forecast of the label that arrives in ``horizon`` calls. Changes nothing."""
        return self._core.forecast()

    @property
    def horizon(self) -> int:
        """Calls from an input to its label."""
        return self._core.horizon()

    @property
    def learner(self) -> Learner:
        """A copy of the learner, at the time of the newest complete pair."""
        return Learner._of(self._core.learner(), self._loss)

    def reset(self) -> None:
        """Starts new sequences from the initial state; pending inputs are dropped."""
        self._core.reset()

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        threads: int | None = None,
        *,
        loss: LossFunction | None = None,
    ) -> Self:
        """Reads a checkpoint of a forecaster, as :meth:`Learner.load`."""
        threads = optional_count(threads, "threads", MOST_THREADS)
        return cls._loaded(_rtrl.Forecaster.load(path, threads), loss, None)

    def __repr__(self) -> str:
        learner, *blocks = repr(self.learner).splitlines()
        return "\n".join([f"Forecaster({learner}, horizon={self.horizon})", *blocks])
