"""Checkpoints of a run: stopped or killed and started again, it ends as if it had not been."""

import random
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import jax
import numpy as np
import optax
import oracles
import pytest

import jnn
from jnn.training import compiled

N = 24
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
START = oracles.network([2, 4, 4, 1])
OPTIONS = {
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "schedule": {"optimizer": "momentum", "learning_rate": optax.cosine_decay_schedule(0.1, 200)},
    "dropout, plateau, validation": {
        "dropout_rate": 0.2,
        "plateau": jnn.Plateau(patience=2),
        "validation": 0.25,
        "metrics": "r2",
    },
    "transformation": {"optimizer": optax.chain(optax.clip(1.0), optax.adamw(1e-2))},
    "lbfgs": {"optimizer": "lbfgs"},
    "bfloat16": {"backprop": jnn.Method(dtype="bfloat16")},
}
fit = partial(jnn.fit, START, (X, Y), progress=False)


def same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.asarray(p).tobytes() == np.asarray(q).tobytes() for p, q in leaves)


def assert_same(a, b):
    assert same((a.params, a.last_params, a.best_params), (b.params, b.last_params, b.best_params))
    assert same(a.history, b.history)
    assert (a.epochs, a.best_epoch, a.stopped) == (b.epochs, b.best_epoch, b.stopped)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_run_in_parts_is_the_run_at_once(options, tmp_path):
    whole = fit(epochs=30, **options)
    for epochs in (0, 7, 8, 30):
        parts = fit(epochs=epochs, checkpoint=tmp_path / "run", **options)
        assert parts.epochs == epochs
    assert parts.resumed == 8
    assert "resumed after epoch 8" in str(parts)
    assert_same(parts, whole)
    # finished: nothing is left to do
    again = fit(epochs=30, checkpoint=tmp_path / "run", **options)
    assert again.resumed == 30
    assert_same(again, whole)


def test_a_run_stopped_by_the_callback_goes_on(tmp_path):
    whole = fit(epochs=40)
    checkpoint = jnn.Checkpoint(tmp_path, every_epochs=5)
    first = fit(epochs=40, checkpoint=checkpoint, progress=lambda so_far: so_far.epochs >= 12)
    assert first.stopped == "progress"
    assert first.epochs == 15  # the callback is asked where chunks end, here at every checkpoint
    assert_same(fit(epochs=40, checkpoint=checkpoint), whole)


def test_patience_goes_on_counting(tmp_path):
    options = {"validation": 0.5, "patience": 6, "learning_rate": 0.05}
    whole = fit(epochs=500, **options)
    assert whole.stopped == "patience"
    fit(epochs=whole.epochs - 2, checkpoint=tmp_path, **options)
    assert_same(fit(epochs=500, checkpoint=tmp_path, **options), whole)
    assert_same(fit(epochs=600, checkpoint=tmp_path, **options), whole)  # stopped is stopped


def test_a_diverged_run_stays_so(tmp_path):
    options = {"optimizer": "sgd", "learning_rate": 50.0, "epochs": 500}
    with pytest.warns(RuntimeWarning, match="stopped being finite"):
        whole = fit(**options)
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="stopped being finite"):
            parts = fit(checkpoint=tmp_path, **options)
    assert_same(parts, whole)


def test_a_stream_goes_on_at_its_epoch(tmp_path):
    def batches(epoch):
        order = np.random.default_rng(epoch).permutation(N)
        return ((X[rows], Y[rows]) for rows in order.reshape(6, 4))

    run = partial(jnn.fit, START, progress=False)
    whole = run(batches, epochs=6)
    run(batches, epochs=2, checkpoint=tmp_path)
    assert_same(run(batches, epochs=6, checkpoint=tmp_path), whole)

    def once():
        for epoch in range(6):
            yield from batches(epoch)

    run(jnn.Stream(once(), 6), epochs=2, checkpoint=tmp_path / "once")
    assert_same(run(jnn.Stream(once(), 6), epochs=6, checkpoint=tmp_path / "once"), whole)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 8}, "batch_size was 32|batch_size"),
        ({"learning_rate": 0.5}, "learning_rate"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"loss": "mse"}, "loss"),
        ({"key": jax.random.key(7)}, "key"),
        ({"penalty": jnn.penalties.l2(0.1)}, "penalty"),
        ({"dropout_rate": 0.3}, "dropout_rate"),
        ({"validation": (X, Y)}, "validation"),
    ],
    ids=lambda c: next(iter(c)) if isinstance(c, dict) else "",
)
def test_the_checkpoints_of_another_run_are_refused(changed, message, tmp_path, monkeypatch):
    fit(epochs=2, checkpoint=tmp_path)
    before = sorted(p.read_bytes() for p in tmp_path.iterdir())
    monkeypatch.setattr(compiled, "run", None)
    with pytest.raises(ValueError, match=message):
        fit(epochs=4, checkpoint=tmp_path, **changed)
    with pytest.raises(ValueError, match="data"):
        jnn.fit(START, (X + 1, Y), epochs=4, checkpoint=tmp_path)
    assert before == sorted(p.read_bytes() for p in tmp_path.iterdir())


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(tmp_path):
    checkpoint = jnn.Checkpoint(tmp_path, every_epochs=4)
    whole = fit(epochs=20)
    fit(epochs=12, checkpoint=checkpoint)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    with pytest.warns(UserWarning, match=newest.name):
        result = fit(epochs=20, checkpoint=checkpoint)
    assert result.resumed == 8
    assert_same(result, whole)


