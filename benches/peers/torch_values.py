"""Weights of torch.nn.RNN, GRU and LSTM with what PyTorch computes with them, for `tests/torch.rs`.

    python benches/peers/torch_values.py

Each `{kind}-{layers}.safetensors` is a state_dict in float64 as PyTorch gives it. Modules of two layers have a
`readout`, an nn.Linear of the last layer. `values.safetensors` holds `x` (steps x inputs) and, for each module,
`{module}.start` and `{module}.end`, h of all layers and then, of an LSTM, c of all layers, and `{module}.outputs`
(steps x outputs), those of the readout if there is one.
"""

import pathlib

import torch
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tests" / "torch"
KINDS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
MODULES = [f"{kind}-{layers}" for kind in KINDS for layers in (1, 2, 3)]
INPUTS, UNITS, OUTPUTS, STEPS = 3, 4, 2, 12
ROUNDING = 1e-14


def module(name):
    """The module of this name, with PyTorch's initial weights."""
    kind, layers = name.split("-")
    made = KINDS[kind](INPUTS, UNITS, num_layers=int(layers), dtype=torch.float64)
    if layers == "2":
        made.readout = torch.nn.Linear(UNITS, OUTPUTS, dtype=torch.float64)
    return made


def start(name, generator):
    """A state: h of all layers and, of an LSTM, c of all layers."""
    kind, layers = name.split("-")
    values = (2 if kind == "lstm" else 1) * int(layers) * UNITS
    return torch.rand(values, generator=generator, dtype=torch.float64) - 0.5


def run(module, x, begin):
    """The outputs of all steps, and the state at the end, from the state `begin`."""
    of_layers = begin.reshape(-1, module.num_layers, UNITS)
    state = tuple(of_layers) if isinstance(module, torch.nn.LSTM) else of_layers[0]
    with torch.no_grad():
        outputs, end = module(x, state)
        if hasattr(module, "readout"):
            outputs = module.readout(outputs)
    return outputs, torch.cat([part.flatten() for part in end] if isinstance(end, tuple) else [end.flatten()])


def write():
    torch.manual_seed(14)
    generator = torch.Generator().manual_seed(41)
    FOLDER.mkdir(exist_ok=True)
    x = torch.randn(STEPS, INPUTS, generator=generator, dtype=torch.float64)
    values = {"x": x}
    for name in MODULES:
        made = module(name)
        for weights in made.parameters():
            weights.data *= 2
        begin = start(name, generator)
        outputs, end = run(made, x, begin)
        values |= {f"{name}.start": begin, f"{name}.outputs": outputs, f"{name}.end": end}
        save_file(made.state_dict(), FOLDER / f"{name}.safetensors")
    save_file(values, FOLDER / "values.safetensors")


def difference(name, change=lambda weights: weights):
    """The largest difference of the stored values from PyTorch's with the stored weights, changed by `change`."""
    values = load_file(FOLDER / "values.safetensors")
    made = module(name)
    made.load_state_dict(change(load_file(FOLDER / f"{name}.safetensors")))
    outputs, end = run(made, values["x"], values[f"{name}.start"])
    off = [outputs - values[f"{name}.outputs"], end - values[f"{name}.end"]]
    return max(part.abs().max().item() for part in off)


if __name__ == "__main__":
    write()
