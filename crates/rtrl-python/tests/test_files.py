"""Checkpoints, model files and pickles."""

import pickle

import numpy as np
import pytest

import rtrl


def continues(learner, twin, data):
    """Whether both have the same next 200 steps."""
    one, two = learner.run(*data), twin.run(*data)
    same = np.array_equal(one.outputs, two.outputs)
    return same and np.array_equal(learner.weights["layer0"], twin.weights["layer0"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["eager", rtrl.Deferred(7)])
def test_checkpoints_and_pickles_continue_bit_for_bit(make, data, tmp_path, dtype, engine):
    learner = make(dtype, engine=engine)
    learner.run(*data)
    learner.save(tmp_path / "learner.safetensors", {"of": ["anything", 1, None]})
    loaded = rtrl.Learner.load(str(tmp_path / "learner.safetensors"))
    pickled = pickle.loads(pickle.dumps(learner))
    assert continues(learner.copy(), loaded, data)
    assert continues(learner.copy(), pickled, data)
    assert not continues(learner.copy(), make(dtype, engine=engine), data)


def test_forecasters_continue_bit_for_bit(make, data, tmp_path):
    forecaster = rtrl.Forecaster(make(), 3)
    for row, label in zip(*data, strict=True):
        forecaster.observe(row, label)
    path = tmp_path / "forecaster.safetensors"
    forecaster.save(path)
    for twin in (rtrl.Forecaster.load(path), pickle.loads(pickle.dumps(forecaster))):
        assert np.array_equal(twin.forecast(), forecaster.forecast())
        other = forecaster.copy()
        for row, label in zip(*data, strict=True):
            one, two = other.observe(row, label), twin.observe(row, label)
            assert one.loss == two.loss
    with pytest.raises(rtrl.ArgumentError, match="checkpoint: got a forecaster's"):
        rtrl.Learner.load(path)


def test_networks_are_saved_and_pickled(make, data, tmp_path):
    learner = make(layers=[rtrl.LSTM(3), rtrl.Simple(2, leak=0.5)])
    learner.run(*data)
    network = learner.network
    network.save(tmp_path / "model.safetensors")
    for twin in (
        rtrl.Network.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(network)),
    ):
        assert np.array_equal(network.run(data[0]), twin.run(data[0]))
        assert all(np.array_equal(network.weights[key], twin.weights[key]) for key in twin.weights)


def test_missing_damaged_and_foreign_files_are_clear_errors(make, tmp_path):
    path = tmp_path / "learner.safetensors"
    with pytest.raises(rtrl.MissingFileError, match="No such file"):
        rtrl.Learner.load(path)
    with pytest.raises(FileNotFoundError):
        rtrl.Network.load(path)
    with pytest.raises(rtrl.FileError):
        make().save(tmp_path / "no folder" / "file")
    make().save(path)
    contents = path.read_bytes()
    with pytest.raises(rtrl.FormatError, match="expected a saved model"):
        rtrl.Network.load(path)
    for damaged in (b"", contents[:-1], contents[:2000] + b"!" + contents[2001:], b"\0" * 100):
        path.write_bytes(damaged)
        with pytest.raises(rtrl.FormatError):
            rtrl.Learner.load(path)


def test_pickles_and_copies_keep_the_number_of_threads(make):
    for learner in (make(threads=1), make(threads=2), make()):
        forecaster = rtrl.Forecaster(learner)
        for stored in (learner, forecaster, forecaster.learner):
            for twin in (stored.copy(), pickle.loads(pickle.dumps(stored))):
                assert twin._core.threads() == learner._core.threads()


@pytest.mark.parametrize("kind", ["learner", "forecaster", "network"])
def test_pickles_of_another_version_are_clear_errors(make, kind):
    learner = make()
    kinds = {"learner": learner, "forecaster": rtrl.Forecaster(learner), "network": learner.network}
    data = pickle.dumps(kinds[kind])
    assert data.count(b'\\"version\\":2') == 1
    with pytest.raises(rtrl.FormatError, match="version"):
        pickle.loads(data.replace(b'\\"version\\":2', b'\\"version\\":9'))
    with pytest.raises(rtrl.FormatError):
        pickle.loads(data.replace(b"recurrent.weight", b"recurrent.height"))
