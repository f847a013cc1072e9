"""Networks."""

from collections.abc import Iterable
from os import PathLike
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from rtrl import _rtrl
from rtrl._arguments import count, flag, instance, json_of
from rtrl._errors import ArgumentError
from rtrl._layers import Layer, Readout, Simple

Array = npt.NDArray[Any]


class Network:
    """A recurrent network: its shape and its weights, which only a :class:`Learner` changes.

    Main arguments:
        inputs: number of external inputs, m.
        layers: the layers from the inputs on upwards; a number is that many tanh units.
        readout: a linear readout of the last layer, or the number of its outputs. Without one, the
            outputs are those of all units.

    Other arguments:
        bias: whether the units have a bias.
        seed: seed of the initial weights; the same bits on every machine.
        dtype: ``float32`` or ``float64``.
    """

    __slots__ = ("_core",)

    def __init__(
        self,
        inputs: int,
        layers: Layer | int | Iterable[Layer | int],
        readout: Readout | int | None = None,
        *,
        bias: bool = True,
        seed: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        if isinstance(layers, int | np.integer | Layer):
            layers = [layers]
        if isinstance(readout, int | np.integer):
            readout = Readout(int(readout))
        if readout is not None:
            instance(readout, Readout, "readout")
        description = {
            "inputs": count(inputs, "inputs"),
            "bias": flag(bias, "bias"),
            "seed": count(seed, "seed"),
            "layers": [_layer(layer).describe() for layer in layers],
            "readout": readout and readout.describe(),
        }
        self._core = _rtrl.Network(description, is_double(dtype))

    @classmethod
    def _of(cls, core: _rtrl.Network) -> Self:
        network = cls.__new__(cls)
        network._core = core
        return network

    def run(self, x: npt.ArrayLike) -> Array:
        """The outputs of a run from the initial state, steps x outputs.

        ``x`` holds the inputs, steps x inputs. Nothing is learnt and nothing changes.
        """
        return self._core.run(x)

    @property
    def weights(self) -> dict[str, Array]:
        """Copies of the weights: ``layer0``, ``layer1``, ..., rows x (inputs, bias, units) or,
        in heads, rows x (inputs, bias, units of the row's head), and ``readout``, outputs x (units,
        inputs if seen, 1 if it has a bias)."""
        return self._core.weights()

    @property
    def initial_state(self) -> Array:
        """y(t0) of all units, then c(t0) of all LSTM units."""
        return self._core.initial_state()

    @property
    def inputs(self) -> int:
        """Number of external inputs."""
        return int(self._core.describe()["inputs"])

    @property
    def outputs(self) -> int:
        """Number of outputs: those of the readout, or the units."""
        return int(self._core.describe()["outputs"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """``float32`` or ``float64``."""
        return np.dtype(str(self._core.describe()["dtype"]))

    def save(self, path: str | PathLike[str], application: object = None) -> None:
        """Writes a model file, which the program ``rtrl`` reads as well.

        ``application`` is stored with it: anything made of dicts, lists, numbers and strings.
        """
        self._core.save(path, json_of(application))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads a model file; it starts in the state that the file holds."""
        return cls._of(_rtrl.Network.load(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return _network_of_bytes, (type(self), self._core.to_bytes())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        facts = self._core.describe()
        layers = ", ".join(_shown(*layer) for layer in facts["layers"])
        readout = f", readout={facts['outputs']}" if facts["readout"] else ""
        return (
            f"Network({facts['inputs']}, [{layers}]{readout}, dtype={facts['dtype']}): "
            f"{facts['parameters']} parameters"
        )


CELLS = {"simple": "Simple", "gru": "GRU", "lstm": "LSTM"}


def _shown(cell: str, units: int, heads_of: int | None) -> str:
    """A layer without its settings."""
    heads = "" if heads_of is None else f", heads_of={heads_of}"
    return f"{CELLS[cell]}({units}{heads})"


def _layer(layer: Layer | int) -> Layer:
    if isinstance(layer, int | np.integer):
        return Simple(int(layer))
    return instance(layer, Layer, "layer")  # type: ignore[no-any-return]


def is_double(dtype: npt.DTypeLike) -> bool:
    """Whether a dtype is ``float64``."""
    try:
        known = np.dtype(dtype)
    except (ValueError, SyntaxError, RecursionError) as error:
        raise ArgumentError(f"dtype: {error}") from None
    if known not in (np.float32, np.float64):
        raise ArgumentError(f"dtype: got {known}, expected float32 or float64")
    return known == np.float64


def _network_of_bytes(cls: type[Network], data: bytes) -> Network:
    return cls._of(_rtrl.Network.from_bytes(data))
