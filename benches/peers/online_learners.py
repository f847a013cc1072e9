"""The learners of River and Vowpal Wabbit that online.py compares with.

Each forecasts a number from a window, {(column, lag): value} where column 0 is the target's and lag
0 the current row, and then learns that number. Settings that are not given here are the defaults of
the libraries; the scaler and the order of the steps are those of River's documentation.
"""

from river import feature_extraction, forest, linear_model, optim, preprocessing, time_series, tree
from vowpalwabbit import Workspace


class River:
    """A pipeline that sees the last `lags` rows."""

    def __init__(self, pipeline, lags=12):
        self.pipeline, self.lags = pipeline, lags

    def features(self, window: dict) -> dict:
        return {key: value for key, value in window.items() if key[1] < self.lags}

    def forecast(self, window: dict) -> float:
        return self.pipeline.predict_one(self.features(window))

    def learn(self, window: dict, value: float):
        self.pipeline.learn_one(self.features(window), value)


class Snarimax:
    """Keeps the lags of the target itself, so of the window it takes the other columns."""

    def __init__(self, rate):
        self.model = time_series.SNARIMAX(p=12, d=0, q=12, regressor=linear(rate))

    def forecast(self, window):
        return self.model.forecast(horizon=1, xs=[others(window)])[0]

    def learn(self, window, value):
        self.model.learn_one(value, others(window))


def others(window: dict) -> dict:
    return {f"{column} {lag}": value for (column, lag), value in window.items() if column > 0}


class VowpalWabbit:
    """Reads text, as most of its users write it."""

    def __init__(self, rate, options=""):
        self.workspace = Workspace(f"--quiet --learning_rate {rate} {options}")

    def forecast(self, window):
        return self.workspace.predict(text(window))

    def learn(self, window, value):
        self.workspace.learn(f"{value:.9g} {text(window)}")


def text(window: dict) -> str:
    return "|l " + " ".join(f"{column}_{lag}:{value:.9g}" for (column, lag), value in window.items())


def linear(rate):
    return preprocessing.StandardScaler() | linear_model.LinearRegression(optimizer=optim.SGD(rate))


def products(rate):
    return River(feature_extraction.PolynomialExtender(degree=2) | linear(rate), lags=4)


def hoeffding_tree():
    return River(preprocessing.StandardScaler() | tree.HoeffdingTreeRegressor())


def random_forest(seed):
    return River(preprocessing.StandardScaler() | forest.ARFRegressor(seed=seed))


# The default learning rate and a tenth of it.
RIVER, VOWPAL_WABBIT = (0.01, 0.001), (0.5, 0.05)

# Name: function of rate and seed, the rates to try, whether the seed makes a difference.
LEARNERS = {
    "River: linear, 12 lags": (lambda rate, _: River(linear(rate)), RIVER, False),
    "River: linear, products of 4 lags": (lambda rate, _: products(rate), RIVER, False),
    "River: SNARIMAX": (lambda rate, _: Snarimax(rate), RIVER, False),
    "River: Hoeffding tree": (lambda *_: hoeffding_tree(), (None,), False),
    "River: adaptive random forest": (lambda _, seed: random_forest(seed), (None,), True),
    "VW: linear, 12 lags": (lambda rate, _: VowpalWabbit(rate), VOWPAL_WABBIT, False),
    "VW: `-q ll`, products of 12 lags": (lambda rate, _: VowpalWabbit(rate, "-q ll"), VOWPAL_WABBIT, False),
    "VW: `--nn 16`": (
        lambda rate, seed: VowpalWabbit(rate, f"--nn 16 --random_seed {seed}"), VOWPAL_WABBIT, True
    ),
}
