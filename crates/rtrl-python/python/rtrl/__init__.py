"""Exact real-time recurrent learning: recurrent networks that learn while they run.

>>> import numpy as np, rtrl
>>> network = rtrl.Network(1, [rtrl.GRU(8)], readout=1, seed=1)
>>> learner = rtrl.Learner(network, rtrl.Adam(1e-2))
>>> wave = np.sin(0.3 * np.arange(2001))
>>> run = learner.run(wave[:-1], wave[1:])
>>> bool(run.losses[-100:].mean() < 1e-3)
True
"""

import os as _os

from rtrl import lab
from rtrl._errors import (
    ArgumentError,
    CallbackError,
    CallError,
    DtypeError,
    Error,
    FileError,
    FormatError,
    MissingFileError,
    NumericError,
    OutOfMemoryError,
)
from rtrl._forecaster import Forecaster
from rtrl._layers import (
    GRU,
    LSTM,
    LeastSquares,
    Normal,
    Orthogonal,
    Readout,
    Simple,
    TorchWeights,
    Uniform,
    Zero,
)
from rtrl._learner import Learner, Run
from rtrl._network import Network
from rtrl._plan import BlockPlan, EnginePlan
from rtrl._rtrl import StepReport, __version__
from rtrl._rtrl import after_fork as _after_fork
from rtrl._updates import (
    SGD,
    Adam,
    Cosine,
    Deferred,
    Epochwise,
    InverseTime,
    RealTime,
    RMSProp,
    StepDecay,
)

__all__ = [
    "GRU",
    "LSTM",
    "SGD",
    "Adam",
    "ArgumentError",
    "BlockPlan",
    "CallError",
    "CallbackError",
    "Cosine",
    "Deferred",
    "DtypeError",
    "EnginePlan",
    "Epochwise",
    "Error",
    "FileError",
    "Forecaster",
    "FormatError",
    "InverseTime",
    "Learner",
    "LeastSquares",
    "MissingFileError",
    "Network",
    "Normal",
    "NumericError",
    "Orthogonal",
    "OutOfMemoryError",
    "RMSProp",
    "Readout",
    "RealTime",
    "Run",
    "Simple",
    "StepDecay",
    "StepReport",
    "TorchWeights",
    "Uniform",
    "Zero",
    "__version__",
    "lab",
]

if hasattr(_os, "register_at_fork"):
    _os.register_at_fork(after_in_child=_after_fork)
