"""River, scikit-learn, the lab and its pictures."""

import doctest
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rtrl
from rtrl import lab


def test_the_core_imports_no_extra():
    extras = ("river", "sklearn", "torch", "matplotlib", "scipy", "pandas")
    program = f"import sys, rtrl, rtrl.lab; print([n for n in {extras} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["lab", "plots", "river", "sklearn", "torch"])
def test_documented_examples_run(name):
    if name == "torch" and not has_torch():
        pytest.skip("torch is not installed")
    tested = doctest.testmod(importlib.import_module(f"rtrl.{name}"))
    assert tested.attempted > 2 and tested.failed == 0


def has_torch():
    installed = all(map(importlib.util.find_spec, ("torch", "safetensors")))
    assert installed or not os.environ.get("RTRL_EXPECT_PEERS"), "torch is expected"
    return installed


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_river_accepts_the_estimators(kind):
    from river import checks

    import rtrl.river

    checks.check_estimator(getattr(rtrl.river, kind)())


@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
@pytest.mark.parametrize("absent", [{}, {"b": None}, {"b": float("nan")}, {"b": np.float32("nan")}])
def test_river_estimators_replace_missing_features(kind, absent):
    import rtrl.river

    def predict(missing, x):
        model = getattr(rtrl.river, kind)(features=("a", "b"), missing=missing, seed=1)
        for t in range(30):
            model.learn_one({"a": t % 2, "b": 1 + t % 3}, t % 2)
        model.learn_one({"a": 1.0, **absent}, 1)
        found = model.predict_one(x) if kind == "Regressor" else model.predict_proba_one(x)[1]
        return found, model._inputs.last

    known = predict("last", {"a": 1.0, "b": 3.0})
    assert known[1] == [1.0, 3.0]
    assert predict("last", {"a": 1.0, **absent}) == known
    assert predict("zero", {"a": 1.0, **absent}) == predict("zero", {"a": 1.0, "b": 0.0})
    assert predict("zero", {"a": 1.0, **absent})[0] != known[0]
    with pytest.raises(rtrl.ArgumentError, match="feature 'b': got (none|NaN), expected a number"):
        predict("error", {"a": 1.0, "b": 3.0})
    with pytest.raises(rtrl.ArgumentError, match="feature 'a': got inf, expected a finite number"):
        predict("last", {"a": float("inf")})
    with pytest.raises(TypeError, match="feature 'a': got str, expected a number"):
        predict("last", {"a": "1"})


def test_river_regressors_move_on_without_a_target():
    from rtrl.river import Regressor

    model = Regressor(seed=1)
    for t in range(30):
        model.learn_one({"a": t % 3}, t % 3 if t % 2 else None)
    assert model._learner.steps == 30 and model._learner.updates == 15


@pytest.mark.parametrize("absent", [None, float("nan"), np.float32("nan")])
def test_river_classifiers_move_on_without_a_class(absent):
    from rtrl.river import Classifier

    model, twin = Classifier(seed=1), Classifier(seed=1)
    model.learn_one({"a": 1.0, "b": 2.0}, absent)
    assert model.predict_proba_one({"a": 1.0}) == {}
    for t in range(30):
        model.learn_one({"a": t % 3}, "xy"[t % 2])
        twin.learn_one({"a": t % 3}, "xy"[t % 2])
    model.learn_one({"a": 1.0}, absent)
    assert model._learner.steps == twin._learner.steps + 1
    assert model._learner.updates == twin._learner.updates
    after = model.predict_proba_one({"a": 2.0})
    assert set(after) == {"x", "y"} and after != twin.predict_proba_one({"a": 2.0})


