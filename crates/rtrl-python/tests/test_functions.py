"""Losses and optimisers that are functions of the caller."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import rtrl


def squared(outputs, targets):
    """The squared error."""
    errors = targets - outputs
    return 0.5 * np.nansum(errors**2), errors


def absolute(outputs, targets):
    """The absolute error, which the package does not have."""
    rest = np.nan_to_num(targets - outputs)
    return abs(rest).sum(), np.sign(rest)


def descent(weights, gradient):
    """Gradient descent."""
    return {name: weights[name] - 0.1 * gradient[name] for name in weights}


class Momentum:
    """Gradient descent with momentum."""

    def __init__(self):
        self.directions = {}

    def __call__(self, weights, gradient):
        for name, part in gradient.items():
            self.directions[name] = 0.5 * self.directions.get(name, 0.0) + part
        return {name: weights[name] - 0.1 * self.directions[name] for name in weights}


def learner(optimizer=None, loss="squared", dtype="float64", outputs=1, **options):
    network = rtrl.Network(2, [rtrl.GRU(5)], readout=outputs, seed=3, dtype=dtype)
    return rtrl.Learner(network, optimizer or rtrl.SGD(0.1), loss, **options)


def distance(one, other):
    return max(abs(one.weights[name] - array).max() for name, array in other.weights.items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_function_is_the_loss(data, dtype):
    custom, built_in = learner(loss=squared, dtype=dtype), learner(dtype=dtype)
    other = learner(loss=absolute, dtype=dtype)
    one, two, three = custom.run(*data), built_in.run(*data), other.run(*data)
    assert abs(one.losses - two.losses).max() < 1e-6
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    assert distance(custom, built_in) < tolerance < distance(other, built_in)
    assert not np.array_equal(one.losses, three.losses)
    assert "custom:python" in repr(custom)


def test_a_loss_function_sees_missing_targets_as_nan():
    seen = []

    def loss(outputs, targets):
        seen.append(targets)
        return squared(outputs, targets)

    custom, built_in = learner(loss=loss, outputs=2), learner(outputs=2)
    x, targets = np.ones((3, 2)), [[np.nan, np.nan], [np.nan, 0.5], [0.25, 0.5]]
    custom.run(x, targets)
    report = custom.step(x[0], targets[1])
    assert np.array_equal(seen, [*targets[1:], targets[1]], equal_nan=True)
    assert report.errors[0] == 0 and report.errors[1] != 0
    built_in.run(x, targets)
    built_in.step(x[0], targets[1])
    assert distance(custom, built_in) < 1e-14


def test_a_loss_function_is_called_for_every_stream(data):
    calls = []

    def loss(outputs, targets):
        calls.append(outputs.shape)
        return squared(outputs, targets)

    custom, built_in = learner(loss=loss, streams=2), learner(streams=2)
    x, targets = (np.stack([rows, -rows], axis=1) for rows in data)
    assert abs(custom.run(x, targets).losses - built_in.run(x, targets).losses).max() < 1e-14
    assert calls == [(1,)] * 400


def test_an_exception_of_a_loss_function_ends_the_run(data):
    count = [0]

    def loss(outputs, targets):
        count[0] += 1
        return 1 / 0 if count[0] == 41 else squared(outputs, targets)

    custom = learner(loss=loss)
    with pytest.raises(rtrl.CallbackError, match="step 40: the loss raised ZeroDivisionError") as e:
        custom.run(*data)
    assert isinstance(e.value.__cause__, ZeroDivisionError) and isinstance(e.value, RuntimeError)
    assert custom.steps == 40
    rest = custom.run(data[0][40:], data[1][40:])
    whole = learner(loss=squared).run(*data)
    assert np.array_equal(rest.outputs, whole.outputs[40:])


WRONG = {
    "nothing": (None, TypeError),
    "one number": (1.0, TypeError),
    "three": ((1.0, [0.0], 2.0), ValueError),
    "wrong shape": ((1.0, [0.0, 0.0]), rtrl.ArgumentError),
    "text": ((1.0, "a"), rtrl.DtypeError),
    "no number": (("a", [0.0]), TypeError),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_results_of_a_loss_function_are_refused(data, name):
    result, cause = WRONG[name]
    custom = learner(loss=lambda *_: result)
    with pytest.raises(rtrl.CallbackError, match="step 0: the loss raised") as caught:
        custom.step(data[0][0], data[1][0])
    assert isinstance(caught.value.__cause__, cause) and custom.steps == 0


@pytest.mark.parametrize("result", [(np.nan, [0.0]), (np.inf, [0.0]), (1.0, [np.nan])])
def test_losses_and_errors_must_be_finite(data, result):
    custom = learner(loss=lambda *_: result)
    with pytest.raises(rtrl.ArgumentError, match="expected a finite number"):
        custom.step(data[0][0], data[1][0])
    assert custom.steps == 0


def test_ctrl_c_in_a_loss_function_is_ctrl_c(data):
    def loss(outputs, targets):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner(loss=loss).run(*data)


def test_a_loss_function_may_use_other_learners_and_not_its_own(data):
    other = learner(loss=absolute)

    def loss(outputs, targets):
        other.step(data[0][0], targets)
        return squared(outputs, targets)

    custom = learner(loss=loss)
    assert np.array_equal(custom.run(*data).outputs, learner(loss=squared).run(*data).outputs)
    assert other.steps == 200
    wrong = learner(loss=lambda *_: wrong.state)
    with pytest.raises(rtrl.CallbackError) as caught:
        wrong.run(*data)
    assert isinstance(caught.value.__cause__, rtrl.CallError)


def test_learners_with_functions_are_freed():
    def cycle():
        custom = learner(loss=lambda *_: custom.state)
        return weakref.ref(custom)

    alive = cycle()
    gc.collect()
    assert alive() is None


def test_forecasters_take_the_loss_of_their_learner(data):
    forecasters = [rtrl.Forecaster(learner(loss=loss), 2) for loss in (squared, "squared")]
    for x, label in zip(*data, strict=True):
        reports = [forecaster.observe(x, label) for forecaster in forecasters]
    assert abs(reports[0].loss - reports[1].loss) < 1e-14
    twin = pickle.loads(pickle.dumps(forecasters[0]))
    assert twin.observe(*(rows[0] for rows in data)).loss > 0
    assert twin.learner.step(*(rows[0] for rows in data)).loss > 0


def test_an_optimizer_function_replaces_the_weights(data):
    custom, built_in = learner(descent), learner(rtrl.SGD(0.1))
    one, two = custom.run(*data), built_in.run(*data)
    assert abs(one.outputs - two.outputs).max() < 1e-13
    assert distance(custom, built_in) < 1e-13
    assert custom.updates == 200 and custom.step(data[0][0]).updated is False
    still = learner(lambda *_: {})
    before = still.copy()
    still.run(*data)
    assert distance(still, before) == 0 and distance(custom, before) > 0.01


def test_an_optimizer_function_may_have_a_state(data):
    custom, built_in = learner(Momentum()), learner(rtrl.SGD(0.1, momentum=0.5))
    custom.run(*data)
    built_in.run(*data)
    assert distance(custom, built_in) < 1e-13
    twins = [custom.copy(), copy.deepcopy(custom), pickle.loads(pickle.dumps(custom))]
    custom.run(*data)
    for twin in twins:
        assert distance(twin, custom) > 1e-6
        twin.run(*data)
        assert distance(twin, custom) == 0


class Trainer:
    """An object that holds the learner whose loss and optimiser are its methods."""

    def __init__(self):
        self.updates = 0
        self.learner = learner(self.descend, self.compare)

    def compare(self, outputs, targets):
        return squared(outputs, targets)

    def descend(self, weights, gradient):
        self.updates += 1
        return descent(weights, gradient)


def holder(learner):
    """The trainer of a learner that was copied itself."""
    trainer = learner._optimizer.__self__
    assert trainer.learner is learner
    return trainer


TWINS = {
    "copied": copy.deepcopy,
    "copied learner": lambda trainer: holder(trainer.learner.copy()),
    "pickled": lambda trainer: pickle.loads(pickle.dumps(trainer)),
    "pickled learner": lambda trainer: holder(pickle.loads(pickle.dumps(trainer.learner))),
}


@pytest.mark.parametrize("name", TWINS)
def test_functions_may_be_methods_of_what_holds_the_learner(data, name):
    trainer = Trainer()
    trainer.learner.run(*data)
    twin = TWINS[name](trainer)
    functions = twin.learner._loss, twin.learner._optimizer
    assert all(function.__self__ is twin is not trainer for function in functions)
    twin.learner.run(*data)
    assert (trainer.updates, twin.updates) == (200, 400)
    assert distance(trainer.learner, twin.learner) > 1e-6
    trainer.learner.run(*data)
    assert distance(trainer.learner, twin.learner) == 0


def test_pickles_contain_a_learner_once():
    plain, held = (len(pickle.dumps(one)) for one in (learner(descent, squared), Trainer().learner))
    assert held < 1.5 * plain


def test_an_exception_of_an_optimizer_function_changes_no_weight(data):
    def optimizer(weights, gradient):
        raise OSError("no")

    custom = learner(optimizer)
    before = custom.weights
    with pytest.raises(rtrl.CallbackError, match="step 0: the optimizer raised OSError: no") as e:
        custom.run(*data)
    assert isinstance(e.value.__cause__, OSError) and custom.steps == 1
    assert all(np.array_equal(before[name], array) for name, array in custom.weights.items())
    one_is_wrong = {"layer0": np.zeros((20, 8)), "readout": np.full((1, 6), np.nan)}
    for result in (None, {"layer9": [0.0]}, {"readout": np.full((1, 6), np.nan)}, one_is_wrong):
        wrong = learner(lambda *_, result=result: result)
        with pytest.raises(rtrl.CallbackError):
            wrong.run(*data)
        assert all(np.array_equal(before[name], array) for name, array in wrong.weights.items())
        assert wrong.steps == 1


def test_functions_have_no_place_next_to_some_settings():
    for options in (
        {"clip": 1.0},
        {"clip_value": 1.0},
        {"schedule": rtrl.Cosine(10)},
        {"weight_decay": 0.1},
        {"readout_learning_rate": 0.1},
        {"regime": rtrl.Epochwise()},
        {"regime": rtrl.RealTime(every=2)},
    ):
        with pytest.raises(rtrl.ArgumentError, match="optimizer: got a function and settings"):
            learner(descent, **options)
    fitted = rtrl.Network(2, 5, rtrl.Readout(1, least_squares=rtrl.LeastSquares()))
    with pytest.raises(rtrl.ArgumentError, match="optimizer: got a function and a readout by"):
        rtrl.Learner(fitted, descent)
    assert rtrl.Learner(fitted, rtrl.SGD(0.1)).step([0.0, 0.0], [0.5]).updated
    with pytest.raises(rtrl.ArgumentError, match="learner: got one whose optimizer is a function"):
        rtrl.Forecaster(learner(descent))
    with pytest.raises(TypeError, match="optimizer: got type, expected SGD or RMSProp or Adam"):
        learner(rtrl.Adam)
    for name in ("custom:python", "custom:other"):
        with pytest.raises(rtrl.ArgumentError, match=f"loss: got '{name}', expected a loss of"):
            learner(loss=name)


def test_checkpoints_are_loaded_with_the_functions(data, tmp_path):
    path = tmp_path / "learner"
    custom = learner(descent, squared)
    custom.run(*data)
    custom.save(path)
    twin = rtrl.Learner.load(path, loss=squared, optimizer=descent)
    custom.run(*data)
    twin.run(*data)
    assert distance(custom, twin) == 0
    with pytest.raises(rtrl.ArgumentError, match="loss: got none, expected a function, as in"):
        rtrl.Learner.load(path, optimizer=descent)
    with pytest.raises(rtrl.ArgumentError, match="optimizer: got none, expected a function, as in"):
        rtrl.Learner.load(path, loss=squared)
    with pytest.raises(TypeError, match="loss: got str, expected a function"):
        rtrl.Learner.load(path, loss="squared", optimizer=descent)
    learner().save(path)
    with pytest.raises(rtrl.ArgumentError, match="loss: got one, expected none, as in the"):
        rtrl.Learner.load(path, loss=squared)
