"""Layers, readouts and initial weights, as plain data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from rtrl._arguments import count, flag, instance, optional_count, optional_real, real
from rtrl._arrays import flags, numbers, table


@dataclass(frozen=True)
class Zero:
    """All weights 0; for a readout, which is where it starts by default."""

    def describe(self) -> dict[str, Any]:
        return {"kind": "zero"}


@dataclass(frozen=True)
class Uniform:
    """Every weight uniform in [-bound, bound)."""

    bound: float

    def describe(self) -> dict[str, Any]:
        return {"kind": "uniform", "bound": real(self.bound, "bound")}


@dataclass(frozen=True)
class Normal:
    """Every weight normal with standard deviation ``gain / sqrt(columns)``."""

    gain: float = 1.0

    def describe(self) -> dict[str, Any]:
        return {"kind": "normal", "gain": real(self.gain, "gain")}


@dataclass(frozen=True)
class Orthogonal:
    """Recurrent weights ``gain`` times a random orthogonal matrix, input weights normal with
    variance ``1 / inputs``, bias weights 0; where layers start by default."""

    gain: float = 1.0

    def describe(self) -> dict[str, Any]:
        return {"kind": "orthogonal", "gain": real(self.gain, "gain")}


@dataclass(frozen=True)
class TorchWeights:
    """As ``torch.nn.RNN``, ``GRU`` and ``LSTM`` start: uniform in ``[-1/sqrt(n), 1/sqrt(n))``."""

    def describe(self) -> dict[str, Any]:
        return {"kind": "torch"}


InitialWeights = Zero | Uniform | Normal | Orthogonal | TorchWeights


def describe_weights(weights: "InitialWeights | npt.ArrayLike") -> dict[str, Any]:
    """A kind of initial weights, or the weights themselves, as plain objects."""
    if isinstance(weights, Zero | Uniform | Normal | Orthogonal | TorchWeights):
        return weights.describe()
    return {"kind": "given", "values": table(weights, "weights")}


def _optional(
    convert: Callable[[Any, str], list[Any]], values: npt.ArrayLike | None, what: str
) -> list[Any] | None:
    return None if values is None else convert(values, what)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    heads_of: int | None = None
    connections: npt.ArrayLike | None = None
    frozen: npt.ArrayLike | None = None
    weights: InitialWeights | npt.ArrayLike = field(default_factory=Orthogonal)
    initial_state: npt.ArrayLike | None = None

    def _describe(self, cell: str, units: int, **settings: Any) -> dict[str, Any]:
        blank = dict.fromkeys(("activations", "leaks", "forget_bias", "initial_cells"))
        return {
            **blank,
            "cell": cell,
            "units": count(units, "units"),
            "heads_of": optional_count(self.heads_of, "units of a head"),
            "connections": _optional(flags, self.connections, "connections"),
            "frozen": _optional(flags, self.frozen, "frozen"),
            "weights": describe_weights(self.weights),
            "initial_state": _optional(numbers, self.initial_state, "initial state"),
            **settings,
        }


@dataclass(frozen=True)
class Simple(_Layer):
    """A layer of simple units: ``y' = (1 - leak) y + leak f(W z)``.

    Main arguments:
        units: their number, n.
        activation: ``"tanh"``, ``"logistic"``, ``"relu"``, ``"identity"`` or ``"softplus"``, one
            for all units or one for each.
        leak: above 0 and at most 1, one for all units or one for each.

    Other arguments:
        heads_of: divides the units into heads of that many neighbours, which must divide n. A unit
            sees the inputs, the bias and the units of its own head, and rows of weights have
            columns for these units only.
        connections: which weights exist, rows x (inputs, bias, units seen), rows being n for simple
            units and 4 n for a GRU (r, u, v, w) and an LSTM (i, f, g, o). An absent weight is 0.
        frozen: which weights never change, of the same shape.
        weights: how the weights start, or the weights themselves, of the same shape.
        initial_state: y(t0), n values.
    """

    units: int
    activation: str | Sequence[str] = "tanh"
    leak: npt.ArrayLike | None = None

    def describe(self) -> dict[str, Any]:
        names = [self.activation] if isinstance(self.activation, str) else list(self.activation)
        leaks = _optional(numbers, self.leak, "leak")
        return self._describe("simple", self.units, activations=names, leaks=leaks)


@dataclass(frozen=True)
class GRU(_Layer):
    """A layer of GRU units, those of ``torch.nn.GRU``. Arguments as of :class:`Simple`."""

    units: int

    def describe(self) -> dict[str, Any]:
        return self._describe("gru", self.units)


@dataclass(frozen=True)
class LSTM(_Layer):
    """A layer of LSTM units, those of ``torch.nn.LSTM``. Arguments as of :class:`Simple`, and:

    forget_bias: added to the biases of the forget gates when they start; 1 lets cells remember.
    initial_cells: c(t0), n values.
    """

    units: int
    forget_bias: float | None = None
    initial_cells: npt.ArrayLike | None = None

    def describe(self) -> dict[str, Any]:
        bias = optional_real(self.forget_bias, "forget bias")
        cells = _optional(numbers, self.initial_cells, "initial cells")
        return self._describe("lstm", self.units, forget_bias=bias, initial_cells=cells)


Layer = Simple | GRU | LSTM


@dataclass(frozen=True)
class LeastSquares:
    """A readout fitted to all targets so far by recursive least squares.

    Each output takes 16 k**2 bytes for the k values that it sees. A readout that learns by its
    gradient does without them.

    Arguments:
        forgetting: the weight of a target one target later, above 0 and at most 1.
        ridge: the penalty of the distance from the initial weights, above 0.
    """

    forgetting: float = 1.0
    ridge: float = 1.0

    def describe(self) -> dict[str, Any]:
        return {
            "forgetting": real(self.forgetting, "forgetting"),
            "ridge": real(self.ridge, "ridge"),
        }


@dataclass(frozen=True)
class Readout:
    """A linear readout of the last layer, ``o = R [y, x if seen, 1]``, to which targets belong.

    Main arguments:
        outputs: their number.

    Other arguments:
        inputs: whether it sees the inputs of the same step.
        bias: whether it has a bias.
        weights: how its weights start (0 by default), or the weights, outputs x (units, inputs if
            seen, 1 if there is a bias).
        least_squares: fits it by recursive least squares instead of its gradient.
    """

    outputs: int
    inputs: bool = False
    bias: bool = True
    weights: InitialWeights | npt.ArrayLike = field(default_factory=Zero)
    least_squares: LeastSquares | None = None

    def describe(self) -> dict[str, Any]:
        fit = self.least_squares
        if fit is not None:
            instance(fit, LeastSquares, "least squares")
        return {
            "outputs": count(self.outputs, "outputs"),
            "inputs": flag(self.inputs, "inputs of the readout"),
            "bias": flag(self.bias, "bias of the readout"),
            "weights": describe_weights(self.weights),
            "least_squares": None if fit is None else fit.describe(),
        }
