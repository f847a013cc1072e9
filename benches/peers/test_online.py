"""The protocol of online.py: `python -m unittest test_online` in this folder. No peer is needed, but `rtrl`.

Its path is in RTRL, or cargo compiles it.
"""

import os
import tempfile
import unittest
from pathlib import Path

import online


class Last:
    """Forecasts the current value, as persistence does, whatever it learns."""

    def __init__(self, change=False):
        self.change = change

    def forecast(self, window):
        return 0.0 if self.change else window[0, 0]

    def learn(self, window, value):
        pass


class Sum:
    """Remembers all that it has been shown."""

    def __init__(self):
        self.sum = 0.0

    def forecast(self, window):
        return self.sum + sum(window.values())

    def learn(self, window, value):
        self.sum += value + sum(window.values())


class SameRows(unittest.TestCase):
    """rtrl scores the rows that the script scores for the peers."""

    @classmethod
    def setUpClass(cls):
        rtrl = Path(os.environ["RTRL"]) if "RTRL" in os.environ else online.program()
        cls.cases = []
        with tempfile.TemporaryDirectory() as folder:
            for series in online.all_series(rtrl, Path(folder)):
                summary, found, _ = online.run_rtrl(rtrl, series, 1, Path(folder))
                cls.cases.append((series, series.read(), summary, found))

    def test_forecasts_of_rtrl_and_persistence_have_its_errors(self):
        for series, (target, *_), summary, found in self.cases:
            with self.subTest(series=series.name):
                online.check_protocol(summary, found, target)

    def test_persistence_as_a_peer_has_the_error_of_rtrls(self):
        for series, columns, summary, _ in self.cases:
            for change in (False, True):
                with self.subTest(series=series.name, change=change):
                    error = online.rmse(online.forecasts(Last(change), columns, (0,), change), columns[0])
                    expected = summary["persistence_rmse"]
                    self.assertLessEqual(abs(error - expected), 1e-9 * expected)

    def test_a_shift_by_one_row_is_noticed(self):
        for series, (target, *_), summary, found in self.cases:
            for wrong, values in (
                ([*found[1:], found[-1]], target),
                ([found[0], *found[:-1]], target),
                (found[1:], target[1:]),
            ):
                with self.subTest(series=series.name), self.assertRaisesRegex(SystemExit, "the forecasts of rtrl"):
                    online.check_protocol(summary, wrong, values)
            late = online.rmse([target[0], *target[:-2]], target)
            with self.subTest(series=series.name), self.assertRaisesRegex(SystemExit, "persistence"):
                online.check_protocol(summary | {"persistence_rmse": late}, found, target)


class Past(unittest.TestCase):
    columns = [[float(2**row) for row in range(30)], [float(-row) for row in range(30)]]

    def test_windows_hold_the_last_rows_and_repeat_the_first(self):
        found = list(online.windows(self.columns, (1,)))
        self.assertEqual(len(found), 29)
        self.assertEqual(found[20], {(1, lag): float(lag - 20) for lag in range(online.LAGS)})
        self.assertEqual(found[2], {(1, lag): float(min(lag - 2, 0)) for lag in range(online.LAGS)})

    def test_no_forecast_sees_its_target_or_a_later_row(self):
        for used, change in (((0,), False), ((0,), True), ((0, 1), False)):
            expected = online.forecasts(Sum(), self.columns, used, change)
            for row in range(1, 30):
                other = [values[:row] + [value + 1 for value in values[row:]] for values in self.columns]
                found = online.forecasts(Sum(), other, used, change)
                # The list starts with the forecast of row 1, so the first to see `row` is at that index.
                self.assertEqual(found[:row], expected[:row])
                self.assertTrue(row == 29 or found[row] != expected[row])

    def test_too_few_forecasts_are_an_error(self):
        with self.assertRaisesRegex(ValueError, "got 28 forecasts of 30 rows"):
            online.rmse([0.0] * 28, self.columns[0])

    def test_a_forecast_that_is_not_finite_diverges(self):
        self.assertEqual(online.rmse([float("nan")] * 400, [0.0] * 401), float("inf"))
        self.assertEqual(online.cell([float("inf")]), "diverges")

    def test_the_table_has_the_best_variant_of_each_learner(self):
        errors = [("a", [3.0]), ("b", [1.0, 2.0]), ("a", [1.25]), ("a", [2.0])]
        records = [{"learner": learner, "series": "s", "rmse": rmse} for learner, rmse in errors]
        rows = online.table(records).splitlines()[2:]
        self.assertEqual(rows, ["| a | **1.25** |  |", "| b | 1.5 (1 to 2) |  |"])


if __name__ == "__main__":
    unittest.main()
