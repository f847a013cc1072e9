"""The gradients of the cases by ``torch.autograd``, through ``torch.nn`` and 50 steps."""

import numpy as np
import torch

from cases import Case

MODULES = {"simple": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


def blocks(case: Case, layer: int) -> tuple:
    """Inputs, and the rows of each block of a layer."""
    n = case.units[layer]
    inputs = case.inputs if layer == 0 else case.units[layer - 1]
    return inputs, case.weights[layer].reshape(-1, n, inputs + 1 + n)


def fill(module: torch.nn.Module, case: Case) -> None:
    """Gives a module the weights of a case; ``bias_hh`` has only what a GRU needs there."""
    for layer in range(len(case.units)):
        m, rows = blocks(case, layer)
        into, of_units, bias = rows[..., :m], rows[..., m + 1 :], rows[..., m]
        other = np.zeros_like(bias)
        if case.cell == "gru":
            into, of_units = into[:3], of_units[[0, 1, 3]]
            bias, other = bias[:3], np.stack([other[0], other[0], bias[3]])
        parts = {"weight_ih": into, "weight_hh": of_units, "bias_ih": bias, "bias_hh": other}
        for name, part in parts.items():
            parameter = getattr(module, f"{name}_l{layer}")
            parameter.data = torch.from_numpy(part.reshape(parameter.shape).copy())


def gathered(module: torch.nn.Module, case: Case, layer: int) -> np.ndarray:
    """The gradient of a layer in the layout of the package."""
    m, rows = blocks(case, layer)
    n = rows.shape[1]
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    grads = [getattr(module, f"{name}_l{layer}").grad.numpy() for name in names]
    into, of_units, bias, other = (grad.reshape(-1, n, *grad.shape[1:]) for grad in grads)
    result = np.zeros_like(rows)
    if case.cell == "gru":
        result[:3, :, :m], result[:3, :, m], result[3, :, m] = into, bias, other[2]
        result[:2, :, m + 1 :], result[3, :, m + 1 :] = of_units[:2], of_units[2]
    else:
        result[..., :m], result[..., m], result[..., m + 1 :] = into, bias, of_units
    return np.where(case.masks[layer], result.reshape(case.weights[layer].shape), 0)


def loss_of(outputs: torch.Tensor, case: Case) -> torch.Tensor:
    """The sum over all steps, streams and outputs with a target."""
    targets = torch.from_numpy(case.targets)
    present = ~torch.isnan(targets)
    if case.loss == "softmax":
        logs = torch.log_softmax(outputs, -1)
        return -(logs * torch.nan_to_num(targets))[present].sum()
    return 0.5 * ((outputs - targets)[present] ** 2).sum()


def gradients(case: Case) -> dict:
    """Outputs, loss and gradients of a case."""
    torch.set_num_threads(1)
    module = MODULES[case.cell](case.inputs, case.units[0], len(case.units)).double()
    fill(module, case)
    outputs, _ = module(torch.from_numpy(case.x))
    if case.readout is not None:
        readout = torch.from_numpy(case.readout).requires_grad_()
        outputs = torch.nn.functional.linear(outputs, readout[:, :-1], readout[:, -1])
    loss = loss_of(outputs, case)
    loss.backward()
    result = {f"layer{i}": gathered(module, case, i) for i in range(len(case.units))}
    if case.readout is not None:
        result["readout"] = readout.grad.numpy()
    return result | {"outputs": outputs.detach().numpy(), "loss": np.array(loss.item())}
