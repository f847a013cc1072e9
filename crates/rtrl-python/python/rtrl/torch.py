"""Networks from and to ``torch.nn.RNN``, ``GRU`` and ``LSTM``.

The module needs the package safetensors, and :func:`to_torch` needs PyTorch; ``rtrl[torch]``
installs both. ``rtrl[safetensors]`` is enough for :func:`from_state_dict` with arrays.

>>> import rtrl, torch
>>> from rtrl.torch import from_state_dict, from_torch, to_torch
>>> network = from_torch(torch.nn.GRU(2, 4), torch.nn.Linear(4, 1))
>>> network
Network(2, [GRU(4)], readout=1, dtype=float32): 93 parameters
>>> to_torch(network)
(GRU(2, 4), Linear(in_features=4, out_features=1, bias=True))
>>> model = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(2, 3), "fc": torch.nn.Linear(3, 1)})
>>> from_state_dict(model.state_dict(), "lstm.", "fc.")
Network(2, [LSTM(3)], readout=1, dtype=float32): 76 parameters
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from rtrl import _rtrl
from rtrl._arguments import instance, text, wrong_type
from rtrl._errors import DtypeError
from rtrl._network import Network

if TYPE_CHECKING:
    import torch

    Module: TypeAlias = torch.nn.RNN | torch.nn.GRU | torch.nn.LSTM

__all__ = ["from_state_dict", "from_torch", "to_torch"]

MODULES = {"simple": "RNN", "gru": "GRU", "lstm": "LSTM"}
READOUT = "readout."


def from_torch(module: "Module", readout: "torch.nn.Linear | None" = None) -> Network:
    """A network with the weights of a module, and of a linear layer on top of its last layer.

    Its dtype and its exceptions are those of :func:`from_state_dict`.
    """
    if not hasattr(module, "weight_ih_l0"):
        raise wrong_type(module, "RNN, GRU or LSTM", "module")
    tensors = dict(module.state_dict())
    if readout is not None:
        if not hasattr(readout, "out_features"):
            raise wrong_type(readout, "Linear", "readout")
        tensors |= {READOUT + name: tensor for name, tensor in readout.state_dict().items()}
    nonlinearity = getattr(module, "nonlinearity", "tanh")
    return from_state_dict(tensors, nonlinearity=nonlinearity)


def from_state_dict(
    tensors: Mapping[str, Any],
    prefix: str = "",
    readout: str | None = None,
    *,
    nonlinearity: str = "tanh",
) -> Network:
    """A network with the weights in the ``state_dict`` of a module or of a whole model.

    ``prefix`` is what the names of the layers' tensors start with: ``"lstm."`` where the model has
    ``self.lstm = torch.nn.LSTM(...)``. ``readout`` is the same for a linear layer on top of the
    last one, such as ``"fc."``, which must be there; without it, there is no readout. Only where
    both prefixes are left out is a linear layer under ``"readout."`` read, if there is one. Tensors
    under neither prefix are not read, and every tensor under a prefix must belong to the network.
    ``nonlinearity`` is that of a ``torch.nn.RNN``, which its tensors do not say.

    The network is float64 if any tensor that is read is. ``DtypeError`` is raised for tensors that
    are neither float32 nor float64, ``FormatError`` for names or shapes that do not make up a
    network.
    """
    tensors, prefix = instance(tensors, Mapping, "tensors"), text(prefix, "prefix")
    readout = None if readout is None else text(readout, "readout")
    prefixes = prefix if readout is None else (prefix, readout)
    arrays = {
        name: _array(tensors[name], name)
        for name in (text(name, "name of a tensor") for name in tensors)
        if name.startswith(prefixes)
    }
    nonlinearity = text(nonlinearity, "nonlinearity")
    double = any(array.dtype == np.float64 for array in arrays.values())
    core = _rtrl.Network.from_torch(save(arrays), prefix, readout, nonlinearity, double)
    return Network._of(core)


def _array(tensor: Any, name: str) -> npt.NDArray[Any]:
    """A tensor on any device, or an array."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
    dtype = str(getattr(tensor, "dtype", type(tensor).__name__)).removeprefix("torch.")
    if dtype not in ("float32", "float64"):
        raise DtypeError(f"{name}: got dtype {dtype}, expected float32 or float64")
    return np.ascontiguousarray(tensor)


def to_torch(network: Network) -> "tuple[Module, torch.nn.Linear | None]":
    """A module with the weights of a network, and a linear layer if it has a readout.

    The layers must have one kind and number of units, without leaks or heads. The module computes
    the same from a state of zeros.
    """
    network = instance(network, Network, "network")
    arrays = load(network._core.to_torch())
    import torch

    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    facts = network._core.describe()
    cell, units, _ = facts["layers"][0]
    dtype = getattr(torch, facts["dtype"])
    options = {"nonlinearity": facts["nonlinearity"]} if cell == "simple" else {}
    module = getattr(torch.nn, MODULES[cell])(
        facts["inputs"], units, len(facts["layers"]), bias=facts["bias"], dtype=dtype, **options
    )
    of_readout = {
        name: tensors.pop(READOUT + name)
        for name in ("weight", "bias")
        if READOUT + name in tensors
    }
    module.load_state_dict(tensors)
    if not of_readout:
        return module, None
    linear = torch.nn.Linear(units, facts["outputs"], bias="bias" in of_readout, dtype=dtype)
    linear.load_state_dict(of_readout)
    return module, linear
