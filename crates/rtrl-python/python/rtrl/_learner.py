"""Learners."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rtrl import _rtrl
from rtrl._arguments import (
    count,
    flag,
    instance,
    is_function,
    optional_count,
    real,
    text,
    wrong_type,
)
from rtrl._errors import ArgumentError, CallbackError
from rtrl._network import Network
from rtrl._plan import BlockPlan, EnginePlan, lines_of_blocks
from rtrl._rtrl import StepReport
from rtrl._stored import (
    MOST_THREADS,
    Array,
    Flags,
    LossFunction,
    OptimizerFunction,
    Stored,
)
from rtrl._updates import (
    Deferred,
    Optimizer,
    RealTime,
    Regime,
    Schedule,
    describe_engine,
    describe_loss,
    describe_updates,
)


class Run(NamedTuple):
    """The results of :meth:`Learner.run`."""

    outputs: Array
    """steps x outputs, or steps x streams x outputs."""
    losses: Array
    """The loss of every step, summed over the streams."""


Observer = Callable[["Learner", StepReport], object]


class Learner(Stored[_rtrl.Learner]):
    """A network that learns while it runs, by exact real-time recurrent learning.

    Main arguments:
        network: the network, which the learner copies.
        optimizer: ``SGD``, ``RMSProp``, ``Adam``, or a function that is called after every step
            with a target with the weights and their gradient, both by layer, and returns the new
            weights, all or some. Clipping, rates and so on are its own, and the readout cannot be
            fitted by least squares.
        loss: ``"squared"``, ``"binary"``, ``"softmax"`` (both cross-entropies, of logits) or
            ``"huber:DELTA"``. All are sums over outputs and streams, not means. Or a function that
            is called with the outputs and the targets of a stream, NaN where there is none, and
            returns the loss and the errors, which are minus its derivative by the outputs.
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

    __slots__ = ()

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer | OptimizerFunction | None = None,
        loss: str | LossFunction = "squared",
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
        regime = instance(RealTime() if regime is None else regime, Regime, "regime")
        description = {
            "updates": describe_updates(
                optimizer,
                regime,
                clip=clip,
                clip_value=clip_value,
                schedule=schedule,
                readout_learning_rate=readout_learning_rate,
                weight_decay=weight_decay,
                spectral_limit=spectral_limit,
            ),
            "loss": describe_loss(loss),
            "streams": count(streams, "streams"),
            "regime": regime.describe(),
            "teacher_forcing": flag(teacher_forcing, "teacher forcing"),
            "engine": describe_engine(engine),
            "threads": optional_count(threads, "threads", MOST_THREADS),
            "recovery": {
                "reset_sensitivities": flag(reset_sensitivities, "reset sensitivities"),
                "skip_updates": flag(skip_updates, "skip updates"),
            },
            "sensitivity_decay": real(sensitivity_decay, "decay of the sensitivities"),
            "step_gradients": flag(step_gradients, "step gradients"),
        }
        network = instance(network, Network, "network")
        self._core = _rtrl.Learner(network._core, description)
        self._loss = loss if is_function(loss) else None  # type: ignore[assignment]
        self._optimizer = optimizer if is_function(optimizer) else None  # type: ignore[assignment]
        if self._optimizer is not None and self._core.describe()["least_squares"]:
            message = "got a function and a readout by least squares, expected only one of them"
            raise ArgumentError(f"optimizer: {message}")

    def step(
        self,
        x: npt.ArrayLike,
        target: npt.ArrayLike | None = None,
        streams: Flags | None = None,
    ) -> StepReport:
        """One step: runs the network, compares its outputs with the target, and learns.

        ``x`` holds the inputs, ``target`` one number for each output; NaN and masked values are no
        targets, and neither is ``None``. A step without any target learns nothing. ``streams``
        holds a bool for each stream; those with ``False`` skip the step, and their part of the
        other arrays is ignored. Returns the outputs, their errors (minus the derivative of the
        loss), the loss, and whether weights have changed.
        """
        report = self._core.step(x, target, streams, self._loss)
        if self._optimizer is not None and report.updated:
            self._update(report.step, self._optimizer)
        return report

    def _update(self, step: int, optimizer: OptimizerFunction) -> None:
        gradient = self.gradient
        if gradient is None:
            return
        try:
            self.weights = optimizer(self.weights, gradient)
        except Exception as error:
            message = f"step {step}: the optimizer raised {type(error).__name__}: {error}"
            raise CallbackError(message) from error

    def run(
        self,
        x: npt.ArrayLike,
        targets: npt.ArrayLike | None = None,
        observers: Iterable[Observer] = (),
        streams: Flags | None = None,
    ) -> Run:
        """Steps over whole arrays, with the same bits as :meth:`step` and much faster.

        ``x`` is steps x inputs and ``targets`` steps x outputs; with several streams, both have
        the streams as their second axis, and ``streams`` is steps x streams. Other threads run
        meanwhile. After an exception or Ctrl-C, the steps so far are done.

        Every observer is called with the learner and the report after each step, which makes a run
        as slow as calls of :meth:`step`; so does an optimiser that is a function. An exception of
        an observer ends the run.
        """
        called = tuple(observers)
        if not called and self._optimizer is None:
            return Run(*self._core.run(x, targets, streams, self._loss))
        rows, labels, present = self._core.arrays(x, targets, streams)
        reports = []
        for t, row in enumerate(rows):
            report = self.step(
                row,
                None if labels is None else labels[t],
                None if present is None else present[t],
            )
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
        if input is not None and not callable(input):
            raise wrong_type(input, "a function", "input")
        return self._core.generate(count(steps, "steps"), input, count(stream, "stream"))

    def forecast(self, steps: int, stream: int = 0) -> Array:
        """The next values of a series that the network forecasts one step ahead, steps x outputs:
        the outputs of the last step, then those of a free run on them. Changes nothing."""
        steps, stream = count(steps, "steps"), count(stream, "stream")
        generated = self.generate(max(steps, 1) - 1, stream=stream)
        last = self.outputs if self.streams == 1 else self.outputs[stream]
        return np.concatenate([last[None], generated])[:steps]

    def reset(self, state: npt.ArrayLike | None = None, stream: int | None = None) -> None:
        """Starts new sequences, in all streams or in one: the state as given, or the initial one,
        and no sensitivities. Weights and optimiser are kept."""
        self._core.reset(state, optional_count(stream, "stream"))

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
        values = instance(values, Mapping, "weights")
        self._core.set_weights({text(key, "key of the weights"): values[key] for key in values})

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
        return self._core.sensitivities(count(unit, "unit"), count(stream, "stream"))

    def jacobian(self, stream: int = 0) -> Array:
        """The derivatives of the state by the state before, states x states, of the last step."""
        return self._core.jacobian(count(stream, "stream"))

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
        self._core.set_learning_rate(real(rate, "learning rate"))

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
        """The learner in numbers and words: engine, its bytes, regime, counters."""
        return self._core.describe()

    def engine_plan(self) -> EnginePlan:
        """The blocks into which structure divides the network, such as its heads, each with its
        engine; their memory and operations."""
        blocks, sensitivity_bytes, bytes, operations, text = self._core.engine_plan()
        plans = tuple(BlockPlan(*block) for block in blocks)
        return EnginePlan(plans, sensitivity_bytes, bytes, operations, text)

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        threads: int | None = None,
        name: str | None = None,
        *,
        loss: LossFunction | None = None,
        optimizer: OptimizerFunction | None = None,
    ) -> Self:
        """Reads a checkpoint; the learner continues as the saved one would have, bit for bit.

        A checkpoint of the program ``rtrl`` holds several learners; its network is the one with the
        ``name`` ``"network"``. Functions of the caller are passed again.
        """
        name = None if name is None else text(name, "name")
        threads = optional_count(threads, "threads", MOST_THREADS)
        return cls._loaded(_rtrl.Learner.load(path, threads, name), loss, optimizer)

    def __repr__(self) -> str:
        facts = self._core.describe()
        streams = f", {facts['streams']} streams" if facts["streams"] > 1 else ""
        first = (
            f"Learner({self.network!r}; {facts['loss']}, {facts['regime']}{streams}, engine "
            f"{facts['engine']}, {facts['engine_bytes']} bytes, {facts['steps']} steps)"
        )
        return "\n".join([first, *lines_of_blocks(self._core.kinds_of_blocks())])
