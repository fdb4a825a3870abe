"""Ctrl-C at every moment of a run ends it, or the program, and never crashes it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.interrupts import interruptible, kept

RUN = """
    import signal, sys

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    import jax, numpy as np, jnn

    print("imported", flush=True)
    x = np.linspace(-1, 1, 50)[:, None]
    params = jnn.init_network_params([1, 8, 8, 8, 1], jax.random.key(0))
    print("drawn", flush=True)
    rows = [slice(i, i + 10) for i in range(0, 50, 10)]
    data = (x, x) if sys.argv[1] == "arrays" else lambda epoch: ((x[r], x[r]) for r in rows)
    result = jnn.fit(params, data, epochs=10**9, patience=10**9)
    print("fitted", result.stopped, result.epochs, flush=True)
    jnn.evaluate(result.params, (x, x), "mse")
    print("done", flush=True)
"""


@pytest.fixture
def ctrl_c_interrupts():
    """A process started in the background of a shell ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["arrays", "stream"])
@pytest.mark.parametrize("marker", ["imported", "drawn"])
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 0.4, 0.8, 1.5, 2.2, 3.0])
def test_ctrl_c_at_any_moment(source, marker, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith(marker):
            break
    time.sleep(seconds)
    out, err = ended_by_ctrl_c(process)
    if process.returncode == 0:  # it was within fit
        assert re.search(r"fitted interrupted \d+", out)
        assert out.endswith("done\n")
    else:  # before, where Python's KeyboardInterrupt ends a program
        assert process.returncode in (1, 130, -signal.SIGINT)
        assert "fitted" not in out
        assert err.rstrip().endswith("KeyboardInterrupt")
        assert "Segmentation" not in err


def ended_by_ctrl_c(process):
    """What it wrote.

    Python drops what is raised in a callback of its garbage collector, and JAX has such: a user
    presses again, then.
    """
    try:
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            try:
                return process.communicate(timeout=60)
            except subprocess.TimeoutExpired as late:
                said = late.stderr or b""
                assert b"Exception ignored in: <function _xla_gc_callback" in said, said
        raise AssertionError("Ctrl-C was dropped three times")
    finally:
        process.kill()


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_first_press_asks_and_the_second_interrupts(ctrl_c_interrupts):
    asked = []
    with contextlib.suppress(KeyboardInterrupt), interruptible() as interrupt:
        for _ in range(3):
            asked.append(interrupt.asked)
            press()
    assert asked == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("presses", [0, 1, 2, 3])
def test_what_is_held_is_finished_first(presses, ctrl_c_interrupts):
    finished = []
    with interruptible() as interrupt:
        try:
            with interrupt.held():
                for _ in range(presses):
                    press()
                finished.append(True)
        except KeyboardInterrupt:
            assert presses > 1
        else:
            assert presses <= 1
    assert finished
    assert interrupt.asked == (presses > 0)


@pytest.mark.parametrize("presses", [0, 1, 2])
def test_what_is_kept_interrupts_at_its_end(presses, ctrl_c_interrupts):
    finished = []
    try:
        with kept():
            for _ in range(presses):
                press()
            finished.append(True)
    except KeyboardInterrupt:
        assert presses
    else:
        assert not presses
    assert finished


def test_an_error_comes_before_what_was_kept(ctrl_c_interrupts):
    def fail():
        with kept():
            press()
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        fail()


def test_another_thread_and_another_handler_are_left_alone(ctrl_c_interrupts):
    before = signal.getsignal(signal.SIGINT)

    def elsewhere():
        with kept():
            seen.append(signal.getsignal(signal.SIGINT))

    seen = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append(os.getpid()))
    with kept():
        press()
    assert pressed == [os.getpid()]


def test_a_run_without_jit_is_interrupted_after_an_epoch(ctrl_c_interrupts):
    """Its first call does not only compile, as others' do: it runs, and Ctrl-C waits for it."""
    x = np.linspace(-1, 1, 8)[:, None]
    calls = []

    def loss(prediction, target):
        calls.append(True)
        if len(calls) == 2:  # the first is of shapes, before the run
            press()
        return jnp.mean((prediction - target) ** 2)

    with jax.disable_jit():
        start = jnn.from_layers([(1.0, 0.0)])
        result = jnn.fit(start, (x, x), loss=loss, epochs=1000, batch_size=8, progress=False)
    assert (result.stopped, result.epochs) == ("interrupted", 1)
