"""Forecast series one row ahead with rtrl, River and Vowpal Wabbit, and compare the errors.

Every learner sees the same rows in the same order, once, and each forecast is made before its target
is learnt. README.md says how to start.
"""

import argparse
import csv
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LAGS = 12
SKIP = 300  # forecasts that do not count, the default of rtrl's --skip
SEEDS = (1, 2, 3)


@dataclass
class Series:
    """Columns of a file; the first is the target. The peers try each of the variants."""

    name: str
    path: Path
    columns: list
    options: list = field(default_factory=list)  # of rtrl, in addition to its target
    # Which columns a window has, and whether the change from the last value is forecast or the value.
    variants: tuple = (((0,), False), ((0,), True))

    def read(self) -> list:
        """The values of each column."""
        with open(self.path, newline="") as file:
            rows = list(csv.DictReader(file))
        return [[float(row[column]) for row in rows] for column in self.columns]


def all_series(rtrl: Path, folder: Path) -> list:
    """The series; a folder receives those that are generated. Only `threshold` did not serve to choose defaults."""
    subprocess.run([sys.executable, HERE / "series.py", folder], check=True)
    with open(folder / "henon.csv", "w") as file:
        subprocess.run([rtrl, "tasks", "emit", "henon", "--steps", "20000"], stdout=file, check=True)
    xor = ["--inputs", "x", "--predict", "value"]
    return [
        Series("sunspots", ROOT / "data/sunspots-monthly.csv", ["sunspots"]),
        Series("season", folder / "season.csv", ["v"]),
        Series("henon", folder / "henon.csv", ["x"]),
        Series("xor", folder / "xor.csv", ["y", "x"], xor, (((1,), False), ((0, 1), False))),
        Series("threshold", folder / "threshold.csv", ["v"]),
    ]


def program() -> Path:
    """The program `rtrl` as cargo compiles it for speed: the times of any other build say nothing."""
    build = ["cargo", "build", "--release", "--package", "rtrl-cli", "--message-format", "json"]
    built = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    executables = (json.loads(line).get("executable") for line in built.splitlines())
    return next(Path(path) for path in executables if path)


def windows(columns: list, used: tuple):
    """For each row but the last, the last rows of the columns by (column, lag). Row 0 is repeated before it."""
    for row in range(len(columns[0]) - 1):
        yield {(column, lag): columns[column][max(row - lag, 0)] for column in used for lag in range(LAGS)}


def forecasts(learner, columns: list, used: tuple, change: bool) -> list:
    """The forecasts of rows 1, 2, ..., each made from the rows before it."""
    found = []
    for row, window in enumerate(windows(columns, used)):
        last = columns[0][row] if change else 0.0
        found.append(last + learner.forecast(window))
        learner.learn(window, columns[0][row + 1] - last)
    return found


def persistence(target: list) -> list:
    """The forecasts of rows 1, 2, ... that nothing changes."""
    return target[:-1]


def rmse(found: list, target: list) -> float:
    """The error of the forecasts of rows 1, 2, ... without the first SKIP; infinite if one is not finite."""
    if len(found) != len(target) - 1:
        raise ValueError(f"got {len(found)} forecasts of {len(target)} rows, expected one less than rows")
    errors = [forecast - value for forecast, value in zip(found[SKIP:], target[SKIP + 1 :])]
    mean = sum(error * error for error in errors) / len(errors)
    return math.sqrt(mean) if math.isfinite(mean) else math.inf


def run_rtrl(rtrl: Path, series: Series, seed: int, folder: Path) -> tuple:
    """The JSON of `rtrl train`, its forecasts, and the seconds per row of a run without baselines."""
    target = series.columns[0]
    command = [rtrl, "train", series.path, "--target", target, *series.options, "--seed", str(seed), "--quiet"]
    summary, predictions = folder / "summary.json", folder / "predictions.csv"
    files = ["--json", summary, "--predictions", predictions]
    subprocess.run(command + files, stdout=subprocess.DEVNULL, check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, "--baselines", "none"], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    with open(predictions, newline="") as file:
        found = [float(row["prediction"]) for row in csv.DictReader(file) if row["row"] != "1"]
    summary = json.loads(summary.read_text())
    return summary, found, seconds / summary["rows"]


