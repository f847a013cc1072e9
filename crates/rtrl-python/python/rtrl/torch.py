"""Networks from and to ``torch.nn.RNN``, ``GRU``, ``LSTM``; needs ``pip install rtrl[torch]``.

>>> import rtrl, torch
>>> from rtrl.torch import from_torch, to_torch
>>> network = from_torch(torch.nn.GRU(2, 4), torch.nn.Linear(4, 1))
>>> network
Network(2, [GRU(4)], readout=1, dtype=float32): 93 parameters
>>> to_torch(network)
(GRU(2, 4), Linear(in_features=4, out_features=1, bias=True))
"""

from typing import TypeAlias

import numpy as np
import torch
from safetensors.torch import load, save

from rtrl import _rtrl
from rtrl._arguments import instance
from rtrl._errors import ArgumentError
from rtrl._network import Network

__all__ = ["from_torch", "to_torch"]

Module: TypeAlias = torch.nn.RNN | torch.nn.GRU | torch.nn.LSTM
MODULES: dict[str, type[Module]] = {
    "simple": torch.nn.RNN,
    "gru": torch.nn.GRU,
    "lstm": torch.nn.LSTM,
}


def from_torch(module: Module, readout: torch.nn.Linear | None = None) -> Network:
    """A network with the weights of a module, and of a linear layer on top of its last layer."""
    if not isinstance(module, Module):
        raise ArgumentError(f"module: got {type(module).__name__}, expected RNN, GRU or LSTM")
    tensors = {name: tensor.detach().contiguous() for name, tensor in module.named_parameters()}
    if readout is not None:
        tensors |= {
            f"readout.{name}": tensor.detach() for name, tensor in readout.named_parameters()
        }
    nonlinearity = getattr(module, "nonlinearity", "tanh")
    double = module.weight_hh_l0.dtype == torch.float64
    return Network._of(_rtrl.Network.from_torch(save(tensors), nonlinearity, double))


def to_torch(network: Network) -> tuple[Module, torch.nn.Linear | None]:
    """A module with the weights of a network, and a linear layer if it has a readout.

    The layers must have one kind and number of units, without leaks or heads. The module computes
    the same from a state of zeros.
    """
    network = instance(network, Network, "network")
    tensors = load(network._core.to_torch())
    facts = network._core.describe()
    cell, units, _ = facts["layers"][0]
    dtype = torch.float64 if network.dtype == np.float64 else torch.float32
    options = {"nonlinearity": facts["nonlinearity"]} if cell == "simple" else {}
    module = MODULES[cell](
        facts["inputs"], units, len(facts["layers"]), bias=facts["bias"], dtype=dtype, **options
    )
    weights, bias = tensors.pop("readout.weight", None), tensors.pop("readout.bias", None)
    module.load_state_dict(tensors)
    if weights is None:
        return module, None
    readout = torch.nn.Linear(units, facts["outputs"], bias=bias is not None, dtype=dtype)
    readout.load_state_dict({"weight": weights} | ({} if bias is None else {"bias": bias}))
    return module, readout