@pytest.mark.parametrize("label", [[1], {"a": 1}, {1}, np.zeros(2), (1, [2])])
def test_river_classifiers_refuse_labels_that_cannot_be_hashed(label):
    """They were learnt, and every later forecast failed."""
    from rtrl.river import Classifier

    model, twin = Classifier(seed=1), Classifier(seed=1)
    expected = f"class: got {type(label).__name__}, expected a label that can be hashed"
    for t in range(10):
        with pytest.raises(TypeError, match=expected):
            model.learn_one({"a": 1.0}, label)
        for each in (model, twin):
            each.learn_one({"a": t % 3}, (t % 2, "odd"))
    probabilities = model.predict_proba_one({"a": 1.0})
    assert probabilities == twin.predict_proba_one({"a": 1.0})
    assert set(probabilities) == {(0, "odd"), (1, "odd")}


@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_river_estimators_keep_nothing_of_a_refused_sample(kind):
    import rtrl.river

    def learn(model):
        for t in range(10):
            model.learn_one({"a": t % 3, "b": 1.0}, t % 2)
        return model._learner.weights

    model, twin = (getattr(rtrl.river, kind)(seed=1) for _ in range(2))
    # The last number is infinite in the precision of the network.
    for value in ("text", float("inf"), 1e300):
        with pytest.raises((rtrl.ArgumentError, TypeError)):
            model.learn_one({"a": value}, 5)
    weights, expected = learn(model), learn(twin)
    with pytest.raises(rtrl.ArgumentError):
        model.learn_one({"a": 1e300, "b": 1.0}, 5)
    assert model._inputs.last == twin._inputs.last and model._learner.steps == twin._learner.steps
    assert getattr(model, "_classes", None) == getattr(twin, "_classes", None)
    assert all(np.array_equal(weights[name], array) for name, array in expected.items())


def test_river_estimators_are_pure_until_they_learn():
    from rtrl.river import Classifier, Regressor

    model = Regressor(layers=(rtrl.GRU(4),), seed=1)
    assert model.predict_one({"a": 1.0}) == 0.0
    for t in range(50):
        x = {"a": t % 3, "b": 1.0, "text": 5.0} if t else {"b": 1.0, "a": 0.0}
        model.learn_one(x, t % 2)
        assert model.predict_one(x) == model.predict_one(dict(reversed(x.items())))
    twin = pickle.loads(pickle.dumps(model))
    assert twin.predict_one({"a": 2.0}) == model.predict_one({"a": 2.0, "b": 1.0})
    assert Regressor(missing="zero").missing == "zero"
    strict = Regressor(features=("a", "b"), missing="error")
    with pytest.raises(rtrl.ArgumentError, match="feature 'b': got none"):
        strict.learn_one({"a": 1.0}, 0.0)

    classes = Classifier(seed=1)
    assert classes.predict_proba_one({"a": 1.0}) == {}
    for t in range(300):
        classes.learn_one({"a": 1.0 if t % 3 == 0 else 0.0}, "xyz"[t % 3])
    probabilities = classes.predict_proba_one({"a": 1.0})
    assert set(probabilities) == set("xyz") and abs(sum(probabilities.values()) - 1) < 1e-12
    assert classes.predict_one({"a": 1.0}) == "x"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["SequenceRegressor", "SequenceClassifier"])
def test_scikit_learn_accepts_the_estimators(kind):
    from sklearn.utils.estimator_checks import check_estimator

    import rtrl.sklearn

    results = check_estimator(
        getattr(rtrl.sklearn, kind)(),
        expected_failed_checks=rtrl.sklearn.EXPECTED_FAILED_CHECKS,
        on_fail=None,
    )
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    assert not failed and len(results) > 30
    excused = {r["check_name"] for r in results if r["status"] == "xfail"}
    assert excused == set(rtrl.sklearn.EXPECTED_FAILED_CHECKS)


def test_the_lab_draws_tasks_and_repeats_experiments():
    assert len(lab.tasks()) > 10
    x, targets = lab.task("recall").draw(500, seed=3)
    assert np.isnan(targets).any() and np.array_equal(x, lab.task("recall").draw(500, seed=3)[0])
    assert not np.array_equal(x, lab.task("recall").draw(500, seed=4)[0])
    quick = [experiment for experiment in lab.experiments() if experiment.quick]
    assert 0 < quick[0].run(seed=1) < quick[0].limit
    with pytest.raises(rtrl.OutOfMemoryError):
        lab.task("recall").draw(10**17)
    with pytest.raises(rtrl.ArgumentError, match="task: got 'xor'"):
        lab.task("xor")


