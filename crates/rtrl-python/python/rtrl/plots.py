"""Pictures of learning and of networks, which need ``pip install rtrl[plots]``.

Every function draws into the given axes, or the current ones, and returns them.

>>> import matplotlib; matplotlib.use("agg")
>>> import rtrl
>>> from rtrl import lab, plots
>>> network = rtrl.Network(2, 4, readout=1, seed=1)
>>> axes = plots.spectrum(lab.inspect(network))
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from matplotlib.patches import Circle, Rectangle

from rtrl._arguments import count, instance
from rtrl._arrays import matrix, row
from rtrl._errors import ArgumentError
from rtrl.lab import Findings

__all__ = ["automaton", "hinton", "learning_curve", "raster", "spectrum"]

_STATE = {"boxstyle": "circle", "facecolor": "white"}


def learning_curve(losses: npt.ArrayLike, window: int = 100, axes: Any = None) -> Any:
    """The mean loss over windows of steps, NaN left out, on a logarithmic scale."""
    values, window = row(losses, "losses"), count(window, "window")
    if not 1 <= window <= len(values):
        expected = f"1 to {len(values)}, the number of losses"
        raise ArgumentError(f"window: got {window}, expected {expected}")
    axes = axes or pyplot.gca()
    whole = values[: len(values) // window * window].reshape(-1, window)
    axes.semilogy(window * np.arange(1, len(whole) + 1), np.nanmean(whole, axis=1))
    axes.set(xlabel="step", ylabel=f"mean loss of {window} steps")
    return axes


def hinton(weights: npt.ArrayLike, axes: Any = None) -> Any:
    """A square for each weight: its area is the absolute value, white is positive."""
    values = matrix(weights, "weights")
    axes = axes or pyplot.gca()
    largest = np.abs(values).max(initial=0.0) or 1.0
    axes.set(facecolor="gray", aspect="equal", xlabel="column", ylabel="weight row")
    for (i, j), value in np.ndenumerate(values):
        size = np.sqrt(abs(value) / largest)
        corner = j - size / 2, i - size / 2
        axes.add_patch(Rectangle(corner, size, size, color="white" if value > 0 else "black"))
    axes.set(xlim=(-0.6, values.shape[1] - 0.4), ylim=(values.shape[0] - 0.4, -0.6))
    return axes


def raster(states: npt.ArrayLike, axes: Any = None) -> Any:
    """States over time, a row for each unit."""
    values = matrix(states, "states").T
    axes = axes or pyplot.gca()
    limit = np.abs(values).max(initial=0.0) or 1.0
    axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="none")
    axes.set(xlabel="step", ylabel="unit")
    return axes


def spectrum(findings: Findings, axes: Any = None) -> Any:
    """The eigenvalues of the weights between units, with the unit circle."""
    findings = instance(findings, Findings, "findings")
    if findings.eigenvalues is None:
        raise ArgumentError(f"spectrum: {findings.details['no_eigenvalues']}")
    axes = axes or pyplot.gca()
    axes.add_patch(Circle((0, 0), 1, fill=False, color="gray"))
    axes.plot(findings.eigenvalues.real, findings.eigenvalues.imag, "o")
    axes.set(aspect="equal", xlabel="real part", ylabel="imaginary part")
    return axes


def automaton(findings: Findings, axes: Any = None) -> Any:
    """The finite-state machine of a network on a task: states on a circle, and for each pair of
    states an arrow with the symbols that lead from one to the other."""
    findings = instance(findings, Findings, "findings")
    if findings.machine is None:
        raise ArgumentError("automaton: got findings without a machine, expected those on a task")
    axes = axes or pyplot.gca()
    symbols, rows = findings.machine["symbols"], findings.machine["reduced"]
    angles = 2 * np.pi * np.arange(len(rows)) / max(len(rows), 1)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for number, (place, transitions) in enumerate(zip(places, rows, strict=True)):
        axes.text(*place, str(number), ha="center", va="center", bbox=_STATE)
        labels: dict[int, list[str]] = {}
        for symbol, transition in zip(symbols, transitions, strict=True):
            if transition is not None:
                labels.setdefault(transition["next"], []).append(symbol)
        for following, label in labels.items():
            _arrow(axes, place, places[following], "\n".join(label))
    axes.set(xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), aspect="equal", xticks=[], yticks=[])
    return axes


def _arrow(axes: Any, start: Any, end: Any, label: str) -> None:
    """An arrow that bends to one side, or a loop away from the centre."""
    bend, shrink, start_of_label = 0.2, 12, 0.5 * (start + end)
    if np.array_equal(start, end):
        aside = 0.08 * np.array([-start[1], start[0]])
        bend, shrink, start, end = -4, 6, start + aside, start - aside
    across = bend * np.array([end[1] - start[1], start[0] - end[0]])
    arrow = {"arrowstyle": "->", "shrinkA": shrink, "shrinkB": shrink}
    axes.annotate("", end, start, arrowprops=arrow | {"connectionstyle": f"arc3,rad={bend}"})
    axes.text(*(start_of_label + 0.8 * across), label, ha="center", va="center", fontsize=7)
