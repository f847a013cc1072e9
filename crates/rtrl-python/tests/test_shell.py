"""Files of the program `rtrl`, and files for it. `RTRL_PROGRAM` is the path of the program, which
must be there; without this variable, it is `target/debug/rtrl`, if that is there."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import rtrl

NAMED = os.environ.get("RTRL_PROGRAM")
PROGRAM = Path(NAMED) if NAMED else Path(__file__).parents[3] / "target/debug/rtrl"


@pytest.fixture
def program(tmp_path):
    """A function that runs the program in a temporary folder."""
    if not PROGRAM.exists():
        assert not NAMED, f"RTRL_PROGRAM: {PROGRAM} does not exist"
        pytest.skip(f"{PROGRAM} does not exist: `cargo build` makes it")

    def run(*arguments):
        command = [PROGRAM, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_checkpoints_and_models_of_the_program_are_read(program, tmp_path):
    wave = np.sin(0.3 * np.arange(400))
    series = "".join(f"{value}\n" for value in wave)
    (tmp_path / "wave.csv").write_text("x\n" + series)
    files = ["--save", "model", "--checkpoint", "checkpoint"]
    program("train", "wave.csv", "--target", "x", "--units", 6, *files)
    learner = rtrl.Learner.load(tmp_path / "checkpoint", name="network")
    network = rtrl.Network.load(tmp_path / "model")
    assert learner.steps > 300 and network.inputs == 1
    assert np.array_equal(learner.weights["layer0"], network.weights["layer0"])
    learner.step(np.zeros(learner.network.inputs), np.zeros(learner.network.outputs))
    with pytest.raises(rtrl.FormatError, match="got no learner"):
        rtrl.Learner.load(tmp_path / "checkpoint", name="other")
    with pytest.raises(rtrl.FormatError, match="several learners"):
        rtrl.Learner.load(tmp_path / "checkpoint")


def test_the_program_reads_models_of_the_package(program, tmp_path):
    network = rtrl.Network(2, rtrl.Simple(5), readout=1, seed=1)
    network.save(tmp_path / "model", {"made by": "a test"})
    assert "5 tanh units, 2 inputs" in program("inspect", "model")


def test_the_program_inspects_learners_of_the_package(program, tmp_path):
    """The weights are those that have been learnt."""
    network = rtrl.Network(2, rtrl.Simple(5), readout=1, seed=1, dtype="float64")
    learner = rtrl.Learner(network, rtrl.Adam(0.01), streams=2)
    learner.run(np.ones((50, 2, 2)), np.ones((50, 2, 1)))
    learner.save(tmp_path / "learner", {"made by": "a test"})
    shown = program("inspect", "learner", "--json", "findings.json")
    assert "5 tanh units, 2 inputs" in shown and "saved as f64" in shown
    findings = json.loads((tmp_path / "findings.json").read_text())
    values = np.array(
        [value["real"] + 1j * value["imaginary"] for value in findings["eigenvalues"]]
    )
    learnt, first = (np.linalg.eigvals(of.weights["layer0"][:, 3:]) for of in (learner, network))
    assert abs(np.sort_complex(values) - np.sort_complex(learnt)).max() < 1e-12
    assert abs(np.sort_complex(values) - np.sort_complex(first)).max() > 1e-3
