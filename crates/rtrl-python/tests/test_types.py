"""The annotations are complete, and a program that uses them passes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def mypy(*arguments):
    command = [sys.executable, "-m", "mypy", "--strict", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_package_passes_mypy():
    code, output = mypy("python/rtrl")
    assert code == 0, output


USE = """
import numpy as np
import rtrl

network = rtrl.Network(2, [rtrl.GRU(4), rtrl.LSTM(3)], readout=rtrl.Readout(1))
learner = rtrl.Learner(network, rtrl.Adam(1e-3), loss="squared", streams=1)
report = learner.step([0.0, 1.0], None)
total: float = report.loss
run = learner.run(np.zeros((3, 2)), np.zeros((3, 1)))
mean: float = float(run.losses.mean())
heads = rtrl.Learner(rtrl.Network(2, rtrl.GRU(8, heads_of=2, connections=None)))
states: int = heads.engine_plan().blocks[0].states
"""


@pytest.mark.parametrize("wrong", [False, True])
def test_a_program_is_checked(tmp_path, wrong):
    program = tmp_path / "program.py"
    program.write_text(USE + ('learner.step("text", streams=2)\n' if wrong else ""))
    code, output = mypy(str(program))
    assert (code != 0) == wrong, output


@pytest.mark.parametrize("wrong", [False, True])
def test_pyright_agrees(tmp_path, wrong):
    program = tmp_path / "program.py"
    program.write_text(USE + ('learner.step("text", streams=2)\n' if wrong else ""))
    options = ["--level", "error", "--pythonpath", sys.executable]
    command = [sys.executable, "-m", "basedpyright", *options, str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode != 0) == wrong, done.stdout + done.stderr


def test_stubs_name_what_the_module_has():
    command = [sys.executable, "-m", "mypy.stubtest", "rtrl._rtrl", "--ignore-missing-stub"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MYPYPATH": "python"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