def test_with_both_cadences_whichever_comes_first(tmp_path):
    def wait(_):
        time.sleep(0.12)
        return len(list(tmp_path.iterdir())) > 0

    checkpoint = jnn.Checkpoint(tmp_path, every_epochs=10**6, every_seconds=0.1)
    assert fit(epochs=10**6, checkpoint=checkpoint, progress=wait).stopped == "progress"


@pytest.mark.parametrize(
    ("reason", "first", "then"),
    [
        ("patience", {"patience": 2, "learning_rate": 0.05, "validation": 0.5}, {"patience": 400}),
        ("target", {"stop": jnn.Stop(target=0.2)}, {"stop": None}),
        ("tolerance", {"stop": jnn.Stop(tolerance=0.1)}, {"stop": None}),
    ],
)
def test_what_stopped_a_run_need_not_stop_it_with_other_limits(reason, first, then, tmp_path):
    stopped = fit(epochs=300, checkpoint=tmp_path, **first)
    assert stopped.stopped == reason
    again = fit(epochs=300, checkpoint=tmp_path, **first)
    assert (again.stopped, again.epochs) == (stopped.stopped, stopped.epochs)
    on = fit(epochs=stopped.epochs + 5, checkpoint=tmp_path, **{**first, **then})
    assert (on.stopped, on.epochs) == ("epochs", stopped.epochs + 5)


def test_seconds_are_those_of_all_sessions(tmp_path):
    first = fit(epochs=10**7, stop=jnn.Stop(seconds=0.3), checkpoint=tmp_path)
    again = fit(epochs=10**7, stop=jnn.Stop(seconds=0.3), checkpoint=tmp_path)
    assert (again.stopped, again.epochs) == ("seconds", first.epochs)


PROGRAM = textwrap.dedent("""
    import sys
    import jax, numpy as np, optax, jnn
    jax.config.update("jax_compilation_cache_dir", sys.argv[2])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    x, y = jnn.data.ripple(jax.random.key(0))
    params = jnn.init_network_params([1, 8, 8, 1], jax.random.key(1))
    checkpoint = jnn.Checkpoint(sys.argv[1], every_epochs=100, keep=3) if sys.argv[1] else None
    schedule = optax.cosine_decay_schedule(1e-2, 100000)
    result = jnn.fit(
        params, (x, y), learning_rate=schedule, batch_size=16, epochs=20000, validation=0.2,
        dropout_rate=0.05, metrics="r2", checkpoint=checkpoint, progress=False,
    )
    jnn.save(sys.argv[3], result.params)
    np.savez(sys.argv[3] + ".npz", **result.history)
""")


@pytest.mark.slow
def test_killed_at_thirty_random_moments_a_run_ends_bit_identical(tmp_path):
    """`kill -9` in start-up, compilation, training or writing, until it has struck thirty times."""
    cache = tmp_path / "cache"

    def start(directory, out):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, str(directory), str(cache), str(out)]
        )

    def contents(out):
        with np.load(f"{out}.npz") as history:
            leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(jnn.load(out))]
            return leaves, {name: history[name].tobytes() for name in history}

    def newest(directory):
        return max((path.name for path in directory.glob("epoch-*")), default="")

    for _ in range(2):  # the second time what was compiled is there
        begun = time.monotonic()
        assert start("", tmp_path / "whole").wait() == 0
        alone = time.monotonic() - begun
    moments, kills, in_training, finished = random.Random(0), 0, 0, 0
    directory = tmp_path / "run0"
    while kills < 30:
        before = newest(directory)
        process = start(directory, tmp_path / "parts")
        pause = moments.uniform(0.1, 1.0) * alone
        # every other one strikes in training: some time after the process has written something
        if kills % 2:
            while newest(directory) == before and process.poll() is None:
                time.sleep(0.01)
            pause = moments.uniform(0, 1)
        try:
            process.wait(timeout=pause)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            in_training += newest(directory) > before
        # it came to its end between two kills: compare, and begin another
        if process.returncode == 0:
            assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
            finished += 1
            directory = tmp_path / f"run{finished}"
        else:
            assert process.returncode == -signal.SIGKILL
    assert start(directory, tmp_path / "parts").wait() == 0
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    # the others struck while Python started, or while it compiled
    assert in_training >= 10, in_training
