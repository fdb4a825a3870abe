"""Streams: the run is that over arrays, memory stays bounded, wrong batches are refused."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial

import jax
import numpy as np
import oracles
import pytest

import jnn
from jnn.data import streams
from jnn.data.rows import check_rows

pytestmark = pytest.mark.table

N = 37
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
START = oracles.network([2, 3, 3, 1])
fit = partial(jnn.fit, optimizer="adam", learning_rate=0.01, progress=False)


class Batches:
    """An iterable that begins anew, in the order of the data, and counts how often it did."""

    def __init__(self, size, weights=None):
        self.size, self.weights, self.begun = size, weights, 0

    def __iter__(self):
        self.begun += 1
        for first in range(0, N, self.size):
            rows = slice(first, first + self.size)
            yield (
                (X[rows], Y[rows])
                if self.weights is None
                else (X[rows], Y[rows], self.weights[rows])
            )


def generator(size, epochs):
    for _ in range(epochs):
        yield from Batches(size)


def same(a, b):
    return all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, N)], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("size", [1, 5, 37])
@pytest.mark.parametrize("entries", [2**20, 20], ids=["one block", "small blocks"])
def test_the_same_batches_give_the_same_run(size, weights, entries, x64, monkeypatch):
    monkeypatch.setattr(streams, "_BLOCK_ENTRIES", entries)
    data, start = (X, Y) if weights is None else (X, Y, weights), oracles.network([2, 3, 3, 1])
    arrays = fit(
        start, data, batch_size=size, shuffle=False, epochs=4, validation=(X, Y), metrics="r2"
    )
    batches = Batches(size, weights)
    known = batches if weights is None else jnn.Stream(batches, mean_weight=weights.mean())
    stream = fit(start, known, epochs=4, validation=(X, Y), metrics="r2")
    assert batches.begun == 4
    assert oracles.apart(arrays.params, stream.params) < 1e-12
    for name, column in stream.history.items():
        np.testing.assert_allclose(column, arrays.history[name], rtol=1e-10, err_msg=name)
    assert "r2" not in stream.history  # training rows cannot be looked at again


def test_a_function_is_called_with_the_number_of_the_epoch():
    seen = []

    def batches(epoch):
        seen.append(epoch)
        return Batches(5)

    assert same(fit(START, batches, epochs=3).params, fit(START, Batches(5), epochs=3).params)
    assert seen == [0, 1, 2]


def test_an_iterator_is_cut_into_epochs():
    steps = -(-N // 5)
    result = fit(START, jnn.Stream(generator(5, 3), steps), epochs=3)
    assert same(result.params, fit(START, Batches(5), epochs=3).params)


def test_an_iterator_that_ends_early_ends_the_run():
    result = fit(START, jnn.Stream(generator(5, 2), 8), epochs=5)
    assert (result.epochs, result.stopped) == (2, "stream")
    assert "the stream ended" in str(result)


def test_steps_per_epoch_cuts_an_iterable_short():
    result = fit(START, jnn.Stream(Batches(5), 3), epochs=2)
    assert same(result.params, fit(START, lambda _: list(Batches(5))[:3], epochs=2).params)


def test_batches_may_grow():
    rows = [slice(0, 4), slice(4, 6), slice(6, 20), slice(20, N)]
    result = fit(START, lambda _: ((X[r], Y[r]) for r in rows), epochs=2)
    assert result.epochs == 2
    assert np.all(np.isfinite(result.history["loss"]))


def test_stopping_rules_hold_for_streams():
    arrays = fit(
        START,
        (X, Y),
        batch_size=5,
        shuffle=False,
        epochs=200,
        patience=1,
        stop=jnn.Stop(min_improvement=1e-3),
    )
    stream = fit(START, Batches(5), epochs=200, patience=1, stop=jnn.Stop(min_improvement=1e-3))
    assert (stream.epochs, stream.stopped) == (arrays.epochs, "patience")


def test_the_time_is_limited_within_an_epoch():
    def endless(epoch):
        while True:
            yield X[:5], Y[:5]

    before = threading.active_count()
    result = fit(START, endless, epochs=1, stop=jnn.Stop(seconds=0.3))
    assert result.stopped == "seconds"
    assert not same(result.params, START)
    assert threading.active_count() == before  # the reader has ended


def test_what_the_stream_raises_is_raised_and_the_reader_ends():
    def broken(epoch):
        yield X[:5], Y[:5]
        raise OSError("the disk is gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        fit(START, broken, epochs=2)
    assert threading.active_count() == before


def test_reading_ahead_is_bounded():
    read, taken = [], []

    def slow_check():
        taken.append(len(read))

    def batches(epoch):
        for i in range(40):
            read.append(i)
            yield X[:5], Y[:5]

    reader = streams.Reader(
        streams.Stream(batches), lambda batch, _: check_rows(START, batch, "mse")
    )
    reader._steps = lambda batch: 1
    with reader.epoch(0, lambda: False) as blocks:
        for _ in blocks:
            time.sleep(0.01)
            slow_check()
    assert len(taken) == 40
    assert max(ahead - i for i, ahead in enumerate(taken)) <= streams._AHEAD + 3


def test_a_loader_of_grain_is_a_stream():
    """What grain's DataLoader and PyTorch's are: iterables with a length, of NumPy arrays."""

    class Loader:
        def __len__(self):
            return 8

        def __iter__(self):
            return ([np.asarray(x), np.asarray(y)] for x, y in Batches(5))

    assert same(fit(START, Loader(), epochs=2).params, fit(START, Batches(5), epochs=2).params)


BAD = X[:5].copy()
BAD[2, 0] = np.nan
WRONG = [
    (
        lambda _: [(X[:5], Y[:5]), (X[:5, :1], Y[:5])],
        {},
        r"x of batch 2 of epoch 1 has shape \(5, 1\)",
    ),
    (lambda _: [(BAD, Y[:5])], {}, "x of batch 1 of epoch 1 holds NaN or infinity"),
    (
        lambda _: [X[:5]],
        {},
        r"batch 1 of epoch 1 must be \(x, y\) or \(x, y, weights\), got ndarray",
    ),
    (lambda _: [], {}, "the stream is empty"),
    (lambda _: 3, {}, "the stream's function must return an iterable of batches, got 3"),
    (
        generator(5, 1),
        {"epochs": 2},
        "generator is an iterator, whose batches come once, but epochs is 2",
    ),
    (Batches(5), {"batch_size": 5}, "batch_size belongs to arrays"),
    (Batches(5), {"class_weight": "balanced"}, r"write \(x, y, jnn.data.class_weights"),
    (Batches(5), {"validation": 0.2}, "validation=0.2 cannot be split off a stream"),
    (Batches(5), {"optimizer": "bfgs", "learning_rate": None}, "take all examples at every step"),
    (Batches(5), {"loss": lambda p, y: None}, "must return floating-point numbers"),
]


@pytest.mark.parametrize(("stream", "options", "message"), WRONG, ids=range(len(WRONG)))
def test_wrong_streams_are_refused(stream, options, message, as_a_user):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(START, stream, **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((Batches(5), 0), "steps_per_epoch is 0; it must be an integer of at least 1"),
        ((Batches(5), 2.0), "steps_per_epoch is 2.0; it must be an integer"),
        ((3,), r"batches is 3; it must be an iterable of \(x, y\), or a function"),
    ],
)
def test_what_is_not_a_stream_is_refused(given, message, as_a_user):
    with pytest.raises((ValueError, TypeError), match=message):
        jnn.Stream(*given)


def test_a_loss_that_is_not_finite_at_zero_meets_no_padding(x64):
    y = np.abs(Y) + 1
    options = {"loss": lambda p, y: ((p - y) / y) ** 2, "epochs": 3}
    arrays = fit(START, (X, y), batch_size=16, shuffle=False, **options)
    stream = fit(START, lambda _: [(X[i : i + 16], y[i : i + 16]) for i in (0, 16, 32)], **options)
    np.testing.assert_allclose(stream.history["loss"], arrays.history["loss"], rtol=1e-5)


def test_labels_of_every_integer_type_are_the_same():
    params, labels = oracles.network([2, 4, 300]), np.arange(N) % 7
    batches = [(X[:16], labels[:16].astype(np.int8)), (X[16:32], np.full(16, 299))]
    mixed = fit(params, lambda _: batches, loss="cross_entropy", epochs=1)
    plain = fit(
        params,
        lambda _: [(x, y.astype(np.int64)) for x, y in batches],
        loss="cross_entropy",
        epochs=1,
    )
    assert same(mixed.history, plain.history)
    two_kinds = [(X[:16], labels[:16]), (X[16:32], np.eye(300)[labels[16:32]])]
    with pytest.raises(
        ValueError, match=r"y is of two kinds in batches up to 2 .*: \(16,\) int32 and \(16, 300\)"
    ):
        fit(params, lambda _: two_kinds, loss="cross_entropy", epochs=1)


def slow_batches(epoch):
    for i in range(0, 35, 5):
        time.sleep(0.02)
        yield X[i : i + 5], Y[i : i + 5]


def test_a_stream_stopped_within_an_epoch_returns_the_best_and_has_written_the_last_whole_epoch(
    tmp_path,
):
    options = {"patience": 100, "validation": (X, Y)}
    result = fit(
        START,
        slow_batches,
        epochs=10**6,
        stop=jnn.Stop(seconds=0.65),
        checkpoint=tmp_path,
        **options,
    )
    assert result.stopped == "seconds"
    assert 1 <= result.epochs < 20
    whole = fit(START, slow_batches, epochs=result.epochs, **options)
    assert result.best_epoch == whole.best_epoch
    assert same(result.params, whole.params)  # those of the best epoch
    resumed = fit(START, slow_batches, epochs=result.epochs, checkpoint=tmp_path, **options)
    assert resumed.resumed == result.epochs
    assert same(resumed.last_params, whole.last_params)


def test_a_stream_that_diverges_within_an_epoch_returns_finite_parameters():
    def batches(epoch):
        while epoch or not (yield X[:5], Y[:5]):
            yield X[:5] * 1e3, Y[:5] * (1e10 if epoch else 1)
            if epoch == 0:
                return

    result = fit(
        START, batches, optimizer="sgd", learning_rate=1e-3, epochs=2, stop=jnn.Stop(seconds=0.6)
    )
    assert (result.stopped, result.epochs) == ("seconds", 1)
    assert all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves((result.params, result.best_params))
    )


@pytest.mark.slow
def test_a_stream_that_keeps_one_waiting_can_be_stopped():
    def stuck(epoch):
        yield X[:5], Y[:5]
        time.sleep(3)

    fit(START, lambda _: [(X[:5], Y[:5])], epochs=1)  # compiled
    begun = time.monotonic()
    result = fit(START, stuck, epochs=1, stop=jnn.Stop(seconds=0.3))
    assert time.monotonic() - begun < 5  # the reader is waited for
    assert result.stopped == "seconds"


def test_the_precision_of_the_caller_is_that_of_the_source(x64):
    seen = []

    def batches(epoch):
        seen.append(jax.numpy.ones(()).dtype)
        yield X[:5], Y[:5]

    fit(oracles.network([2, 3, 1]), batches, epochs=1)
    assert seen == [np.float64]


@pytest.mark.slow
def test_a_million_rows_stream_from_a_file_in_memory_that_does_not_grow_with_it(tmp_path):
    """1,000,000 × 100 float32 is 400 MB; what is held is there after a tenth of the rows.

    All threads take from one heap: where each has its own, how much of them lies empty is chance.
    """
    rows, path = 1_000_000, tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, 100))
    for first in range(0, rows, 10_000):
        x[first : first + 10_000] = np.random.default_rng(first).standard_normal((10_000, 100))
    del x
    program = textwrap.dedent("""
        import json, sys
        import jax, numpy as np, jnn
        x, held = np.load(sys.argv[1], mmap_mode="r"), []
        def anonymous():  # pages of the file do not count: the system takes them back at will
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            return int(status["RssAnon"].split()[0]) / 1024
        def batches(epoch):
            order = np.random.default_rng(epoch).permutation(len(x) // 500) * 500
            for i, first in enumerate(order):
                block = np.asarray(x[first : first + 500])
                if i % 20 == 0:
                    held.append(anonymous())
                yield block, block[:, :1] - 2 * block[:, 1:2]
        params = jnn.init_network_params([100, 16, 1], jax.random.key(0))
        result = jnn.fit(params, batches, loss="mse", learning_rate=1e-3, epochs=1, progress=False)
        assert result.history["loss"][0] < 5.5, result
        print(json.dumps(held))
    """)
    command = [sys.executable, "-c", program, str(path)]
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    held = json.loads(
        subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env=environment
        ).stdout
    )
    # MiB; -3 to 8 measured, of the 360 that are read from there on
    assert max(held[10:]) < max(held[:10]) + 20, held
