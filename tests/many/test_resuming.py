"""Checkpoints of many runs: what was interrupted goes on to the same bits."""

import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import jnn
from jnn.files.cadence import Checkpoint

X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
M = 6


def members(sizes=((1, 3, 1), (1, 4, 4, 1))):
    keys = jax.random.split(jax.random.key(3), M)
    return [jnn.init_network_params(sizes[i % len(sizes)], key) for i, key in enumerate(keys)]


OPTIONS = {
    "one order": {"learning_rate": np.geomspace(1e-3, 1e-1, M)},
    "orders, masks and rows of their own": {
        "key": jax.random.split(jax.random.key(1), M),
        "dropout_rate": np.linspace(0.0, 0.4, M),
        "validation": 0.25,
        "patience": np.arange(2, 2 + M),
        "watch": "state_std",
    },
    "in the order of the data": {"shuffle": False, "plateau": jnn.Plateau(patience=1)},
    "all rows, bfgs": {"optimizer": "bfgs"},
}


def assert_same(a, b):
    """To the bit, in all that does not depend on a clock."""
    assert a.history.keys() == b.history.keys()
    for name, column in a.history.items():
        np.testing.assert_array_equal(column, b.history[name], err_msg=name)
    for name in ("params", "last_params", "best_params", "optimizer_state"):
        leaves = [jax.tree.leaves(getattr(fits, name)) for fits in (a, b)]
        for one, other in zip(*leaves, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)
    np.testing.assert_array_equal(a.stopped, b.stopped)
    np.testing.assert_array_equal(a.best_epoch, b.best_epoch)


@pytest.mark.parametrize("case", OPTIONS)
@pytest.mark.parametrize("structures", [1, 2])
def test_sessions_end_in_the_bits_of_one_run(case, structures, tmp_path):
    networks = members(((1, 3, 1), (1, 4, 4, 1))[:structures])

    def run(epochs, **more):
        return jnn.fit_many(
            networks, (X, Y), epochs=epochs, progress=False, **OPTIONS[case], **more
        )

    whole = run(9)
    where = Checkpoint(tmp_path, every_epochs=2)
    run(3, checkpoint=where)
    run(7, checkpoint=where)
    last = run(9, checkpoint=where)
    assert last.resumed == (7 if "bfgs" not in case else last.resumed)
    assert_same(last, whole)
    assert_same(run(9, checkpoint=where), whole)  # nothing is left to do


def test_a_function_of_progress_sees_the_fits_so_far_and_stops_them(an_epoch_at_a_time, tmp_path):
    seen = []

    def look(fits):
        seen.append(int(fits.epochs.max()))
        return len(seen) == 3

    fits = jnn.fit_many(members(), (X, Y), epochs=9, progress=look, checkpoint=tmp_path)
    assert seen == [1, 2, 3]
    assert set(fits.stopped) == {"progress"}
    last = jnn.fit_many(members(), (X, Y), epochs=9, progress=False, checkpoint=tmp_path)
    assert last.resumed == 3
    assert_same(last, jnn.fit_many(members(), (X, Y), epochs=9, progress=False))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"learning_rate": np.full(M, 1e-3)}, "numbers learning_rate was absent, is "),
        ({"patience": 3}, "limits patience was null, is 3.0"),
        ({"batch_size": 10}, "batch_size was 32, is 10"),
        ({"optimizer": "sgd"}, "optimizer was"),
        ({"key": jax.random.key(8)}, "key"),
        ({"members": members()[::-1]}, "start was"),
        ({"members": members()[1:]}, "members was"),
    ],
)
def test_a_directory_of_other_runs_is_refused(other, message, tmp_path):
    options = {"members": members(), "epochs": 2, "checkpoint": tmp_path, "progress": False}
    jnn.fit_many(data=(X, Y), learning_rate=1e-2, **options)
    with pytest.raises(ValueError, match=message):
        jnn.fit_many(data=(X, Y), **({"learning_rate": 1e-2} | options | other))


def test_a_damaged_file_is_passed_over(tmp_path):
    whole = jnn.fit_many(members(), (X, Y), epochs=6, progress=False)
    where = Checkpoint(tmp_path, every_epochs=2)
    jnn.fit_many(members(), (X, Y), epochs=5, progress=False, checkpoint=where)
    newest = max(tmp_path.iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    with pytest.warns(UserWarning, match="is used instead"):
        last = jnn.fit_many(members(), (X, Y), epochs=6, progress=False, checkpoint=where)
    assert last.resumed == 4
    assert_same(last, whole)


PROGRAM = """
import hashlib, sys, jax, numpy as np, jnn
x = np.linspace(0.1, 3, 40)[:, None]
keys = jax.random.split(jax.random.key(3), 6)
sizes = [(1, 3, 1), (1, 4, 4, 1)]
members = [jnn.init_network_params(sizes[i % 2], key) for i, key in enumerate(keys)]
where = jnn.Checkpoint(sys.argv[1], every_epochs=40)
fits = jnn.fit_many(
    members, (x, np.log(x)), epochs=2000, key=keys, patience=10**6, progress=False, checkpoint=where
)
found = jax.tree.leaves((fits.params, list(fits.history.values())))
print(fits.resumed, hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in found)).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, pytest.param(6, marks=pytest.mark.exhaustive)])
def test_killed_and_interrupted_runs_end_in_the_same_bits(runs, tmp_path):
    """Five times each, at random moments: of six runs twenty kills and ten Ctrl-C."""
    draw = np.random.default_rng(runs)
    kinds = draw.permutation([signal.SIGKILL] * 20 + [signal.SIGINT] * 10).reshape(6, 5)

    def start(where):
        command = [sys.executable, "-c", PROGRAM, str(where)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end(process):
        out, _ = process.communicate(timeout=300)
        return out.split()

    whole = end(start(tmp_path / "whole"))
    for run in range(runs):
        where = tmp_path / str(run)
        for kind in kinds[run]:
            process = start(where)
            began = time.time()
            while not list(where.glob("epoch-*")) and time.time() < began + 120:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 1.0))
            process.send_signal(int(kind))
            process.wait(timeout=300)
            process.stdout.close()
        assert end(start(where))[-1] == whole[-1], run
