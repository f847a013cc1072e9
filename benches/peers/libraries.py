"""The real-time step in NumPy, PyTorch and JAX, each as its best author would write it.

    python libraries.py numpy|torch|jax CASE.json --precision f32|f64 --threads K

runs a case as `time_case` of crates/rtrl-bench does, and prints the same line of JSON. Each peer has
`train()`, which returns the weights after the last step of the case, and `time_step(calls)`, which runs
the whole step that number of times; of simple units also `time_update(calls)` for the bare update,
equation 5. Equation numbers are those of docs/equations.md. p is n x n x c: p[k, i, j] = dy_k / dw_ij.
"""

import argparse
import importlib.metadata
import json
import statistics
import time

from gated import JaxGru, JaxLstm, TorchGru, TorchLstm
from simple import Case, JaxPeer, NumpyPeer, TorchPeer

TIME, SAMPLE, SAMPLES = 0.3, 2e-3, 5  # seconds a measurement, seconds a sample, samples; at least

PEERS = {
    "simple": {"numpy": NumpyPeer, "torch": TorchPeer, "jax": JaxPeer},
    "gru": {"torch": TorchGru, "jax": JaxGru},
    "lstm": {"torch": TorchLstm, "jax": JaxLstm},
}


def seconds(run, at_once: int) -> dict:
    """Seconds of one call of those that `run(calls)` makes, `at_once` or a multiple of it at a time."""

    def sample(calls: int) -> float:
        start = time.perf_counter()
        run(calls)
        return (time.perf_counter() - start) / calls

    sample(at_once)  # compiles, and touches the memory
    calls = at_once * max(1, round(SAMPLE / (sample(at_once) * at_once)))
    times, start = [], time.perf_counter()
    while len(times) < SAMPLES or time.perf_counter() - start < TIME:
        times.append(sample(calls))
    return {"median": statistics.median(times), "mean": statistics.fmean(times)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", choices=PEERS["simple"])
    parser.add_argument("case")
    parser.add_argument("--precision", choices=("f32", "f64"), default="f32")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    with open(args.case) as file:
        case = Case(json.load(file), args.precision)
    peer = PEERS[case.cell][args.library](case, args.threads)
    weights, at_once = peer.train().tolist(), getattr(peer, "steps", 1)
    result = {
        "version": importlib.metadata.version(args.library),
        "weights": weights,
        "step": seconds(peer.time_step, at_once),
    }
    if case.cell == "simple":
        result["update"] = seconds(peer.time_update, at_once)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
