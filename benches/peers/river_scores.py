"""Compare `rtrl.river` with River's own regressors on two data sets that River contains.

    python river_scores.py

Prints a table of mean absolute errors by `progressive_val_score`, and the time of a sample. README.md says
how to install everything. Features and targets are standardised while they arrive. Where deep-river is
installed, which needs older versions of River and PyTorch, its LSTM is compared as well.
"""

import importlib.metadata
import importlib.util
import time

import rtrl.river
from river import datasets, dummy, evaluate, linear_model, metrics, neighbors, optim, preprocessing, stats

SEEDS = (1, 2, 3)


def scaled(regressor):
    target = preprocessing.TargetStandardScaler(regressor=regressor)
    return preprocessing.StandardScaler() | target


def deep(rate, seed, features):
    from deep_river.regression import LSTMRegressor

    options = {"hidden_size": 16, "optimizer_fn": "adam", "lr": rate, "window_size": 12, "seed": seed}
    return scaled(LSTMRegressor(n_features=features, **options))


# Name: function of a seed and the number of features, whether the seed makes a difference.
MODELS = {
    "mean so far": (lambda *_: dummy.StatisticRegressor(stats.Mean()), False),
    "`LinearRegression()`": (lambda *_: scaled(linear_model.LinearRegression()), False),
    "`LinearRegression(SGD(0.001))`": (
        lambda *_: scaled(linear_model.LinearRegression(optim.SGD(0.001))), False
    ),
    "`PARegressor()`": (lambda *_: scaled(linear_model.PARegressor()), False),
    "`KNNRegressor()`": (lambda *_: scaled(neighbors.KNNRegressor()), False),
    "`rtrl.river.Regressor()`": (lambda seed, _: scaled(rtrl.river.Regressor(seed=seed)), True),
    "`rtrl.river.Regressor((rtrl.GRU(16),))`": (
        lambda seed, _: scaled(rtrl.river.Regressor((rtrl.GRU(16),), seed=seed)), True
    ),
}

if importlib.util.find_spec("deep_river"):
    for rate in (0.01, 0.001):
        MODELS[f"deep-river, LSTM of 16, window 12, Adam {rate}"] = (
            lambda seed, features, rate=rate: deep(rate, seed, features), True
        )


def water_flow(lags: int) -> list:
    """Hourly flow through a pipe, from the last hours."""
    flows = [y for _, y in datasets.WaterFlow()]
    rows = range(24, len(flows))
    return [({f"lag {lag}": flows[t - lag] for lag in range(1, lags + 1)}, flows[t]) for t in rows]


def trump_approval() -> list:
    """Daily approval, from five polls and a day number."""
    return list(datasets.TrumpApproval())


STREAMS = {
    "`WaterFlow`, last hour": lambda: water_flow(1),
    "`WaterFlow`, last 24 hours": lambda: water_flow(24),
    "`TrumpApproval`": trump_approval,
}


def score(make, rows: list, seed: int) -> tuple:
    """The mean absolute error, and seconds a sample."""
    start = time.perf_counter()
    error = evaluate.progressive_val_score(rows, make(seed, len(rows[0][0])), metrics.MAE()).get()
    return error, (time.perf_counter() - start) / len(rows)


def main():
    known = [name for name in ("rtrl", "river", "deep-river") if importlib.util.find_spec(name.replace("-", "_"))]
    versions = (f"{name} {importlib.metadata.version(name)}" for name in known)
    print(", ".join(versions) + f"; MAE, of seeds {SEEDS} where there is one, and time of a sample\n")
    streams = {name: make() for name, make in STREAMS.items()}
    print("| model | " + " | ".join(f"{name} ({len(rows)} rows)" for name, rows in streams.items()) + " |")
    print("|---" * (1 + len(streams)) + "|")
    for name, (make, seeded) in MODELS.items():
        cells = []
        for rows in streams.values():
            scores = [score(make, rows, seed) for seed in (SEEDS if seeded else SEEDS[:1])]
            errors = ", ".join(f"{error:.4g}" for error, _ in scores)
            cells.append(f"{errors} ({1e6 * min(seconds for _, seconds in scores):.0f} µs)")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