def test_the_instruments_look_at_a_network():
    network = rtrl.Network(2, rtrl.Simple(5), readout=1, seed=1)
    findings = lab.inspect(network, task="xor-2", steps=200)
    own = np.linalg.eigvals(network.weights["layer0"][:, 3:].astype(float))
    assert abs(np.sort(abs(own)) - np.sort(abs(findings.eigenvalues))).max() < 1e-6
    assert findings.states.shape[1] == 5 and len(findings.variance_shares) == 5
    assert findings.jacobian_radius[0] <= findings.jacobian_radius[2]
    gated = lab.inspect(rtrl.Network(2, rtrl.GRU(4), 1), x=np.zeros((400, 2)), steps=200)
    assert gated.eigenvalues is None and "gru" in gated.details["no_eigenvalues"]
    with pytest.raises(rtrl.ArgumentError):
        lab.inspect(rtrl.Network(3, 4, 1), task="xor-2")


def xor_machine():
    """A network that solves the task xor-2: its units are OR, AND, and their difference."""
    weights = 8 * np.array([[1, 1, -0.5, 0, 0, 0], [1, 1, -1.5, 0, 0, 0], [0, 0, -0.5, 1, -1, 0]])
    units = rtrl.Simple(3, activation="logistic", weights=weights)
    return rtrl.Network(2, units, rtrl.Readout(1, weights=np.array([[0.0, 0.0, 1.0, 0.0]])))


@pytest.fixture
def axes():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure()).figure.subplots()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["learning_curve", "hinton", "raster", "spectrum", "automaton"])
def test_pictures_are_drawn(axes, name):
    from rtrl import plots

    network = xor_machine()
    findings = lab.inspect(network, task="xor-2", steps=500)
    losses = rtrl.Learner(network).run(*lab.task("xor-2").draw(1000, seed=1)).losses
    of = {"learning_curve": losses, "hinton": network.weights["layer0"], "raster": findings.states}
    before = len(axes.get_children())
    assert getattr(plots, name)(of.get(name, findings), axes=axes) is axes
    axes.figure.canvas.draw()
    assert len(axes.get_children()) > before


@pytest.mark.filterwarnings("default")
def test_the_picture_of_an_automaton_has_its_states_and_arrows(axes):
    from matplotlib.text import Annotation

    from rtrl import plots

    findings = lab.inspect(xor_machine(), task="xor-2", steps=500)
    assert findings.machine["comparison"]["verdict"] == "equivalent"
    plots.automaton(findings, axes=axes)
    arrows = [text for text in axes.texts if isinstance(text, Annotation)]
    labels = [text.get_text() for text in axes.texts if not isinstance(text, Annotation)]
    # The state is whether the last inputs were different.
    assert sorted(labels) == ["0", "1", *2 * ["1 0\n0 1"], *2 * ["1 1\n0 0"]]
    places = {text.get_text(): text.get_position() for text in axes.texts[:]}
    ends = [(arrow.xyann, arrow.xy) for arrow in arrows]
    assert len(set(ends)) == 4 and all(start != end for start, end in ends)
    between = [(places["0"], places["1"]), (places["1"], places["0"])]
    assert all(any(np.allclose(end, pair) for end in ends) for pair in between)
    no_task = lab.inspect(xor_machine(), steps=50)
    with pytest.raises(rtrl.ArgumentError, match="automaton: got findings without a machine"):
        plots.automaton(no_task, axes=axes)


@pytest.mark.filterwarnings("default")
def test_the_first_notebook_runs():
    folder = Path(__file__).parents[1] / "notebooks"
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    notebooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebooks)
    names = notebooks.run(folder / "1_paper.ipynb")
    assert all(steps is not None for steps in names["steps"])
    assert names["losses"][-500:].mean() < names["losses"][:500].mean() / 100
