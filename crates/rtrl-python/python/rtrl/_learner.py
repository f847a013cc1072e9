"""Learners and forecasters."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rtrl import _rtrl
from rtrl._network import Array, Network
from rtrl._rtrl import StepReport
from rtrl._updates import (
    Adam,
    Deferred,
    Optimizer,
    RealTime,
    Regime,
    Schedule,
    describe_engine,
)

LOSSES = {
    "squared": "squared-error",
    "binary": "binary-cross-entropy",
    "softmax": "softmax-cross-entropy",
}


class Run(NamedTuple):
    """The results of :meth:`Learner.run`."""

    outputs: Array
    """steps x outputs, or steps x streams x outputs."""
    losses: Array
    """The loss of every step, summed over the streams."""


Observer = Callable[["Learner", StepReport], object]


class Learner:
    """A network that learns while it runs, by exact real-time recurrent learning.

    Main arguments:
        network: the network, which the learner copies.
        optimizer: ``SGD``, ``RMSProp`` or ``Adam``.
        loss: ``"squared"``, ``"binary"``, ``"softmax"`` (both cross-entropies, of logits) or
            ``"huber:DELTA"``. All are sums over outputs and streams, not means.
        streams: number of sequences that share the weights. With more than one, the arrays of a
            step have the streams as their first axis.

    Other arguments:
        regime: ``RealTime(every, after_next_step)`` or ``Epochwise()``.
        clip: largest norm of the gradient. clip_value: largest absolute value of a component.
        schedule: ``StepDecay``, ``InverseTime`` or ``Cosine``.
        readout_learning_rate: a rate of the readout instead of the optimiser's.
        weight_decay: decoupled weight decay, as in ``torch.optim.AdamW``.
        spectral_limit: largest singular value of the recurrent weights of simple units.
        teacher_forcing: whether units with targets pass these on instead of their outputs.
        engine: ``"auto"``, ``"eager"``, ``"deferred"`` or ``Deferred(window, even_pace)``.
        threads: how many; ``None`` for as many as the network can use. Results are the same.
        reset_sensitivities, skip_updates: recover from overflows instead of raising.
        sensitivity_decay: a factor of the sensitivities at every step, for forgetting.
        step_gradients: whether ``gradient`` is known in regimes that sum gradients.
    """

    __slots__ = ("__weakref__", "_core")

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer | None = None,
        loss: str = "squared",
        *,
        streams: int = 1,
        regime: Regime | None = None,
        clip: float | None = None,
        clip_value: float | None = None,
        schedule: Schedule | None = None,
        readout_learning_rate: float | None = None,
        weight_decay: float = 0.0,
        spectral_limit: float | None = None,
        teacher_forcing: bool = False,
        engine: str | Deferred = "auto",
        threads: int | None = None,
        reset_sensitivities: bool = False,
        skip_updates: bool = False,
        sensitivity_decay: float = 1.0,
        step_gradients: bool = False,
    ) -> None:
        description = {
            "updates": {
                "optimizer": (optimizer or Adam()).describe(),
                "readout_learning_rate": readout_learning_rate,
                "schedule": schedule.describe() if schedule else {"kind": "constant"},
                "clipping": {"value": clip_value, "norm": clip},
                "weight_decay": weight_decay,
                "spectral_limit": spectral_limit,
            },
            "loss": LOSSES.get(loss, loss),
            "streams": streams,
            "regime": (regime or RealTime()).describe(),
            "teacher_forcing": teacher_forcing,
            "engine": describe_engine(engine),
            "threads": threads,
            "recovery": {
                "reset_sensitivities": reset_sensitivities,
                "skip_updates": skip_updates,
            },
            "sensitivity_decay": sensitivity_decay,
            "step_gradients": step_gradients,
        }
        self._core = _rtrl.Learner(network._core, description)

    @classmethod
    def _of(cls, core: _rtrl.Learner) -> Self:
        learner = cls.__new__(cls)
        learner._core = core
        return learner

    def step(self, x: npt.ArrayLike, target: npt.ArrayLike | None = None) -> StepReport:
        """One step: runs the network, compares its outputs with the target, and learns.

        ``x`` holds the inputs, ``target`` one number for each output; NaN and masked values are no
        targets, and neither is ``None``. A step without any target learns nothing. Returns the
        outputs, their errors (minus the derivative of the loss), the loss, and whether weights
        have changed.
        """
        return self._core.step(x, target)

    def run(
        self,
        x: npt.ArrayLike,
        targets: npt.ArrayLike | None = None,
        observers: Iterable[Observer] = (),
    ) -> Run:
        """Steps over whole arrays, with the same bits as :meth:`step` and much faster.

        ``x`` is steps x inputs and ``targets`` steps x outputs; with several streams, both have
        the streams as their second axis. Other threads run meanwhile. After an exception or Ctrl-C,
        the steps so far are done.

        Every observer is called with the learner and the report after each step, which makes a run
        as slow as calls of :meth:`step`.
        """
        called = tuple(observers)
        if not called:
            return Run(*self._core.run(x, targets))
        reports = []
        for row, target in _rows(x, targets):
            report = self.step(row, target)
            reports.append(report)
            for observer in called:
                observer(self, report)
        outputs = np.array([report.outputs for report in reports], self.dtype)
        losses = np.array([report.loss for report in reports], self.dtype)
        return Run(outputs.reshape(len(reports), *self.outputs.shape), losses)

    def predict(self, x: npt.ArrayLike) -> Array:
        """The outputs that the next step would compute for this input, or the next steps for
        several rows. Changes nothing."""
        return self._core.predict(x)

    def generate(
        self,
        steps: int,
        input: Callable[[int, Array], npt.ArrayLike] | None = None,
        stream: int = 0,
    ) -> Array:
        """The outputs of a free run, steps x outputs. Changes nothing.

        ``input`` is called with the number of the step and the last outputs and returns the next
        input. Without it, the outputs are the next input.
        """
        return self._core.generate(steps, input, stream)

    def forecast(self, steps: int, stream: int = 0) -> Array:
        """The next values of a series that the network forecasts one step ahead, steps x outputs:
        the outputs of the last step, then those of a free run on them. Changes nothing."""
        last = self.outputs if self.streams == 1 else self.outputs[stream]
        if steps < 1:
            return np.empty((0, len(last)), self.dtype)
        return np.concatenate([last[None], self.generate(steps - 1, stream=stream)])

    def reset(self, state: npt.ArrayLike | None = None, stream: int | None = None) -> None:
        """Starts new sequences, in all streams or in one: the state as given, or the initial one,
        and no sensitivities. Weights and optimiser are kept."""
        self._core.reset(state, stream)

    def reset_sensitivities(self) -> None:
        """Sets the sensitivities to 0 and keeps everything else."""
        self._core.reset_sensitivities()

    def end_epoch(self, state: npt.ArrayLike | None = None) -> None:
        """Applies the gradient of an epoch, then starts new sequences as :meth:`reset`."""
        self._core.end_epoch(state)

    def finish(self) -> bool:
        """Applies the pending gradient of ``RealTime(after_next_step=True)``, if there is one."""
        return self._core.finish()

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of the weights, by layer as in :attr:`Network.weights`."""
        return self._core.weights()

    @weights.setter
    def weights(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Replaces the weights that are given, all or none; frozen and absent ones stay."""
        self._core.set_weights(dict(values))

    @property
    def gradient(self) -> dict[str, Array] | None:
        """The derivative of the loss of the last step by the weights, before clipping. ``None``
        before the first step, and in regimes that sum gradients without ``step_gradients``."""
        return self._core.gradient()

    def accumulated_gradient(self) -> dict[str, Array] | None:
        """The gradient summed since the last update, in regimes that sum gradients."""
        return self._core.accumulated_gradient()

    def sensitivities(self, unit: int, stream: int = 0) -> dict[str, Array]:
        """The derivatives of the output of a unit by all weights of the units, by layer."""
        return self._core.sensitivities(unit, stream)

    def jacobian(self, stream: int = 0) -> Array:
        """The derivatives of the state by the state before, states x states, of the last step."""
        return self._core.jacobian(stream)

    @property
    def state(self) -> Array:
        """y(t) of all units, then c(t) of all LSTM units; one row per stream if there are more."""
        return self._core.state()

    @property
    def outputs(self) -> Array:
        """The outputs of the last step; one row per stream if there are more."""
        return self._core.outputs()

    @property
    def network(self) -> Network:
        """A copy of the network with its current weights."""
        return Network._of(self._core.network())

    @property
    def learning_rate(self) -> float:
        """The learning rate, before the schedule."""
        return float(self._core.describe()["learning_rate"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._core.set_learning_rate(rate)

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return int(self._core.describe()["steps"])

    @property
    def updates(self) -> int:
        """Number of times that the weights have changed."""
        return int(self._core.describe()["updates"])

    @property
    def streams(self) -> int:
        """Number of streams."""
        return int(self._core.describe()["streams"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """``float32`` or ``float64``."""
        return np.dtype(str(self._core.describe()["dtype"]))

    def describe(self) -> dict[str, Any]:
        """The learner in numbers and words: engine, regime, bytes of sensitivities, counters."""
        return self._core.describe()

    def save(self, path: str | PathLike[str], application: object = None) -> None:
        """Writes everything that the run needs to continue bit for bit to a checkpoint."""
        self._core.save(path, application)

    @classmethod
    def load(
        cls, path: str | PathLike[str], threads: int | None = None, name: str | None = None
    ) -> Self:
        """Reads a checkpoint; the learner continues as the saved one would have, bit for bit.

        A checkpoint of the program ``rtrl`` holds several learners; its network is the one with the
        ``name`` ``"network"``.
        """
        return cls._of(_rtrl.Learner.load(path, threads, name)[0])

    def copy(self) -> Self:
        """An independent learner in the same state."""
        return self._of(self._core.copy())

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _learner_of_bytes, (type(self), self._core.to_bytes())

    def __repr__(self) -> str:
        facts = self._core.describe()
        streams = f", {facts['streams']} streams" if facts["streams"] > 1 else ""
        return (
            f"Learner({self.network!r}; {facts['loss']}, {facts['regime']}{streams}, engine "
            f"{facts['engine']}, {facts['sensitivity_bytes']} bytes of sensitivities, "
            f"{facts['steps']} steps)"
        )


class Forecaster:
    """A learner that forecasts ``horizon`` calls ahead: the label of an input arrives that many
    calls later.

    Arguments:
        learner: the learner, which the forecaster copies.
        horizon: calls from an input to its label, at least 1.
    """

    __slots__ = ("_core",)

    def __init__(self, learner: Learner, horizon: int = 1) -> None:
        self._core = _rtrl.Forecaster(learner._core, horizon)

    @classmethod
    def _of(cls, core: _rtrl.Forecaster) -> Self:
        forecaster = cls.__new__(cls)
        forecaster._core = core
        return forecaster

    def observe(self, x: npt.ArrayLike, label: npt.ArrayLike | None = None) -> StepReport | None:
        """Takes an input and the label of the input of ``horizon`` calls ago, and learns from that
        pair. The first ``horizon`` calls have no pair and return ``None``."""
        return self._core.observe(x, label)

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
        return Learner._of(self._core.learner())

    def reset(self) -> None:
        """Starts new sequences from the initial state; pending inputs are dropped."""
        self._core.reset()

    def save(self, path: str | PathLike[str], application: object = None) -> None:
        """Writes a checkpoint, as :meth:`Learner.save`."""
        self._core.save(path, application)

    @classmethod
    def load(cls, path: str | PathLike[str], threads: int | None = None) -> Self:
        """Reads a checkpoint of a forecaster."""
        return cls._of(_rtrl.Forecaster.load(path, threads)[0])

    def copy(self) -> Self:
        """An independent forecaster in the same state."""
        return self._of(self._core.copy())

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _forecaster_of_bytes, (type(self), self._core.to_bytes())

    def __repr__(self) -> str:
        return f"Forecaster({self.learner!r}, horizon={self.horizon})"


def _rows(
    x: npt.ArrayLike, targets: npt.ArrayLike | None
) -> Iterable[tuple[npt.ArrayLike, npt.ArrayLike | None]]:
    rows = np.asarray(x)
    if targets is None:
        return ((row, None) for row in rows)
    return zip(rows, np.asanyarray(targets), strict=True)


def _learner_of_bytes(cls: type[Learner], data: bytes) -> Learner:
    return cls._of(_rtrl.Learner.from_bytes(data))


def _forecaster_of_bytes(cls: type[Forecaster], data: bytes) -> Forecaster:
    return cls._of(_rtrl.Forecaster.from_bytes(data))
