"""Layers in heads, against the same layers with a mask."""

import copy
import pickle

import numpy as np
import pytest

import rtrl

INPUTS = 2
FIRST = INPUTS + 1
KINDS = {
    "simple": lambda units, **options: rtrl.Simple(units, leak=0.7, **options),
    "gru": rtrl.GRU,
    "lstm": rtrl.LSTM,
}


def seen(rows, units, head, shift=0):
    """Of each row with a column for every unit, those columns that a row of heads has."""
    first = np.arange(rows) % units // head * head + shift
    units_seen = FIRST + (first[:, None] + np.arange(head)) % units
    return np.concatenate([np.tile(np.arange(FIRST), (rows, 1)), units_seen], axis=1)


def pair(kind, units, head, shift=0, **options):
    """A learner in heads, the learner with a mask, and the columns that both have."""
    layer = KINDS[kind]
    network = rtrl.Network(INPUTS, layer(units, heads_of=head), seed=3, dtype="float64")
    weights = network.weights["layer0"]
    columns = seen(len(weights), units, head, shift)
    dense = np.zeros((len(weights), FIRST + units))
    np.put_along_axis(dense, columns, weights, axis=1)
    mask = np.zeros(dense.shape, bool)
    np.put_along_axis(mask, columns, True, axis=1)
    masked = rtrl.Network(INPUTS, layer(units, connections=mask, weights=dense), dtype="float64")
    learner = rtrl.Learner(network, rtrl.Adam(0.02), **options)
    return learner, rtrl.Learner(masked, rtrl.Adam(0.02), engine="eager"), columns


def largest_difference(learner, masked, columns, steps=40):
    """The largest difference of anything that both compute, and of what is between heads from 0."""
    random = np.random.default_rng(5)
    units = len(learner.outputs)
    largest = 0.0

    def compare(got, expected):
        nonlocal largest
        largest = max(largest, abs(got - expected).max())

    def compare_weights(got, expected):
        compare(got["layer0"], np.take_along_axis(expected["layer0"], columns, axis=1))
        assert np.count_nonzero(expected["layer0"]) <= got["layer0"].size

    for t in range(steps):
        x, target = random.uniform(-1, 1, INPUTS), random.uniform(-0.5, 0.5, units)
        target[random.random(units) < 0.5] = np.nan
        reports = [one.step(x, target) for one in (learner, masked)]
        compare(reports[0].outputs, reports[1].outputs)
        compare_weights(learner.gradient, masked.gradient)
        if t % 10 == 9:
            compare_weights(learner.weights, masked.weights)
            for unit in (0, units - 1):
                compare_weights(learner.sensitivities(unit), masked.sensitivities(unit))
            compare(learner.jacobian(), masked.jacobian())
    return largest


@pytest.mark.parametrize("kind", KINDS)
def test_heads_are_equal_to_a_mask(kind):
    """Heads of a multiple of 8 units do not change the order of a sum in float64."""
    assert largest_difference(*pair(kind, 24, 8, engine="eager")) == 0.0


