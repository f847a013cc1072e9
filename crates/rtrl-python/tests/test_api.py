"""The public API: every argument and method has an effect that can be seen."""

import copy
import doctest
from pathlib import Path

import numpy as np
import pytest

import rtrl


def test_documented_examples_run():
    assert doctest.testmod(rtrl).attempted > 3
    assert doctest.testmod(rtrl).failed == 0


def test_a_gru_learns_in_five_lines():
    network = rtrl.Network(1, [rtrl.GRU(8)], readout=1, seed=1)
    learner = rtrl.Learner(network, rtrl.Adam(1e-2))
    wave = np.sin(0.3 * np.arange(2001))
    losses = learner.run(wave[:-1], wave[1:]).losses
    assert losses[-100:].mean() < losses[:100].mean() / 20
    forecast = learner.forecast(5)
    assert forecast.shape == (5, 1) and abs(forecast[0, 0] - wave[2000]) < 0.05
    assert np.array_equal(forecast[:1, 0], learner.outputs)


def test_layers_take_their_settings():
    layers = [
        rtrl.Simple(3, activation=["tanh", "relu", "identity"], leak=[1.0, 0.5, 0.25]),
        rtrl.LSTM(2, forget_bias=1.0, weights=rtrl.Normal(0.0), initial_cells=[0.5, -0.5]),
        rtrl.GRU(4, weights=rtrl.TorchWeights(), initial_state=np.full(4, 0.25)),
    ]
    readout = rtrl.Readout(2, inputs=True, bias=False, weights=rtrl.Normal(1.0))
    network = rtrl.Network(2, layers, readout, seed=5, dtype="float64")
    weights = network.weights
    assert [weights[f"layer{layer}"].shape for layer in range(3)] == [(3, 6), (8, 6), (16, 7)]
    assert weights["readout"].shape == (2, 6) and np.any(weights["readout"] != 0)
    assert np.count_nonzero(weights["layer1"]) == 2
    assert np.abs(weights["layer2"]).max() <= 1.0
    state = network.initial_state
    assert np.array_equal(state, [0, 0, 0, 0, 0, *[0.25] * 4, 0.5, -0.5])
    assert (network.inputs, network.outputs, network.dtype) == (2, 2, np.float64)
    assert "Simple(3), LSTM(2), GRU(4)" in repr(network)
    assert network.run(np.zeros((3, 2))).shape == (3, 2)


def test_absent_weights_stay_zero_and_frozen_ones_stay(data):
    present = np.ones((4, 7), bool)
    present[0, 3:] = False
    frozen = np.zeros((4, 7), bool)
    frozen[1] = True
    layer = rtrl.Simple(4, connections=present, frozen=frozen)
    learner = rtrl.Learner(rtrl.Network(2, layer, 1, seed=2), rtrl.SGD(0.1))
    before = learner.weights["layer0"]
    learner.run(*data)
    after = learner.weights["layer0"]
    assert np.all(after[0, 3:] == 0) and np.array_equal(after[1], before[1])
    assert np.all(after[2] != before[2])


def test_given_weights_are_used_and_seeds_differ():
    given = np.arange(12.0).reshape(3, 4) / 10
    weights = rtrl.Network(0, rtrl.Simple(3, weights=given), dtype="f8").weights["layer0"]
    assert np.array_equal(weights, given)

    def start(seed):
        return rtrl.Network(0, 3, seed=seed).weights["layer0"]

    assert np.array_equal(start(1), start(1)) and not np.array_equal(start(1), start(2))
    with pytest.raises(rtrl.ArgumentError, match="weight matrix: got 2 x 4, expected 3 x 4"):
        rtrl.Network(0, rtrl.Simple(3, weights=given[:2]))


