"""Optimisers, schedules and regimes, as plain data. Formulas and defaults are those of
``torch.optim``."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SGD:
    """``w -= learning_rate * g``; with momentum ``m = momentum m + g; w -= learning_rate * m``."""

    learning_rate: float = 0.01
    momentum: float = 0.0

    def describe(self) -> dict[str, Any]:
        plain = {"kind": "sgd", "learning_rate": float(self.learning_rate)}
        if self.momentum == 0:
            return plain
        return plain | {"kind": "momentum", "momentum": float(self.momentum)}


@dataclass(frozen=True)
class RMSProp:
    """RMSProp (Tieleman & Hinton 2012)."""

    learning_rate: float = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "rmsprop",
            "learning_rate": float(self.learning_rate),
            "alpha": float(self.alpha),
            "epsilon": float(self.epsilon),
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
            "learning_rate": float(self.learning_rate),
            "beta1": float(self.beta1),
            "beta2": float(self.beta2),
            "epsilon": float(self.epsilon),
        }


Optimizer = SGD | RMSProp | Adam


@dataclass(frozen=True)
class StepDecay:
    """The rate times ``factor ** (updates // every)``, as ``torch.optim.lr_scheduler.StepLR``."""

    every: int
    factor: float

    def describe(self) -> dict[str, Any]:
        return {"kind": "step", "every": self.every, "factor": float(self.factor)}


@dataclass(frozen=True)
class InverseTime:
    """The rate times ``1 / (1 + decay * updates)``."""

    decay: float

    def describe(self) -> dict[str, Any]:
        return {"kind": "inverse-time", "decay": float(self.decay)}


@dataclass(frozen=True)
class Cosine:
    """The rate times a half cosine from 1 to ``floor`` over this number of updates."""

    updates: int
    floor: float = 0.0

    def describe(self) -> dict[str, Any]:
        return {"kind": "cosine", "updates": self.updates, "floor": float(self.floor)}


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
        timing = "after-next-step" if self.after_next_step else "immediate"
        return {"real-time": {"timing": timing, "every": self.every}}


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
        return {"name": "deferred", "window": self.window, "even_paced": self.even_pace}


def describe_engine(engine: str | Deferred) -> dict[str, Any]:
    """The engine by its name, or with its window."""
    if isinstance(engine, Deferred):
        return engine.describe()
    return {"name": engine, "window": None, "even_paced": False}
