"""Optimisers, schedules and regimes, as plain data. Formulas and defaults are those of
``torch.optim``."""

from dataclasses import dataclass
from typing import Any

from rtrl._arguments import (
    count,
    flag,
    instance,
    is_function,
    optional_count,
    optional_real,
    real,
    text,
)
from rtrl._errors import ArgumentError


@dataclass(frozen=True)
class SGD:
    """``w -= learning_rate * g``; with momentum ``m = momentum m + g; w -= learning_rate * m``."""

    learning_rate: float = 0.01
    momentum: float = 0.0

    def describe(self) -> dict[str, Any]:
        plain = {"kind": "sgd", "learning_rate": real(self.learning_rate, "learning rate")}
        momentum = real(self.momentum, "momentum")
        return plain | ({"kind": "momentum", "momentum": momentum} if momentum != 0 else {})


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Tieleman & Hinton 2012)."""

    learning_rate: float = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "rmsprop",
            "learning_rate": real(self.learning_rate, "learning rate"),
            "alpha": real(self.alpha, "alpha"),
            "epsilon": real(self.epsilon, "epsilon"),
        }


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015). For AdamW, pass ``weight_decay`` to the learner."""

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "adam",
            "learning_rate": real(self.learning_rate, "learning rate"),
            "beta1": real(self.beta1, "beta1"),
            "beta2": real(self.beta2, "beta2"),
            "epsilon": real(self.epsilon, "epsilon"),
        }


Optimizer = SGD | RMSProp | Adam


@dataclass(frozen=True)
class StepDecay:
    """The rate times ``factor ** (updates // every)``, as ``torch.optim.lr_scheduler.StepLR``."""

    every: int
    factor: float

    def describe(self) -> dict[str, Any]:
        every = count(self.every, "updates between decays")
        return {"kind": "step", "every": every, "factor": real(self.factor, "factor")}


@dataclass(frozen=True)
class InverseTime:
    """The rate times ``1 / (1 + decay * updates)``."""

    decay: float

    def describe(self) -> dict[str, Any]:
        return {"kind": "inverse-time", "decay": real(self.decay, "decay")}


@dataclass(frozen=True)
class Cosine:
    """The rate times a half cosine from 1 to ``floor`` over this number of updates."""

    updates: int
    floor: float = 0.0

    def describe(self) -> dict[str, Any]:
        updates = count(self.updates, "updates")
        return {"kind": "cosine", "updates": updates, "floor": real(self.floor, "floor")}


Schedule = StepDecay | InverseTime | Cosine


@dataclass(frozen=True)
class RealTime:
    """The weights change while the network runs.

    Arguments:
        every: steps from one update to the next; gradients in between are summed.
        after_next_step: the paper's order, in which a gradient is applied after the next step.
    """

    every: int = 1
    after_next_step: bool = False

    def describe(self) -> object:
        late = flag(self.after_next_step, "after next step")
        timing = "after-next-step" if late else "immediate"
        every = count(self.every, "interval between updates")
        return {"real-time": {"timing": timing, "every": every}}


@dataclass(frozen=True)
class Epochwise:
    """The weights are constant until ``Learner.end_epoch`` applies the summed gradient."""

    def describe(self) -> object:
        return "epochwise"


Regime = RealTime | Epochwise


@dataclass(frozen=True)
class Deferred:
    """The deferred engine with this window, ``None`` for the default of the shape.

    With ``even_pace`` no step is long: the work of a window is spread over the next one.
    """

    window: int | None = None
    even_pace: bool = False

    def describe(self) -> dict[str, Any]:
        window = optional_count(self.window, "window")
        return {
            "name": "deferred",
            "window": window,
            "even_paced": flag(self.even_pace, "even pace"),
        }


def describe_engine(engine: str | Deferred) -> dict[str, Any]:
    """The engine by its name, or with its window."""
    if isinstance(engine, Deferred):
        return engine.describe()
    return {"name": text(engine, "engine"), "window": None, "even_paced": False}


LOSSES = {
    "squared": "squared-error",
    "binary": "binary-cross-entropy",
    "softmax": "softmax-cross-entropy",
}

CONSTANT = {"kind": "constant"}
NO_SETTINGS = {
    "readout_learning_rate": None,
    "schedule": CONSTANT,
    "clipping": {"value": None, "norm": None},
    "weight_decay": 0.0,
    "spectral_limit": None,
}


def describe_loss(loss: object) -> str:
    """The loss by its name in the crates; that of all functions is one name."""
    if is_function(loss):
        return "custom:python"
    name = text(loss, "loss")
    if name.startswith("custom:"):
        raise ArgumentError(f"loss: got {name!r}, expected a loss of the package or a function")
    return LOSSES.get(name, name)


def describe_updates(
    optimizer: object,
    regime: Regime,
    *,
    clip: float | None,
    clip_value: float | None,
    schedule: Schedule | None,
    readout_learning_rate: float | None,
    weight_decay: float,
    spectral_limit: float | None,
) -> dict[str, Any]:
    """The optimiser and everything else between a gradient and the change of the weights."""
    settings = {
        "readout_learning_rate": optional_real(readout_learning_rate, "readout learning rate"),
        "schedule": CONSTANT,
        "clipping": {
            "value": optional_real(clip_value, "clip value"),
            "norm": optional_real(clip, "clip norm"),
        },
        "weight_decay": real(weight_decay, "weight decay"),
        "spectral_limit": optional_real(spectral_limit, "spectral limit"),
    }
    if schedule is not None:
        settings["schedule"] = instance(schedule, Schedule, "schedule").describe()
    if not is_function(optimizer):
        chosen = instance(Adam() if optimizer is None else optimizer, Optimizer, "optimizer")
        return {**settings, "optimizer": chosen.describe()}
    if settings != NO_SETTINGS or regime != RealTime():
        message = "got a function and settings of updates, expected only one of them"
        raise ArgumentError(f"optimizer: {message}")
    return {**settings, "optimizer": {"kind": "custom", "learning_rate": 0.0, "rule": "python"}}
