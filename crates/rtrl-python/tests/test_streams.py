"""Several sequences that share the weights, and those that skip a step."""

import numpy as np
import pytest

import rtrl


@pytest.fixture
def three(data):
    """Inputs and targets of three streams."""
    x, targets = data
    return np.stack([x, -x, x / 2], axis=1), np.stack([targets, targets / 2, -targets], axis=1)


def test_streams_are_an_axis(make, three):
    x, targets = three
    learner, other = make(streams=3), make(streams=3)
    run = learner.run(x, targets)
    assert run.outputs.shape == (200, 3, 1) and learner.state.shape == (3, 5)
    for row, target in zip(x, targets, strict=True):
        report = other.step(row, target)
    assert report.outputs.shape == report.errors.shape == (3, 1)
    assert np.array_equal(run.outputs[-1], report.outputs)
    assert np.array_equal(learner.predict(x[0])[1], learner.predict(x[:2])[0, 1])
    assert learner.predict(x[:1]).shape == (1, 3, 1)
    with pytest.raises(rtrl.ArgumentError, match=r"expected \(3, 2\), one row per stream"):
        learner.step(x[0, 0])
    learner.reset(stream=1)
    assert np.all(learner.state[1] == 0) and np.any(learner.state[0] != 0)
    with pytest.raises(rtrl.ArgumentError, match="got stream 3, expected a number below 3"):
        learner.reset(stream=3)


def test_a_stream_that_skips_a_step_stays_as_it_is(make, three):
    x, targets = three
    learner = make(streams=3)
    learner.run(x[:50], targets[:50])
    state, p = learner.state, [learner.sensitivities(2, stream)["layer0"] for stream in range(3)]
    x[50, 1], targets[50, 1] = np.nan, np.inf
    report = learner.step(x[50], targets[50], [True, False, True])
    assert report.updated and report.errors[1] == 0 and np.all(report.errors[[0, 2]] != 0)
    for stream in range(3):
        same = np.array_equal(learner.state[stream], state[stream])
        assert same == (stream == 1)
        same = np.array_equal(learner.sensitivities(2, stream)["layer0"], p[stream])
        assert same == (stream == 1)
    with pytest.raises(rtrl.ArgumentError, match="stream 1"):
        learner.step(x[50], targets[50])


@pytest.mark.parametrize("observed", [False, True])
def test_streams_skip_steps_of_a_run(make, three, observed):
    x, targets = three
    present = np.random.default_rng(5).random((200, 3)) < 0.6
    absent = np.where(present[..., None], targets, np.nan)
    learner, other, all_there = make(streams=3), make(streams=3), make(streams=3)
    observers = [lambda *_: None] if observed else []
    run = learner.run(np.where(present[..., None], x, np.nan), targets, observers, present)
    reports = [other.step(*arrays) for arrays in zip(x, targets, present, strict=True)]
    assert np.array_equal(run.outputs, [report.outputs for report in reports])
    assert np.array_equal(run.losses, [report.loss for report in reports])
    assert np.array_equal(learner.weights["layer0"], other.weights["layer0"])
    # A step without a target is not a step that is skipped.
    assert not np.array_equal(all_there.run(x, absent).outputs, run.outputs)


def test_one_stream_may_skip_steps(make, data):
    x, targets = data
    present = np.arange(200) % 3 != 0
    learner, other = make(), make()
    run = learner.run(x, targets, streams=present)
    kept = other.run(x[present], targets[present])
    assert np.array_equal(run.outputs[present], kept.outputs)
    assert np.all(run.losses[~present] == 0) and learner.steps == 200
    assert not learner.step(x[0], targets[0], [False]).updated


def test_forecasters_have_streams_that_skip_calls(make, three):
    x, targets = three
    forecaster = rtrl.Forecaster(make(streams=3), 2)
    for row, label in zip(x[:20], targets[:20], strict=True):
        forecaster.observe(row, label)
    before = forecaster.forecast()
    forecaster.observe(np.full((3, 2), np.nan), None, np.zeros(3, bool))
    assert np.array_equal(forecaster.forecast(), before)
    forecaster.observe(x[20], targets[20], [True, False, False])
    assert forecaster.forecast()[0] != before[0]


WRONG = {
    "numbers of streams": ([0, 2], rtrl.DtypeError, "streams: got dtype int64, expected bool"),
    "one number": (1, rtrl.DtypeError, "streams: got dtype int64"),
    "too few": (
        [True, False],
        rtrl.ArgumentError,
        r"streams: got shape \(2,\), expected \(3,\), one per stream",
    ),
    "text": ("all", rtrl.DtypeError, "streams: got dtype"),
    "ragged": ([[True], [True, False]], rtrl.ArgumentError, "streams: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_streams_are_refused(make, three, name):
    value, kind, message = WRONG[name]
    learner = make(streams=3)
    with pytest.raises(kind, match=message):
        learner.step(three[0][0], three[1][0], value)
    with pytest.raises(rtrl.ArgumentError, match="streams of a run: got 2 values, expected 200"):
        learner.run(*three, streams=np.ones((2, 3), bool))
    assert learner.steps == 0