def check_protocol(summary: dict, found: list, target: list):
    """Stop unless rtrl scored the rows that are scored here: its own forecasts and persistence agree."""
    for what, ours, theirs in (
        ("the forecasts of rtrl", rmse(found, target), summary["rmse"]),
        ("persistence", rmse(persistence(target), target), summary["persistence_rmse"]),
    ):
        if not abs(ours - theirs) <= 1e-9 * theirs:
            sys.exit(f"{what} for {summary['target']}: got an RMSE of {ours!r}, expected rtrl's {theirs!r}")


def measure_rtrl(rtrl: Path, series: Series, folder: Path) -> list:
    """The records of rtrl and of the baselines that it computes."""
    target, runs = series.read()[0], []
    for seed in SEEDS:
        summary, found, seconds = run_rtrl(rtrl, series, seed, folder)
        check_protocol(summary, found, target)
        runs.append((summary, seconds))
    seconds = sum(seconds for _, seconds in runs) / len(runs)
    records = []
    for name, key, seeds in (
        ("persistence", "persistence_rmse", 1),
        ("RLS-AR(12)", "ar_rmse", 1),
        ("rtrl", "rmse", len(runs)),
        ("rtrl, recurrent weights fixed", "still_rmse", len(runs)),
    ):
        record = {"learner": name, "series": series.name, "rows": len(target)}
        record["rmse"] = [summary[key] for summary, _ in runs[:seeds]]
        records.append(record | ({"seconds_per_row": seconds} if name == "rtrl" else {}))
    return records


def measure_peer(name: str, learner: tuple, series: Series) -> list:
    """The records of a peer: one for each variant of the series and each rate."""
    make, rates, seeded = learner
    columns, records = series.read(), []
    for used, change in series.variants:
        for rate in rates:
            errors, start = [], time.process_time()
            seeds = SEEDS if seeded else SEEDS[:1]
            for seed in seeds:
                errors.append(rmse(forecasts(make(rate, seed), columns, used, change), columns[0]))
            seconds = (time.process_time() - start) / len(seeds) / len(columns[0])
            record = {"learner": name, "series": series.name, "rows": len(columns[0]), "rmse": errors}
            record |= {"columns": [series.columns[column] for column in used], "rate": rate}
            records.append(record | {"predict": "change" if change else "value", "seconds_per_row": seconds})
    return records


def mean(values: list) -> float:
    return sum(values) / len(values)


def cell(errors: list) -> str:
    """The mean and, of several seeds, the range."""
    if not max(errors) < 1e6:
        return "diverges"
    low, text, high = (f"{error:.4g}" for error in (min(errors), mean(errors), max(errors)))
    return text if low == high else f"{text} ({low} to {high})"


def table(records: list) -> str:
    """A row for each learner, with the best of its variants on each series; the smallest error is bold."""
    names = list(dict.fromkeys(record["series"] for record in records))
    best = {}
    for record in sorted(records, key=lambda record: -mean(record["rmse"])):
        best[record["learner"], record["series"]] = record
        best[record["series"]] = record
    lines = ["| | " + " | ".join([*names, "microseconds per row"]) + " |", "|---" * (len(names) + 2) + "|"]
    for learner in dict.fromkeys(record["learner"] for record in records):
        chosen = [best[learner, name] for name in names]
        cells = [cell(record["rmse"]) for record in chosen]
        cells = [f"**{text}**" if record is best[record["series"]] else text for text, record in zip(cells, chosen)]
        times = [1e6 * record["seconds_per_row"] for record in chosen if "seconds_per_row" in record]
        cells.append(f"{min(times):.0f} to {max(times):.0f}" if times else "")
        lines.append("| " + " | ".join([learner, *cells]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all records to this file")
    args = parser.parse_args()
    rtrl = program()
    from online_learners import LEARNERS  # so that the protocol can be tested without the peers

    records = []
    with tempfile.TemporaryDirectory() as folder:
        for series in all_series(rtrl, Path(folder)):
            records += measure_rtrl(rtrl, series, Path(folder))
            for name, learner in LEARNERS.items():
                print(f"{series.name}: {name}", file=sys.stderr)
                records += measure_peer(name, learner, series)
    if args.json:
        args.json.write_text(json.dumps(records, indent=2) + "\n")
    print(table(records))


if __name__ == "__main__":
    main()
