"""Tasks, the experiments of Williams & Zipser (1989), and instruments that analyse a network.

>>> from rtrl import lab
>>> x, targets = lab.task("xor-2").draw(1000, seed=1)
>>> x.shape, targets.shape
((1000, 2), (1000, 1))
>>> lab.experiments()[0].run(seed=1) is not None
True
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrl import _rtrl
from rtrl._arguments import count, instance, text
from rtrl._errors import ArgumentError
from rtrl._network import Network

__all__ = ["Experiment", "Findings", "Task", "experiments", "inspect", "task", "tasks"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A seeded stream of inputs and targets that never ends."""

    name: str
    about: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]

    def draw(self, steps: int, seed: int = 0) -> tuple[Array, Array]:
        """The inputs, steps x inputs, and the targets of the same steps, steps x targets, NaN
        where there is none."""
        return _rtrl.draw(self.name, count(steps, "steps"), count(seed, "seed"))


def tasks() -> list[Task]:
    """All tasks, those of the paper first."""
    return [
        Task(name, about, tuple(inputs), tuple(targets))
        for name, about, inputs, targets in _rtrl.all_tasks()
    ]


def task(name: str) -> Task:
    """The task of a name."""
    name = text(name, "task")
    for known in tasks():
        if known.name == name:
            return known
    names = ", ".join(known.name for known in tasks())
    raise ArgumentError(f"task: got {name!r}, expected {names}")


@dataclass(frozen=True)
class Experiment:
    """An experiment of the paper: a task with the settings of a network that should learn it."""

    task: str
    units: int
    learning_rate: float
    teacher_forcing: bool
    limit: int
    """Steps after which a run has failed."""
    quick: bool
    """Whether its runs take seconds."""
    number: int = field(repr=False)

    def run(self, seed: int = 0) -> int | None:
        """Steps until the criterion of success is fulfilled, ``None`` if that never happens."""
        return _rtrl.run_experiment(self.number, count(seed, "seed"))


def experiments() -> list[Experiment]:
    """The experiments of the paper."""
    rows = _rtrl.experiments()
    return [Experiment(*row, number=number) for number, row in enumerate(rows)]


@dataclass(frozen=True)
class Findings:
    """What the instruments find in a network."""

    eigenvalues: npt.NDArray[np.complex128] | None
    """Of the weights between simple units, the largest first."""
    states: Array | None
    """The states of the run, steps x states; ``None`` if it overflowed."""
    lyapunov_exponent: float | None
    """The largest one."""
    jacobian_radius: tuple[float, float, float] | None
    """The spectral radius of the Jacobian along the run: smallest, mean, largest."""
    variance_shares: Array | None
    """Shares of the principal components in the variance of the states, the largest first."""
    details: dict[str, Any] = field(repr=False)
    """Everything, as in the JSON file of ``rtrl inspect``: also fixed points, cycles and the
    finite-state machine."""

    @property
    def machine(self) -> dict[str, Any] | None:
        """The finite-state machine in a network on a task, if there is one."""
        on_task = self.details["task"]
        return None if on_task is None else on_task["machine"]


def inspect(
    network: Network,
    *,
    task: str | Task | None = None,
    x: npt.ArrayLike | None = None,
    steps: int = 1000,
    seed: int = 0,
) -> Findings:
    """Runs a network on a task, on the rows of ``x`` or on zeros, and applies all instruments."""
    name = task.name if isinstance(task, Task) else task
    if name is not None:
        text(name, "task")
    network = instance(network, Network, "network")
    counts = count(steps, "steps"), count(seed, "seed")
    details, states = _rtrl.inspect(network._core, x, name, *counts)
    run, values = details["run"] or {}, details["eigenvalues"]
    shares, radius = run.get("variance_shares"), run.get("jacobian_radius")
    return Findings(
        eigenvalues=None if values is None else np.array([complex(*_pair(v)) for v in values]),
        states=None if states is None else np.array(states),
        lyapunov_exponent=run.get("lyapunov_exponent"),
        jacobian_radius=None if radius is None else tuple(radius),
        variance_shares=None if shares is None else np.array(shares),
        details=details,
    )


def _pair(value: dict[str, float]) -> tuple[float, float]:
    return value["real"], value["imaginary"]
