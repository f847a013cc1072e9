"""Threads, signals, forks and memory."""

import contextlib
import multiprocessing
import os
import signal
import threading
import weakref

import numpy as np
import pytest

import rtrl


def test_a_second_call_at_the_same_time_is_an_error(make):
    learner = make()
    inside, errors = threading.Event(), []

    def look(step, outputs):
        inside.set()
        try:
            learner.step([0.0, 0.0])
        except rtrl.CallError as error:
            errors.append(str(error))
        return [0.0, 0.0]

    learner.generate(3, look)
    assert inside.is_set()
    assert errors == ["got a call during another one, expected one call at a time"] * 3
    learner.step([0.0, 0.0])


def test_threads_get_right_results_or_a_clear_error(make, data):
    """Two threads share a learner; others have their own."""
    shared, expected = make(), make().run(*data).outputs
    results, failures = [], []

    def call():
        for _ in range(20):
            results.append(np.array_equal(make().run(*data).outputs, expected))
            try:
                shared.run(*data)
            except rtrl.CallError:
                failures.append(1)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80 and all(results)
    assert shared.steps == 200 * (80 - len(failures))


def test_other_threads_run_during_a_long_run(make):
    learner, long = make(), np.zeros((300_000, 2))
    counted, done = [0], threading.Event()

    def count():
        while not done.wait(1e-3):
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    learner.run(long)
    done.set()
    thread.join()
    assert counted[0] > 5


def test_ctrl_c_ends_a_long_run(make):
    learner, long = make(), np.zeros((50_000_000, 2), "float64")
    # A shell starts background jobs with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        learner.run(long)
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert 0 < learner.steps < len(long)
    learner.step([0.0, 0.0], [0.5])


def child(learner, data, queue):
    queue.put(learner.run(*data).outputs)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_learners_go_on_in_other_processes(data, method):
    """Also one with threads, which a fork does not copy."""
    learner = rtrl.Learner(rtrl.Network(2, 48, 1, seed=3), threads=2, engine="eager")
    learner.run(*data)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=child, args=(learner, data, queue))
    process.start()
    outputs = queue.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    assert np.array_equal(outputs, learner.run(*data).outputs)


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_a_million_calls_take_no_memory():
    network = rtrl.Network(1, [rtrl.Simple(2)], readout=1)
    learner, x, target = rtrl.Learner(network), np.zeros(1, "float32"), np.zeros(1, "float32")
    wide = np.zeros(1)

    def calls(count):
        for _ in range(count):
            learner.step(x, target)
        for _ in range(count // 10):
            learner.step(wide, None)
            learner.predict(x)
            with contextlib.suppress(rtrl.ArgumentError):
                learner.step([1.0, 2.0])
            assert learner.weights and learner.gradient

    calls(20_000)
    before = resident()
    calls(1_000_000)
    assert resident() - before < 4 << 20


def test_learners_are_freed(make):
    learner = make()
    alive = weakref.ref(learner)
    del learner
    assert alive() is None