OPTIONS = {
    "optimizer": {"optimizer": rtrl.SGD(0.1)},
    "momentum": {"optimizer": rtrl.SGD(0.1, momentum=0.5)},
    "rmsprop": {"optimizer": rtrl.RMSProp(0.01)},
    "huber": {"loss": "huber:0.1"},
    "every": {"regime": rtrl.RealTime(every=3)},
    "after": {"regime": rtrl.RealTime(after_next_step=True)},
    "clip": {"clip": 0.01},
    "clip value": {"clip_value": 0.001},
    "step decay": {"schedule": rtrl.StepDecay(10, 0.5)},
    "inverse time": {"schedule": rtrl.InverseTime(0.1)},
    "cosine": {"schedule": rtrl.Cosine(100, 0.1)},
    "readout rate": {"readout_learning_rate": 0.5},
    "weight decay": {"weight_decay": 0.1},
    "spectral limit": {"spectral_limit": 0.5},
    "decay": {"sensitivity_decay": 0.5},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_changes_what_is_learnt(data, name):
    def learnt(**options):
        network = rtrl.Network(2, 5, 1, seed=3, dtype="float64")
        learner = rtrl.Learner(network, **({"optimizer": rtrl.Adam(0.02)} | options))
        learner.run(*data)
        return learner.weights["layer0"]

    assert not np.array_equal(learnt(), learnt(**OPTIONS[name]))


def test_teacher_forcing_changes_the_state(data):
    network = rtrl.Network(2, 4, seed=3)
    forced, free = rtrl.Learner(network, teacher_forcing=True), rtrl.Learner(network)
    targets = np.full((200, 4), 0.5)
    assert not np.array_equal(
        forced.run(data[0], targets).outputs, free.run(data[0], targets).outputs
    )


@pytest.mark.parametrize("engine", ["eager", "deferred", rtrl.Deferred(7), rtrl.Deferred(5, True)])
def test_engines_agree(make, data, engine):
    one, other = make(), make(engine=engine)
    one.run(*data)
    other.run(*data)
    assert abs(one.weights["layer0"] - other.weights["layer0"]).max() < 1e-12
    name = engine if isinstance(engine, str) else f"window {engine.window}"
    assert name in repr(other)


def test_threads_do_not_change_bits(data):
    def learnt(threads):
        network = rtrl.Network(2, 64, 1, seed=3)
        learner = rtrl.Learner(network, threads=threads)
        learner.run(*data)
        return learner.weights["layer0"]

    assert np.array_equal(learnt(1), learnt(2))


def test_impossible_settings_are_refused():
    network = rtrl.Network(2, 4, 1)
    wrong = [
        ({"loss": "absolute"}, "loss: got"),
        ({"engine": "lazy"}, "engine: got"),
        ({"engine": rtrl.Deferred(0)}, "window: got 0, expected at least 1"),
        ({"streams": 0}, "number of streams: got 0"),
        ({"threads": 0}, "got 0 threads, expected at least 1"),
        ({"optimizer": rtrl.SGD(-1.0)}, "learning rate: got -1"),
        ({"optimizer": rtrl.Adam(float("nan"))}, "learning rate: got NaN"),
        ({"clip": -1.0}, "clip norm: got -1"),
        ({"teacher_forcing": True}, "teacher forcing: got on"),
        ({"sensitivity_decay": 0.0}, "decay of the sensitivities: got 0"),
        ({"regime": rtrl.RealTime(every=0)}, "interval between updates: got 0"),
    ]
    for options, message in wrong:
        with pytest.raises(rtrl.ArgumentError, match=message):
            rtrl.Learner(network, **options)
    with pytest.raises(rtrl.ArgumentError, match="dtype: got float16"):
        rtrl.Network(2, 4, dtype="float16")
    with pytest.raises(rtrl.ArgumentError, match="number of units: got 0"):
        rtrl.Network(2, [])
    with pytest.raises(rtrl.OutOfMemoryError):
        rtrl.Network(1, 1 << 30)


def test_gradients_and_sensitivities_have_the_shapes_of_the_weights(make, data):
    learner = make(layers=[rtrl.GRU(3), rtrl.LSTM(2)])
    assert learner.gradient is None
    learner.step(data[0][0], data[1][0])
    learner.step(data[0][1], data[1][1])
    shapes = {key: array.shape for key, array in learner.weights.items()}
    assert {key: array.shape for key, array in learner.gradient.items()} == shapes
    shapes.pop("readout")
    assert {key: array.shape for key, array in learner.sensitivities(4).items()} == shapes
    assert np.any(learner.sensitivities(4)["layer0"] != 0)
    assert learner.jacobian().shape == (7, 7)
    with pytest.raises(rtrl.ArgumentError, match="got state 7, expected a number below 7"):
        learner.sensitivities(7)
    assert learner.accumulated_gradient() is None


def test_the_gradient_of_a_step_is_a_sum_over_sensitivities():
    network = rtrl.Network(2, 4, seed=3, dtype="float64")
    learner = rtrl.Learner(network, rtrl.SGD(0.1))
    random = np.random.default_rng(2)
    for x, target in zip(random.normal(size=(20, 2)), random.normal(size=(20, 4)), strict=True):
        report = learner.step(x, target)
    expected = -sum(e * learner.sensitivities(k)["layer0"] for k, e in enumerate(report.errors))
    assert abs(learner.gradient["layer0"] - expected).max() < 1e-14


def test_epochs_sum_gradients(data):
    network = rtrl.Network(2, 4, 1, seed=3, dtype="float64")
    learner = rtrl.Learner(network, rtrl.SGD(0.1), regime=rtrl.Epochwise(), step_gradients=True)
    total = 0.0
    for x, target in zip(*data, strict=True):
        learner.step(x, target)
        total = total + learner.gradient["layer0"]
    assert abs(learner.accumulated_gradient()["layer0"] - total).max() < 1e-12
    before = learner.weights["layer0"]
    learner.end_epoch()
    assert abs(before - 0.1 * total - learner.weights["layer0"]).max() < 1e-12
    assert np.all(learner.state == 0)
    with pytest.raises(rtrl.CallError, match="end_epoch"):
        rtrl.Learner(network).end_epoch()


def test_the_last_gradient_of_the_papers_order_waits(data):
    learner = rtrl.Learner(rtrl.Network(2, 4, 1), regime=rtrl.RealTime(after_next_step=True))
    learner.run(*data)
    assert learner.updates == 199 and learner.finish() and not learner.finish()


def test_weights_can_be_replaced_all_or_none(make):
    learner = make()
    before = learner.weights
    learner.weights = {"layer0": before["layer0"] * 0.5}
    assert np.array_equal(learner.weights["layer0"], before["layer0"] * 0.5)
    assert np.array_equal(learner.weights["readout"], before["readout"])
    half = learner.weights
    nan = np.full_like(before["readout"], np.nan)
    for values in (
        {"layer1": before["layer0"]},
        {"layer0": before["layer0"][:, 1:]},
        {"layer0": before["layer0"], "readout": nan},
    ):
        with pytest.raises(rtrl.ArgumentError):
            learner.weights = values
        assert all(np.array_equal(half[key], array) for key, array in learner.weights.items())


def test_looking_ahead_changes_nothing(make, data):
    learner = make()
    learner.run(*data)
    twin = learner.copy()
    predicted = learner.predict(data[0][:10])
    learner.generate(5, lambda step, outputs: [step, outputs[0]])
    assert np.array_equal(learner.state, twin.state)
    assert np.array_equal(twin.network.dtype, learner.dtype)
    assert np.array_equal(predicted, twin.run(data[0][:10]).outputs)
    with pytest.raises(rtrl.ArgumentError, match="free run without an input function"):
        learner.generate(5)
    with pytest.raises(ZeroDivisionError):
        learner.generate(5, lambda step, outputs: 1 / 0)
    assert learner.generate(0, lambda *_: 0).shape == (0, 1)


def test_observers_see_every_step(make, data):
    learner, plain, seen = make(), make(), []

    def observe(observed, report):
        assert observed is learner
        seen.append((report.step, report.loss, np.abs(observed.sensitivities(0)["layer0"]).max()))

    run = learner.run(*data, observers=[observe])
    expected = plain.run(*data)
    assert np.array_equal(run.outputs, expected.outputs)
    assert [step for step, *_ in seen] == list(range(200))
    assert np.array_equal([loss for _, loss, _ in seen], expected.losses)
    assert learner.run(np.zeros((0, 2)), observers=[observe]).outputs.shape == (0, 1)
    with pytest.raises(ZeroDivisionError):
        learner.run(*data, observers=[lambda *_: 1 / 0])


def test_observed_runs_take_what_other_runs_take(make, data):
    """A masked input was used as if it were not masked, and shorter targets ended the run."""
    x, targets = data
    masked = np.ma.masked_array(targets, mask=np.arange(200)[:, None] % 3 == 0)

    def run(x, targets):
        learner = make()
        learner.run(x, targets, observers=[lambda *_: None])
        return learner.weights["layer0"]

    for values in (masked, targets.tolist(), targets[:, 0], None):
        plain = make()
        plain.run(x, values)
        assert np.array_equal(run(x, values), plain.weights["layer0"])
    masked = np.ma.masked_array(x, mask=np.arange(400).reshape(x.shape) == 7)
    for wrong, steps in (
        ((x, targets[:100]), 0),
        ((x[:100], targets), 0),
        ((masked, None), 3),
        ((1, 1), 0),
    ):
        learner = make()
        with pytest.raises(rtrl.ArgumentError):
            learner.run(*wrong, observers=[lambda *_: None])
        assert learner.steps == steps


def test_learning_rates_can_be_changed(make):
    learner = make()
    learner.learning_rate = 0.5
    assert learner.learning_rate == 0.5
    with pytest.raises(rtrl.ArgumentError, match="learning rate: got -1"):
        learner.learning_rate = -1


def test_copies_are_independent(make, data):
    learner = make()
    learner.run(*data)
    for twin in (learner.copy(), copy.copy(learner), copy.deepcopy(learner)):
        run = twin.run(*data)
        assert not np.array_equal(twin.weights["layer0"], learner.weights["layer0"])
        assert np.array_equal(learner.copy().run(*data).outputs, run.outputs)


def test_least_squares_fits_a_readout():
    readout = rtrl.Readout(1, least_squares=rtrl.LeastSquares(0.999, 1e-3))
    network = rtrl.Network(1, 8, readout, seed=1, dtype="float64")
    learner = rtrl.Learner(network, rtrl.SGD(0.0))
    wave = np.sin(0.3 * np.arange(1001))
    assert learner.run(wave[:-1], wave[1:]).losses[-100:].mean() < 1e-3


def test_overflows_are_errors_or_recovered_from():
    network = rtrl.Network(1, rtrl.Simple(4, activation="relu", weights=rtrl.Orthogonal(30.0)))
    x, targets = np.zeros((40, 1)), np.full((40, 4), np.nan)
    x[0] = 1e-30
    learner = rtrl.Learner(network, rtrl.SGD(1e-6))
    with pytest.raises(rtrl.NumericError, match="step 29: sensitivities overflowed"):
        learner.run(x, targets)
    assert all(np.isfinite(array).all() for array in learner.weights.values())
    assert learner.steps == 29 and learner.describe()["resets"] == 0
    learner = rtrl.Learner(network, rtrl.SGD(1e-6), reset_sensitivities=True)
    learner.run(x, targets)
    # The step that overflowed is not counted.
    assert learner.steps == 39 and learner.describe()["resets"] == 1


def test_reports_and_learners_say_what_they_are(make, data):
    learner = make(streams=2, regime=rtrl.RealTime(every=4))
    text = repr(learner)
    for part in ("GRU(5)", "2 streams", "every 4 steps", "float64"):
        assert part in text
    facts = learner.describe()
    # Two streams of 5 states in float64.
    plan = learner.engine_plan()
    assert plan.sensitivity_bytes == 2 * 5 * 8 * plan.blocks[0].weights and "\n" not in text
    assert f"engine {facts['engine']}, {plan.bytes} bytes, 0 steps" in text
    assert facts["engine_bytes"] == plan.bytes > plan.sensitivity_bytes
    assert facts["states"] == 5
    report = make().step(data[0][0], data[1][0])
    assert repr(report).startswith("StepReport(step=0, loss=") and report.updated


def test_forecasters_pair_inputs_with_late_labels():
    wave = np.sin(0.3 * np.arange(3002))
    readout = rtrl.Readout(1, least_squares=rtrl.LeastSquares(0.999, 1.0))
    network = rtrl.Network(1, 8, readout, seed=1, dtype="float64")
    forecaster = rtrl.Forecaster(rtrl.Learner(network, rtrl.Adam(1e-4)), horizon=2)
    reports = [forecaster.observe(value, value) for value in wave[:3000]]
    assert reports[:2] == [None, None] and reports[2] is not None
    assert abs(forecaster.forecast()[0] - wave[3001]) < 0.05
    assert forecaster.horizon == 2 and forecaster.learner.steps == 2998
    assert "horizon=2" in repr(forecaster)
    twin = copy.deepcopy(forecaster)
    forecaster.reset()
    assert forecaster.observe(0.0, 0.0) is None and twin.observe(0.0, 0.0) is not None
    with pytest.raises(rtrl.ArgumentError, match="horizon: got 0"):
        rtrl.Forecaster(rtrl.Learner(network), 0)


def test_the_examples_of_the_docs_run():
    path = Path(__file__).parents[3] / "docs/python.md"
    tested = doctest.testfile(str(path), module_relative=False)
    assert tested.attempted > 30 and tested.failed == 0


def test_the_example_of_the_readme_runs():
    path = Path(__file__).parents[3] / "README.md"
    if not path.exists():
        pytest.skip("the package is not in a checkout")
    blocks = path.read_text().split("```python\n")[1:]
    assert len(blocks) == 1
    x = np.sin(0.3 * np.arange(2001))[:, None]
    names = {"rtrl": rtrl, "x": x[:-1], "targets": x[1:]}
    exec(blocks[0].split("```")[0], names)
    assert names["losses"].shape == (2000,)
    assert names["losses"][-100:].mean() < names["losses"][:100].mean() / 10
