"""Threads, signals, forks and memory."""

import gc
import multiprocessing
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest

import memory
import rtrl
from rtrl import lab


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


def test_a_forecaster_takes_one_call_at_a_time(make, data):
    forecaster, long = rtrl.Forecaster(make()), 3000
    errors = []

    def call():
        for _ in range(long):
            try:
                forecaster.observe([0.0, 0.0], [0.5])
                forecaster.forecast()
            except rtrl.CallError as error:
                errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = forecaster.learner.steps + 1
    assert 2 * long - len(errors) <= taken <= 2 * long


def a_long_run(learner):
    learner.run(np.zeros((300_000, 2)))


def a_long_task(_):
    lab.task("recall").draw(3_000_000)


def a_long_free_run(_):
    rtrl.Learner(rtrl.Network(1, 4, readout=1)).forecast(200_000)


@pytest.mark.parametrize("call", [a_long_run, a_long_task, a_long_free_run])
def test_other_threads_run_during_a_long_call(make, call):
    learner = make()
    counted, done = [0], threading.Event()

    def count():
        while not done.wait(1e-3):
            counted[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    before = counted[0]
    call(learner)
    during = counted[0] - before
    done.set()
    thread.join()
    assert during > 5


ENDLESS = 50_000_000


def zero(outputs, targets):
    """A loss that teaches nothing."""
    return 0.0, 0 * outputs


def a_run(learner):
    learner.run(np.zeros((ENDLESS, 2)))


def a_run_with_an_observer(learner):
    learner.run(np.zeros((500_000, 2)), observers=[lambda *_: None])


def a_run_with_targets(learner):
    learner.run(np.zeros((ENDLESS // 10, 2)), np.zeros(ENDLESS // 10))


INTERRUPTED = {
    "run": a_run,
    "run with an observer": a_run_with_an_observer,
    "run with a loss": a_run_with_targets,
    "generate": lambda learner: learner.generate(ENDLESS, lambda *_: [0.0, 0.0]),
    "forecast": lambda _: rtrl.Learner(rtrl.Network(1, 4, readout=1)).forecast(ENDLESS),
    "draw": lambda _: lab.task("recall").draw(ENDLESS),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_ctrl_c_ends_a_long_call(make, name):
    learner = make(loss=zero if name == "run with a loss" else "squared")
    # An exception in the weak references of garbage would be lost.
    gc.collect()
    # A shell starts background jobs with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        INTERRUPTED[name](learner)
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert learner.steps < ENDLESS and (learner.steps > 0) == name.startswith("run")
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


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_during_a_run_leaves_no_deadlock(make):
    """In the child, the run of the other thread never ends, and its learner stays in that call."""
    learner, other = make(), make()
    thread = threading.Thread(target=learner.run, args=(np.zeros((1_000_000, 2)),))
    thread.start()
    while thread.is_alive() and not busy(learner):
        time.sleep(1e-4)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)
            other.step([0.0, 0.0], [0.5])
            if busy(learner) and other.steps == 1:
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join()
    assert learner.steps == 1_000_000


def busy(learner):
    """Whether the learner is in a call."""
    try:
        learner.describe()
    except rtrl.CallError:
        return True
    return False


LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")


@LINUX
@pytest.mark.parametrize("kind", [kind for kind in memory.KINDS if memory.RARER.get(kind, 1) < 100])
def test_calls_take_no_memory(kind):
    """Less than a block in four calls. ``memory.py`` makes more calls, and those of the slowest
    kinds as well."""
    calls = 10_000 // memory.RARER.get(kind, 1)
    with memory.made(kind) as call:
        grown, blocks, _ = memory.growth(call, calls)
    assert grown < 512 << 10 and blocks < calls // 4


@LINUX
def test_leaks_would_be_noticed():
    objects, buffers = [], []
    assert memory.growth(lambda: objects.append(object()), 1000)[1] > 900
    assert memory.growth(lambda: buffers.append(np.ones(64)), 10_000)[0] > 4 << 20


def test_learners_are_freed(make):
    learner = make()
    alive = weakref.ref(learner)
    del learner
    assert alive() is None
