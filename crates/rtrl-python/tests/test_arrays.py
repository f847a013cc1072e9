"""What may be passed as an array, and what comes back."""

import subprocess
import sys

import numpy as np
import pytest

import rtrl


def same(make, x, targets, changed_x, changed_targets):
    """Whether two runs have the same bits."""
    a, b = make(), make()
    one, two = a.run(x, targets), b.run(changed_x, changed_targets)
    return np.array_equal(one.outputs, two.outputs) and np.array_equal(one.losses, two.losses)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_have_the_dtype_of_the_network(make, data, dtype):
    learner = make(dtype)
    x, targets = data
    run = learner.run(x, targets)
    assert run.outputs.dtype == run.losses.dtype == learner.dtype == dtype
    assert run.outputs.shape == (200, 1) and run.losses.shape == (200,)
    report = learner.step(x[0], targets[0])
    assert report.outputs.dtype == report.errors.dtype == dtype
    assert all(array.dtype == dtype for array in learner.weights.values())
    assert learner.state.dtype == learner.predict(x[0]).dtype == dtype


def test_layouts_do_not_matter(make, data):
    x, targets = data
    wide = np.zeros((400, 6))
    wide[::2, ::3] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    misaligned = np.frombuffer(b"." + x.tobytes(), dtype="u1")[1:].view("f8").reshape(x.shape)
    variants = {
        "fortran": np.asfortranarray(x),
        "strided": wide[::2, ::3],
        "reversed": x[::-1].copy()[::-1],
        "read-only": read_only,
        "big-endian": x.astype(">f8"),
        "misaligned": misaligned,
        "list": x.tolist(),
        "objects": x.astype(object),
    }
    for name, changed in variants.items():
        assert same(make, x, targets, changed, targets), name
    rounded = x.astype("float32")
    assert same(make, rounded.astype("float64"), targets, rounded, targets)
    whole = np.arange(400).reshape(200, 2) % 2
    assert same(make, whole.astype(float), targets, whole, targets)
    assert same(make, whole.astype(float), targets, whole.astype(bool), targets)


def test_one_number_needs_no_axis():
    learner = rtrl.Learner(rtrl.Network(1, [4], readout=1))
    learner.step(0.5, 0.25)
    learner.step([0.5], np.float32(0.25))
    assert learner.run(np.zeros(7), np.zeros(7)).outputs.shape == (7, 1)
    assert learner.run(np.zeros((0, 1)), np.zeros(0)).outputs.shape == (0, 1)
    assert learner.predict(0.5).shape == (1,)
    assert learner.predict(np.zeros(3)).shape == (3, 1)


def test_predictions_keep_the_axis_of_the_steps(make, data):
    learner = make()
    for steps in (0, 1, 2):
        assert learner.predict(data[0][:steps]).shape == (steps, 1)
    assert learner.predict(data[0][0]).shape == (1,)
    narrow = rtrl.Learner(rtrl.Network(1, 4, readout=1))
    assert narrow.predict(np.zeros((1, 1))).shape == (1, 1)
    with pytest.raises(rtrl.ArgumentError, match=r"input: got shape \(1, 3\), expected \(2,\)"):
        learner.predict(np.zeros((1, 3)))


def test_missing_targets_are_none_nan_or_masked(make, data):
    x, targets = data
    missing = np.arange(200) % 3 == 0
    as_nan = np.where(missing[:, None], np.nan, targets)
    as_mask = np.ma.masked_array(targets, mask=missing[:, None])
    as_none = as_nan.astype(object)
    as_none[missing] = None
    for name, changed in {"mask": as_mask, "none": as_none}.items():
        assert same(make, x, as_nan, x, changed), name
    a, b = make(), make()
    a.run(x, as_nan)
    for row, target, absent in zip(x, targets, missing, strict=True):
        b.step(row, None if absent else target)
    assert np.array_equal(a.weights["layer0"], b.weights["layer0"])
    assert a.updates == (~missing).sum()
    assert not same(make, x, as_nan, x, targets)


BAD = {
    "wrong length": (np.zeros(3), rtrl.ArgumentError, r"input: got shape \(3,\), expected \(2,\)"),
    "empty": (np.zeros(0), rtrl.ArgumentError, r"shape \(0,\)"),
    "too many axes": (np.zeros((1, 1, 2)), rtrl.ArgumentError, r"\(1, 1, 2\)"),
    "complex": (np.zeros(2, complex), rtrl.DtypeError, "dtype complex128"),
    "text": (np.array(["a", "b"]), rtrl.DtypeError, "dtype <U1"),
    "dates": (np.zeros(2, "M8[s]"), rtrl.DtypeError, "dtype datetime64"),
    "objects": ([object(), 1.0], rtrl.DtypeError, "array of objects"),
    "ragged": ([[1.0], [1.0, 2.0]], rtrl.ArgumentError, "input"),
    "nan": (
        [0.0, np.nan],
        rtrl.ArgumentError,
        "step 0, input 1: got NaN, expected a finite number",
    ),
    "infinite": ([np.inf, 0.0], rtrl.ArgumentError, "input 0: got inf"),
    "none": (None, rtrl.Error, "input"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_inputs_are_refused_and_change_nothing(make, name):
    value, kind, message = BAD[name]
    learner = make()
    before = learner.weights
    with pytest.raises(kind, match=message):
        learner.step(value, [0.5])
    assert learner.steps == 0
    assert all(np.array_equal(before[key], array) for key, array in learner.weights.items())


def test_targets_are_checked_like_inputs(make):
    learner = make()
    for target in (np.zeros(2), [np.inf], ["a"], np.zeros(0)):
        with pytest.raises(rtrl.Error, match="target"):
            learner.step([0.0, 0.0], target)
    with pytest.raises(rtrl.ArgumentError, match="target of a run: got 2 values, expected 3"):
        learner.run(np.zeros((3, 2)), np.zeros((2, 1)))
    with pytest.raises(rtrl.ArgumentError, match="step 40 of the run: step 40, input 1: got inf"):
        x = np.zeros((50, 2))
        x[40, 1] = np.inf
        learner.run(x)
    assert learner.steps == 40


def test_results_are_copies(make, data):
    learner = make()
    report = learner.step(data[0][0], data[1][0])
    for array in (report.outputs, learner.weights["layer0"], learner.state):
        array += 1
    learner.step(data[0][1])
    assert np.abs(learner.weights["layer0"]).max() < 3 and np.abs(learner.state).max() < 1


BEYOND_RESULTS = """
import sys

import numpy as np

import rtrl


def peak():
    # `ru_maxrss` starts with the peak of the process that started this one.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


dtype, layout = sys.argv[1:]
shape = (64 << 20) // (128 * np.dtype(dtype).itemsize), 128


def rows():
    if layout == "strided":
        return np.ones((shape[0], 256), dtype)[:, ::2]
    return np.ones(shape, dtype, order=layout)


learner = rtrl.Learner(rtrl.Network(128, 1, readout=128, dtype=dtype), rtrl.SGD(1e-6))
x, targets = rows(), rows()
learner.run(x[:9], targets[:9])
before = peak()
run = learner.run(x, targets)
print(peak() - before - run.outputs.nbytes - run.losses.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_arrays_without_gaps_are_not_copied(dtype, layout):
    """Peak memory of a run of 64 MB of inputs and 64 MB of targets. Other layouts are copied."""
    command = [sys.executable, "-c", BEYOND_RESULTS, dtype, layout]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    beyond = int(done.stdout) / (64 << 20)
    assert beyond < 0.1 if layout == "C" else beyond > 1.9
