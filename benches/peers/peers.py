"""Time the same real-time step here and in NumPy (simple units only), PyTorch and JAX, side by side.

First all of them must end with the same weights after 100 steps. Every measurement is a process of
its own, pinned to its cores by taskset; ours and the peers take turns. README.md says how to start.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cases import make_case, reference

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZES = {"simple": [4, 8, 16, 32, 64, 128, 256], "gru": [16, 32, 64, 128], "lstm": [16, 32, 64, 128]}
LIBRARIES = {"simple": ("numpy", "torch", "jax"), "gru": ("torch", "jax"), "lstm": ("torch", "jax")}
TOLERANCE = {"f32": 2e-4, "f64": 1e-9}  # of max(1, |w|)


def difference(weights: list, expected: np.ndarray) -> float:
    """The largest difference relative to max(1, |w|); infinite if anything is not finite."""
    weights = np.array(weights)
    if weights.shape != expected.shape or not np.isfinite(weights).all():
        return np.inf
    return float((abs(weights - expected) / np.maximum(1, abs(expected))).max())


def check_agreement(weights: dict, expected: np.ndarray, precision: str, what: str):
    """Stop unless the weights of every program are those of the reference."""
    worst, name = max((difference(values, expected), name) for name, values in weights.items())
    if not worst <= TOLERANCE[precision]:
        allowed = TOLERANCE[precision]
        sys.exit(f"{name} disagrees for {what}: weights differ by {worst:.2e}, {allowed:.0e} is allowed")


def commands(cell: str, engines: list, precision: str, threads: int) -> dict:
    """The programs that are compared, by name; each still lacks its case."""
    time_case = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/time_case"
    options = ["--precision", precision]
    ours = {f"rtrl {engine}": [time_case, *options, "--engine", engine] for engine in engines}
    options += ["--threads", str(threads)]
    return ours | {name: [sys.executable, HERE / "libraries.py", name, *options] for name in LIBRARIES[cell]}


def run(command: list, case: Path, threads: int) -> dict:
    """Run a command on the first `threads` cores. Ours takes as many of them as it finds worth while."""
    limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OPENBLAS", "OMP", "MKL")}
    limits["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
    limits["JAX_PLATFORMS"] = "cpu"
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    program = ["taskset", "-c", cores, *map(str, command), str(case)]
    done = subprocess.run(program, env=os.environ | limits, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(program)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def timed(cell: str) -> tuple:
    """What is timed: the whole step, and of simple units the bare update as well."""
    return ("step", "update") if cell == "simple" else ("step",)


def measure(n: int, threads: int, args: argparse.Namespace, folder: Path) -> list:
    """The records of one size: the first round runs 100 steps to compare the weights, the others 4."""
    m = 4 if n <= 8 else 8
    programs = commands(args.cell, args.engine, args.precision, threads)
    rounds = {name: [] for name in programs}
    for turn in range(args.rounds):
        case = make_case(n, m, 4 if turn else 100, args.cell)
        path = folder / f"{case['name']}.json"
        path.write_text(json.dumps(case))
        for name, command in programs.items():
            rounds[name].append(run(command, path, threads))
        weights = {name: results[-1].pop("weights") for name, results in rounds.items()}
        what = f"{args.cell}, n = {n}, {args.precision}, {threads} threads, {len(case['x'])} steps"
        check_agreement(weights, reference(case), args.precision, what)
    records = []
    for name, results in rounds.items():
        record = dict(zip(("library", "engine"), name.split()))
        record |= {"cell": args.cell, "units": n, "inputs": m, "precision": args.precision, "threads": threads}
        record |= {key: results[0][key] for key in ("version", "isa") if key in results[0]}
        for op in timed(args.cell):
            for kind in ("median", "mean"):
                values = [result[op][kind] for result in results]
                record[f"{op}_{kind}_seconds"] = statistics.median(values)
        records.append(record)
    return records


def print_rows(records: list):
    """One line for each program: seconds, and how many times as long as each of ours it takes."""
    ours = [record for record in records if record["library"] == "rtrl"]
    for record in records:
        name = " ".join(record[key] for key in ("library", "engine") if key in record)
        line = f"{record['units']:>5}{record['threads']:>9}  {name:<14}"
        for op in timed(record["cell"]):
            seconds = record[f"{op}_median_seconds"]
            ratios = "/".join(f"{seconds / mine[f'{op}_median_seconds']:.2f}" for mine in ours)
            line += f"{seconds:>12.3e}{ratios if record['library'] != 'rtrl' else '':>12}"
        print(line, flush=True)


def main():
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cell", choices=LIBRARIES, default="simple", help="kind of the units [default: simple]")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="units [default: 4 to 256, gated 16 to 128]")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}), metavar="K")
    parser.add_argument("--precision", choices=TOLERANCE, default="f32")
    parser.add_argument("--engine", action="append", help="of ours, may be repeated [default: auto]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all records to this file")
    args = parser.parse_args()
    args.engine, args.sizes = args.engine or ["auto"], args.sizes or SIZES[args.cell]
    if max(args.threads) > cores:
        parser.error(f"--threads: there are {cores} cores")
    build = ["cargo", "build", "--release", "--quiet", "--package", "rtrl-bench", "--bin", "time_case"]
    subprocess.run(build, cwd=ROOT, check=True)
    heads = [head for op in timed(args.cell) for head in (f"{op}, s", "to ours")]
    print(f"{'n':>5}{'threads':>9}  {'':<14}" + "".join(f"{head:>12}" for head in heads))
    records = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in args.threads:
            for n in args.sizes:
                records += measure(n, threads, args, Path(folder))
                print_rows(records[-len(LIBRARIES[args.cell]) - len(args.engine) :])
    if args.json:
        args.json.write_text(json.dumps(records, indent=2) + "\n")


if __name__ == "__main__":
    main()
