"""Time the Python package next to Rust, to a scan in JAX and to truncated backpropagation in PyTorch.

    python python_step.py [--cells simple gru] [--sizes 16 32 64 128] [--rounds 3]

All of them take real-time steps with a target for every unit and plain gradient descent, float32, on one
core, in turns. Those that compute the exact gradient must end with the same weights after 100 steps.
"Truncated" is online training with the gradient of a single step: a cell of `torch.nn`, a backward pass
and an update at every step. README.md says how to install everything.
"""

import argparse
import importlib.metadata
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from cases import make_case, reference
from libraries import seconds
from peers import HERE, check_agreement, commands, run
from simple import Case

PERIOD = 960  # steps after which the windows of all engines repeat


class Package:
    """`Learner.step` and `Learner.run` of the package."""

    def __init__(self, fields: dict):
        import rtrl

        case, (layer,) = Case(fields, "f32"), fields["layers"]
        kind = {"simple": rtrl.Simple, "gru": rtrl.GRU, "lstm": rtrl.LSTM}[layer["cell"]]
        network = rtrl.Network(case.m, kind(case.n, weights=case.weights))
        self.learner = rtrl.Learner(network, rtrl.SGD(case.rate), threads=1)
        self.case = case

    def train(self) -> list:
        self.learner.run(self.case.x, self.case.targets)
        return self.learner.weights["layer0"].tolist()

    def results(self) -> dict:
        times = 64 * PERIOD // len(self.case.x) + 1
        x, targets = np.tile(self.case.x, (times, 1)), np.tile(self.case.targets, (times, 1))
        rows = list(zip(x[:PERIOD], targets[:PERIOD]))

        def step(calls):
            for i in range(calls):
                self.learner.step(*rows[i % PERIOD])

        def whole(calls):
            for first in range(0, calls, 64 * PERIOD):
                last = min(calls, first + 64 * PERIOD) - first
                self.learner.run(x[:last], targets[:last])

        weights = self.train()
        return {"weights": weights, "step": seconds(step, PERIOD), "run": seconds(whole, PERIOD)}


class Truncated:
    """One step forward and backward, and an update, with as little around it as PyTorch allows."""

    def __init__(self, fields: dict):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(1)
        case = Case(fields, "f32")
        kind = {"simple": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
        self.torch, self.cell, self.rate = torch, kind[case.cell](case.m, case.n), case.rate
        self.parameters = list(self.cell.parameters())
        self.rows = list(zip(torch.from_numpy(case.x), torch.from_numpy(case.targets)))
        self.state = torch.zeros(case.n)
        if case.cell == "lstm":
            self.state = (self.state, torch.zeros(case.n))

    def step(self, x, target):
        torch = self.torch
        state = self.cell(x, self.state)
        y = state[0] if isinstance(state, tuple) else state
        loss = 0.5 * (target - y).square().sum()
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            torch._foreach_add_(self.parameters, gradients, alpha=-self.rate)
        detached = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        self.state = detached

    def results(self) -> dict:
        def steps(calls):
            for i in range(calls):
                self.step(*self.rows[i % len(self.rows)])

        return {"step": seconds(steps, 10)}


def measure(cell: str, n: int, rounds: int, folder: Path) -> dict:
    """Median seconds of a step of each program."""
    ours = commands(cell, ["auto"], "f32", 1)
    programs = {"rust": [*ours["rtrl auto"], "--threads", "1"], "jax": ours["jax"]}
    for name in ("package", "truncated"):
        programs[name] = [sys.executable, HERE / "python_step.py", "--program", name]
    times = {}
    for turn in range(rounds):
        case = make_case(n, 4 if n <= 8 else 8, 4 if turn else 100, cell)
        path = folder / f"{case['name']}.json"
        path.write_text(json.dumps(case))
        weights = {}
        for name, command in programs.items():
            result = run(command, path, 1)
            if "weights" in result:
                weights[name] = result["weights"]
            for op in ("step", "run"):
                if op in result:
                    times.setdefault((name, op), []).append(result[op]["median"])
        check_agreement(weights, reference(case), "f32", f"{cell}, n = {n}")
    return {key: statistics.median(values) for key, values in times.items()}


def print_row(cell: str, n: int, times: dict):
    rust, whole = times["rust", "step"], times["package", "run"]
    parts = [f"{cell} | {n} | {1e6 * rust:.1f} | {1e6 * whole:.1f} ({whole / rust:.2f})"]
    parts.append(f"{1e6 * times['package', 'step']:.1f}")
    for name in ("jax", "truncated"):
        parts.append(f"{1e6 * times[name, 'step']:.0f} ({times[name, 'step'] / whole:.1f})")
    print("| " + " | ".join(parts) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", nargs="+", default=["simple", "gru"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", choices=("package", "truncated"))
    parser.add_argument("case", nargs="?")
    args = parser.parse_args()
    if args.program:
        fields = json.loads(Path(args.case).read_text())
        program = {"package": Package, "truncated": Truncated}[args.program](fields)
        print(json.dumps(program.results()))
        return
    names = [f"{name} {importlib.metadata.version(name)}" for name in ("rtrl", "numpy", "jax", "torch")]
    print(", ".join(names) + "; microseconds a step, ratios to Rust and to `run`\n")
    print("| cell | n | Rust | `run` | `step` | JAX scan | truncated, PyTorch |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for cell in args.cells:
            for n in args.sizes:
                print_row(cell, n, measure(cell, n, args.rounds, Path(folder)))


if __name__ == "__main__":
    main()