@pytest.mark.parametrize("engine", ["auto", "eager", rtrl.Deferred(5), rtrl.Deferred(4, True)])
@pytest.mark.parametrize("head", [1, 2, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_heads_of_any_size_learn_as_a_mask(kind, head, engine):
    assert largest_difference(*pair(kind, 12, head, engine=engine)) < 1e-12


def test_other_heads_would_be_noticed():
    assert largest_difference(*pair("gru", 12, 2, shift=2)) > 1e-3


def test_weights_have_columns_for_the_units_of_a_head():
    layers = [rtrl.LSTM(6, heads_of=2), rtrl.Simple(4, heads_of=1), rtrl.GRU(3)]
    network = rtrl.Network(5, layers, readout=2, seed=1)
    learner = rtrl.Learner(network)
    shapes = {"layer0": (24, 8), "layer1": (4, 8), "layer2": (12, 8), "readout": (2, 4)}
    assert {key: array.shape for key, array in network.weights.items()} == shapes
    learner.step(np.ones(5), [0.1, 0.2])
    assert {key: array.shape for key, array in learner.gradient.items()} == shapes
    shapes.pop("readout")
    assert {key: array.shape for key, array in learner.sensitivities(12).items()} == shapes
    assert "[LSTM(6, heads_of=2), Simple(4, heads_of=1), GRU(3)]" in repr(network)
    given = np.arange(32.0).reshape(4, 8) / 100
    frozen = np.zeros((4, 8), bool)
    frozen[1] = True
    layer = rtrl.Simple(4, heads_of=2, weights=given, frozen=frozen, connections=given != 0.05)
    network = rtrl.Network(5, layer, dtype="float64")
    learner = rtrl.Learner(network, rtrl.SGD(0.1))
    learner.run(np.ones((3, 5)), np.ones((3, 4)))
    changed = learner.weights["layer0"] != given
    assert not changed[1].any() and changed[2].all() and learner.weights["layer0"][0, 5] == 0
    learner.weights = {"layer0": given}
    with pytest.raises(rtrl.ArgumentError, match=r"expected \(4, 8\)"):
        learner.weights = {"layer0": np.zeros((4, 10))}


@pytest.mark.parametrize("head", [1, 2, 3, 4, 6])
def test_networks_say_their_heads_if_there_are_several(head):
    assert f"[LSTM(12, heads_of={head})]" in repr(rtrl.Network(2, rtrl.LSTM(12, heads_of=head)))
    assert "[LSTM(12)]" in repr(rtrl.Network(2, rtrl.LSTM(12, heads_of=12)))


def test_heads_survive_copies_pickles_and_files(tmp_path):
    learner, _, _ = pair("gru", 12, 3)
    x, targets = np.ones((30, INPUTS)), np.full((30, 12), 0.3)
    learner.run(x, targets)
    learner.save(tmp_path / "learner")
    learner.network.save(tmp_path / "network")
    others = [
        learner.copy(),
        copy.deepcopy(learner),
        pickle.loads(pickle.dumps(learner)),
        rtrl.Learner.load(tmp_path / "learner"),
    ]
    expected = learner.run(x, targets).outputs
    for other in others:
        assert "GRU(12, heads_of=3)" in repr(other)
        assert np.array_equal(other.run(x, targets).outputs, expected)
    for network in (
        rtrl.Network.load(tmp_path / "network"),
        pickle.loads(pickle.dumps(learner.network)),
    ):
        assert "GRU(12, heads_of=3)" in repr(network)
    layer = pickle.loads(pickle.dumps(rtrl.GRU(12, heads_of=3)))
    assert layer == rtrl.GRU(12, heads_of=3) != rtrl.GRU(12, heads_of=4)


def test_the_plan_of_the_engine_says_how_heads_are_computed():
    learner = rtrl.Learner(rtrl.Network(2, rtrl.Simple(64, heads_of=8), readout=1), engine="eager")
    plan = learner.engine_plan()
    assert plan.blocks == (rtrl.BlockPlan("eager", 8, 8, 8 * 11),) * 8
    assert plan.operations == 8 * 2 * 8 * 8 * 88 and plan.bytes > 8 * 8 * 88 * 4
    assert str(plan).startswith("sensitivities: 8 blocks, ")
    assert str(plan).endswith("\n  8 x eager: 8 states, 8 weight rows, 88 weights that learn")
    first, *blocks = repr(learner).splitlines()
    assert plan.sensitivity_bytes == 8 * 8 * 88 * 4
    assert f"engine 8 blocks, {plan.bytes} bytes" in first
    assert blocks == ["  8 x eager: 8 states, 8 weight rows, 88 weights that learn"]
    first, *of_forecaster = repr(rtrl.Forecaster(learner)).splitlines()
    assert first.endswith("0 steps), horizon=1)") and of_forecaster == blocks
    whole = rtrl.Learner(rtrl.Network(2, 64, readout=1), engine=rtrl.Deferred(5)).engine_plan()
    assert [block.engine for block in whole.blocks] == ["deferred, window 5"]
    assert whole.bytes > plan.bytes and whole.operations > plan.operations
    single = rtrl.Learner(rtrl.Network(2, rtrl.GRU(30, heads_of=1), readout=1)).engine_plan()
    assert [block.engine for block in single.blocks] == ["diagonal"]
    frozen = rtrl.Simple(5, frozen=np.ones((5, 8), bool))
    learner = rtrl.Learner(rtrl.Network(2, frozen, readout=1))
    assert learner.engine_plan().blocks == () and "engine none, " in repr(learner)


def test_the_text_of_a_learner_names_the_first_kinds_of_blocks():
    layers = [rtrl.Simple(units) for units in range(10, 22)]
    text = repr(rtrl.Learner(rtrl.Network(1, layers), engine="eager")).splitlines()
    assert "engine 12 blocks" in text[0] and len(text) == 10 and text[-1] == "  and 4 more"
    assert text[8].startswith("  1 x eager: 95 states, 17 weight rows, ")


def test_thousands_of_units_fit_in_heads():
    # Without heads, the layer below would take minutes and gigabytes.
    small = rtrl.Network(1, rtrl.GRU(16, heads_of=4), readout=1)
    assert small.weights["layer0"].shape == (4 * 16, 6)
    learner = rtrl.Learner(rtrl.Network(1, rtrl.GRU(8192, heads_of=4), readout=1, seed=1))
    assert learner.weights["layer0"].shape == (4 * 8192, 6)
    assert learner.engine_plan().bytes < 1e8
    assert learner.step([0.5], [0.5]).updated


@pytest.mark.parametrize("head", [0, 3, 5, 8, 2**63])
def test_heads_that_do_not_make_up_a_layer_are_refused(head):
    message = f"units of a head: got {head}, expected a divisor of 4"
    for layer in (rtrl.Simple, rtrl.GRU, rtrl.LSTM):
        with pytest.raises(rtrl.ArgumentError, match=message):
            rtrl.Network(2, layer(4, heads_of=head))


def test_what_heads_do_not_have_is_refused():
    network = rtrl.Network(2, rtrl.Simple(4, heads_of=2))
    with pytest.raises(rtrl.ArgumentError, match="layer: got one of 2 heads"):
        network._core.to_torch()
    with pytest.raises(rtrl.ArgumentError, match="spectral limit: got .*without heads"):
        rtrl.Learner(network, spectral_limit=1.0)
    with pytest.raises(rtrl.ArgumentError, match="weight matrix: got 4 x 7, expected 4 x 5"):
        rtrl.Network(2, rtrl.Simple(4, heads_of=2, weights=np.zeros((4, 7))))
    with pytest.raises(TypeError, match="units of a head: got float, expected an integer"):
        rtrl.Network(2, rtrl.Simple(4, heads_of=2.0))
    with pytest.raises(TypeError):
        rtrl.GRU(4, 2)


@pytest.mark.filterwarnings("default")
def test_estimators_pass_heads_on():
    from sklearn.base import clone

    from rtrl.river import Classifier, Regressor
    from rtrl.sklearn import SequenceClassifier, SequenceRegressor

    layers = [rtrl.GRU(8, heads_of=2)]
    regressor, classifier = Regressor(layers=layers).clone(), Classifier(layers=layers).clone()
    for t in range(20):
        regressor.learn_one({"a": t % 3}, t % 2)
        classifier.learn_one({"a": t % 3}, "xyz"[t % 3])
    wave = np.sin(np.arange(60.0))
    fitted = [
        clone(SequenceRegressor(layers)).fit(wave[:, None], wave),
        clone(SequenceClassifier(layers)).fit(wave[:, None], wave > 0),
    ]
    for model in (regressor, classifier, *fitted):
        assert "GRU(8, heads_of=2)" in repr(model._learner)


def test_the_instruments_look_at_heads():
    network = rtrl.Network(2, rtrl.Simple(6, heads_of=2), readout=1, seed=1, dtype="float64")
    findings = rtrl.lab.inspect(network, task="xor-2", steps=200)
    assert findings.details["model"]["layers"][0]["heads_of"] == 2
    blocks = network.weights["layer0"][:, 3:].reshape(3, 2, 2)
    own = np.sort_complex(np.linalg.eigvals(blocks).ravel())
    assert abs(own - np.sort_complex(findings.eigenvalues)).max() < 1e-6
