"""Checkpoints: a state comes back to the bit; damaged ones are passed over, others' refused."""

import dataclasses
import errno
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies

import jnn
from jnn.files import atomic, cadence, checkpoints, sealed
from jnn.files.checkpoints import Checkpoint, latest, write
from jnn.files.sealed import DTYPES, host, seal, unseal

ROOT = Path(__file__).parents[2]
SETTINGS = {"sizes": [2, 3, 1], "batch_size": 32, "optimizer": "adam", "learning_rate": None}
RECORD = {"epoch": 7, "seconds": 0.1}
NAMES = [d.name for d in DTYPES.values()]


def bits(tree):
    arrays = [host(leaf) for leaf in jax.tree.leaves(tree)]
    return [(a.dtype, a.shape, a.tobytes()) for a in arrays]


def a_state():
    params = jnn.init_network_params([2, 3, 3, 1], jax.random.key(0))
    return {
        "params": params,
        "optimizer": optax.adam(1e-3).init(params),
        "best": params,
        "key": jax.random.key(3),
    }


@pytest.fixture
def where(tmp_path):
    return Checkpoint(tmp_path / "run")


def written(where, *epochs):
    """Checkpoints of a small state, whose one array says which epoch it is of."""
    return [
        write(where, n, {"n": np.int32([n])}, SETTINGS, RECORD, {"loss": np.ones(n)})
        for n in epochs
    ]


def found(where, **changed):
    return latest(where, {"n": np.int32([0])}, SETTINGS | changed)


def epochs(where):
    return sorted(int(path.name[6:18]) for path in Path(where.directory).glob("epoch-*"))


def test_the_state_of_a_run_comes_back_to_the_bit_and_in_the_same_tree(where):
    state, history = (
        a_state(),
        {"loss": np.float32([0.5, np.nan]), "validation/loss": np.zeros((0, 2))},
    )
    path = write(where, 7, state, SETTINGS, RECORD, history)
    again = latest(where, state, SETTINGS)
    assert (again.epoch, again.record, again.path) == (7, RECORD, path)
    assert path == Path(where.directory) / "epoch-000000000007.safetensors"
    assert jax.tree.structure(again.tree) == jax.tree.structure(state)
    assert bits(again.tree) == bits(state)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(again.tree))
    assert bits(again.history) == bits(history)
    assert again.history.keys() == history.keys()
    assert (jax.random.normal(again.tree["key"]) == jax.random.normal(state["key"])).item()


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4)], ids=str)
def test_every_dtype_and_shape_comes_back_to_the_bit(where, x64, dtype, shape):
    raw = np.random.default_rng(0).integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    a = raw[..., :1] > 127 if dtype == "bool" else raw.view(dtype)
    a = a.reshape(shape)
    write(where, 0, (jnp.array(a), a), SETTINGS, {}, {"a": a})
    again = latest(where, (jnp.array(a), a), SETTINGS)
    assert bits((again.tree, again.history)) == bits(((a, a), {"a": a}))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_nan_keeps_its_payload_and_zero_its_sign(where, x64, dtype):
    size = np.dtype(dtype).itemsize
    ones = (1 << (8 * size)) - 1
    quiet, negative = ones >> 1, ones  # NaN with every bit of the payload set
    patterns = np.array([0, 1, 1 << (8 * size - 1), quiet, negative, quiet - 5], f"u{size}").view(
        dtype
    )
    write(where, 0, jnp.array(patterns), SETTINGS, {}, {})
    assert bits(latest(where, patterns, SETTINGS).tree) == bits(patterns)


@pytest.mark.slow
@given(strategies.data())
@settings(deadline=None, max_examples=50)
def test_any_tree_comes_back(tmp_path_factory, data):
    leaf = strategies.builds(
        lambda name, shape, seed: np.random.default_rng(seed).integers(0, 2, shape).astype(name),
        strategies.sampled_from(
            [name for name in NAMES if name not in ("float64", "int64", "uint64")]
        ),
        strategies.sampled_from([(), (0,), (2, 3)]),
        strategies.integers(0, 99),
    )
    inner = strategies.recursive(
        leaf,
        lambda t: strategies.lists(t) | strategies.dictionaries(strategies.text(), t),
        max_leaves=8,
    )
    tree = data.draw(inner)
    where = Checkpoint(tmp_path_factory.mktemp("run"))
    write(where, 0, tree, SETTINGS, {}, {})
    again = latest(where, tree, SETTINGS).tree
    assert bits(again) == bits(tree)
    assert jax.tree.structure(again) == jax.tree.structure(tree)


VALUE = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**200), 2**200)
    | strategies.floats(allow_nan=False),
    lambda values: strategies.lists(values) | strategies.dictionaries(strategies.text(), values),
    max_leaves=8,
)


@pytest.mark.slow
@given(strategies.dictionaries(strategies.text(), VALUE))
@settings(deadline=None, max_examples=50)
def test_settings_and_record_come_back_exactly(tmp_path_factory, values):
    where = Checkpoint(tmp_path_factory.mktemp("run"))
    write(where, 0, (), values, values, {})
    again = latest(where, (), values).record
    assert repr(again) == repr(values)  # 1 and 1.0, 0.0 and −0.0 are told apart


def test_a_generator_goes_on_where_it_was(where):
    generator = jnn.data.host_generator(jax.random.key(0))
    generator.integers(9, dtype=np.int32)  # half of a draw is in the state then
    write(
        where,
        0,
        (),
        SETTINGS,
        {"generator": generator.bit_generator.state, "nan": np.nan, "best": np.float32(0.1)},
        {},
    )
    record = latest(where, (), SETTINGS).record
    again = np.random.default_rng()
    again.bit_generator.state = record["generator"]
    assert (
        again.integers(9, size=9, dtype=np.int32) == generator.integers(9, size=9, dtype=np.int32)
    ).all()
    assert record["nan"] != record["nan"]
    assert np.float32(record["best"]) == np.float32(0.1)


def test_arrays_in_any_memory_and_byte_order(where):
    a = np.arange(6, dtype=">f4").reshape(2, 3)
    write(where, 0, (a, a.T, a[:, ::2]), SETTINGS, {}, {"a": a.T})
    again = latest(where, (a, a.T, a[:, ::2]), SETTINGS)
    assert bits(again.tree) == bits((a, a.T, a[:, ::2]))
    assert bits(again.history) == bits([a.T])
    again.history["a"][0] = 1  # may be written to


def test_what_is_found_does_not_recompile(where):
    traces = []

    @jax.jit
    def step(state):
        traces.append(1)
        return jax.tree.map(lambda leaf: leaf, state)

    state = step(step(a_state()))
    write(where, 1, state, SETTINGS, RECORD, {})
    step(latest(where, state, SETTINGS).tree)
    assert traces == [1]


def test_what_is_found_may_be_donated(where):
    a = np.arange(1e5, dtype="f4")
    write(where, 1, [a, a], SETTINGS, RECORD, {"a": a})
    again = latest(where, [a, a], SETTINGS)
    doubled = jax.jit(lambda tree: [2 * leaf for leaf in tree], donate_argnums=0)(again.tree)
    assert bits(doubled) == bits([2 * a, 2 * a])
    assert bits(again.history) == bits([a])
    assert bits(latest(where, [a, a], SETTINGS).tree) == bits([a, a])


def test_keys_of_every_kind_and_batches_of_them(where):
    keys = [
        jax.random.key(1, impl="rbg"),
        jax.random.split(jax.random.key(2), (2, 3)),
        jax.random.PRNGKey(3),
    ]
    write(where, 0, keys, SETTINGS, {}, {})
    again = latest(where, keys, SETTINGS).tree
    assert [key.dtype for key in again] == [key.dtype for key in keys]
    assert bits(again) == bits(keys)
    with pytest.raises(
        ValueError, match=r"an array of its state was \[0\] key<rbg> \[\], is \[0\] key<fry> \[\]"
    ):
        latest(where, [jax.random.key(1), *keys[1:]], SETTINGS)


# Where, how often, how many.


@pytest.mark.parametrize("directory", ["run", Path("run")])
def test_a_path_is_the_default_checkpoint(directory):
    where = cadence.resolve(directory)
    assert where == Checkpoint(directory, every_epochs=None, every_seconds=30.0, keep=3)
    assert cadence.resolve(where) is where


def test_one_cadence_leaves_the_other_out(as_a_user):
    assert Checkpoint("run", every_epochs=5).every_seconds is None
    assert Checkpoint("run", every_seconds=5).every_epochs is None
    assert dataclasses.replace(Checkpoint("run", every_epochs=5), keep=np.int64(1)).keep == 1


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"directory": 3}, TypeError, "directory is 3; it must be a path, 'runs/a'"),
        (
            {"directory": ""},
            ValueError,
            "directory is ''; it must be a non-empty path that is not a file",
        ),
        (
            {"directory": __file__},
            ValueError,
            "test_checkpoints.py'; it must be a non-empty path that is not a file",
        ),
        ({"keep": 0}, ValueError, "keep is 0; it must be an integer of at least 1"),
        ({"keep": True}, TypeError, "keep is True; it must be an integer"),
        ({"keep": None}, TypeError, "keep is None; it must be an integer"),
        ({"keep": 1.5}, TypeError, "keep is 1.5; it must be an integer"),
        ({"every_epochs": 0}, ValueError, "every_epochs is 0; it must be an integer of at least 1"),
        ({"every_epochs": "5"}, TypeError, "every_epochs is '5'; it must be an integer"),
        (
            {"every_seconds": 0},
            ValueError,
            "every_seconds is 0; it must be finite and above 0",
        ),
        ({"every_seconds": -1.0}, ValueError, "every_seconds is -1.0; it must"),
        ({"every_seconds": np.nan}, ValueError, "every_seconds is nan; it must"),
        ({"every_seconds": np.inf}, ValueError, "every_seconds is inf; it must"),
        ({"every_seconds": "5"}, TypeError, "every_seconds is '5'; it must"),
    ],
)
def test_an_impossible_checkpoint_is_refused(as_a_user, wrong, error, message):
    with pytest.raises(error, match=message):
        Checkpoint(**{"directory": "run"} | wrong)


@pytest.mark.parametrize("keep", [1, 2, 3, 10])
def test_the_newest_stay(tmp_path, keep):
    where = Checkpoint(tmp_path, keep=keep)
    for n in (1, 2, 5, 9, 10, 11):
        written(where, n)
        assert found(where).epoch == n
    assert epochs(where) == [1, 2, 5, 9, 10, 11][-keep:]


def test_the_same_epoch_is_replaced_and_later_ones_stay_until_they_are_passed(tmp_path):
    where = Checkpoint(tmp_path, keep=1)
    for n, left in [(50, [50]), (10, [10, 50]), (10, [10, 50]), (60, [60])]:
        written(where, n)
        assert epochs(where) == left


def test_what_is_not_ours_stays(tmp_path):
    where = Checkpoint(tmp_path, keep=1)
    others = [
        "epoch-1.safetensors",
        "epoch-000000000001.safetensors.bak",
        "my.tmp",
        ".abc.tmp",
        "net.safetensors",
    ]
    others += ["epoch-00000000000١.safetensors", ".0123456789ABCDEF.tmp", ".0123456789abcdef.tmp.x"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / "epoch-000000000002.safetensors").mkdir()
    written(where, 5, 6)
    assert {path.name for path in tmp_path.iterdir()} == {
        *others,
        "epoch-000000000002.safetensors",
        "epoch-000000000006.safetensors",
    }
    assert found(where).epoch == 6


def test_what_a_killed_write_left_goes_once_it_is_old(where):
    (path,) = written(where, 1)
    old, young = (path.parent / f".{digit * 16}.tmp" for digit in "ab")
    for leftover, age in (
        (old, 2 * atomic.STALE_SECONDS),
        (young, atomic.STALE_SECONDS / 2),
    ):
        leftover.write_bytes(b"half")
        os.utime(leftover, (time.time() - age,) * 2)
    written(where, 2)
    assert young.exists()
    assert not old.exists()


def test_the_directory_and_its_parents_are_made(tmp_path):
    where = Checkpoint(tmp_path / "runs" / "a")
    assert found(where) is None
    written(where, 0)
    assert found(where).epoch == 0


def test_where_there_is_nothing_nothing_is_found(tmp_path):
    (tmp_path / "notes").write_text("mine")
    assert found(Checkpoint(tmp_path)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


# Damage.


def damaged(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_the_one_before_a_damaged_one_is_used(where):
    paths = written(where, 1, 2, 3)
    damaged(paths[2])
    message = (
        r"run were refused, epoch-0+3.safetensors: damaged: .* checksum says; "
        r"epoch-0+2.safetensors is used instead"
    )
    with pytest.warns(UserWarning, match=message):
        assert found(where).epoch == 2
    damaged(paths[1])
    with pytest.warns(
        UserWarning,
        match=r"epoch-0+3.*damaged.*epoch-0+2.*damaged.*; epoch-0+1.safetensors is used",
    ):
        assert found(where).tree["n"].item() == 1
    damaged(paths[0])
    with pytest.warns(
        UserWarning, match=r"epoch-0+3.*epoch-0+1.*damaged.*; none is left, the run begins anew$"
    ):
        assert found(where) is None


def test_truncated_anywhere_it_is_refused(where):
    _, path = written(where, 1, 2)
    data = path.read_bytes()
    for length in [*range(0, len(data), 5), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.warns(
            UserWarning, match="damaged: .*; epoch-000000000001.safetensors is used instead"
        ):
            assert found(where).epoch == 1


def test_what_the_disk_cannot_read_is_passed_over_but_not_what_rights_forbid(where, monkeypatch):
    _, path = written(where, 1, 2)

    def fails_with(number):
        def fail(asked):
            if asked == path:
                raise OSError(number, os.strerror(number), str(asked))
            return sealed.read(asked)

        monkeypatch.setattr(checkpoints, "read", fail)

    fails_with(errno.EIO)
    with pytest.warns(
        UserWarning, match="damaged: .*Input/output error.* epoch-0+1.safetensors is used instead"
    ):
        assert found(where).epoch == 1
    fails_with(errno.EACCES)
    with pytest.raises(PermissionError, match="epoch-000000000002"):
        found(where)


def test_a_file_deleted_while_looking_is_not_missed(where, monkeypatch):
    """Another process has put a newer one in its place by then."""
    (path,) = written(where, 1)

    def deleted(asked):
        if asked == path and asked.exists():
            written(where, 2)
            asked.unlink()
        return sealed.read(asked)

    monkeypatch.setattr(checkpoints, "read", deleted)
    assert found(where).epoch == 2


# Other runs.


def test_other_settings_are_named(where):
    written(where, 1)
    message = (
        "run holds checkpoints of another run: batch_size was 32, is 50; give another directory, or"
    )
    with pytest.raises(ValueError, match=message):
        found(where, batch_size=50)
    assert epochs(where) == [1]


def test_another_tree_is_named(where):
    written(where, 1)
    message = r"run holds .* an array of its state was \['n'\] int32 \[1\], is \['n'\] uint32 \[1\]"
    with pytest.raises(ValueError, match=message):
        latest(where, {"n": np.uint32([0])}, SETTINGS)


def test_a_foreign_one_is_passed_over_where_there_is_another(where):
    written(where, 1)
    write(where, 2, {"n": np.int32([2])}, SETTINGS | {"batch_size": 8}, RECORD, {})
    with pytest.warns(
        UserWarning,
        match=r"epoch-0+2.safetensors: batch_size was 8, is 32; .*; epoch-0+1.safetensors is us",
    ):
        assert found(where).epoch == 1


def test_a_foreign_one_among_damaged_ones_stops_the_run(where):
    _, path = written(where, 1, 2)
    damaged(path)
    with pytest.raises(
        ValueError, match=r"batch_size was 32, is 8; .* \(epoch-0+1.safetensors; 1 more refused\)$"
    ):
        found(where, batch_size=8)


@pytest.mark.parametrize("texts", [{"version": "2"}, {"format": "other"}])
def test_another_format_is_refused_and_not_begun_over(where, texts):
    (path,) = written(where, 1)
    known, arrays = unseal(path.read_bytes())
    path.write_bytes(seal(arrays, known | texts))
    with pytest.raises(
        ValueError,
        match=r"of another run: it is of format .*, this jnn reads jnn.checkpoint 1; update jnn",
    ):
        found(where)


def test_float64_is_never_cut(where):
    with jax.enable_x64(True):
        write(where, 1, {"n": jnp.ones(2)}, SETTINGS, {}, {})
    with pytest.raises(
        ValueError,
        match=r"another run: it holds float64, .*jax_enable_x64', True\) first, or give another",
    ):
        latest(where, {"n": jnp.ones(2)}, SETTINGS)
    for refuse in (
        lambda a: write(where, 2, a, SETTINGS, {}, {}),
        lambda a: latest(where, a, SETTINGS),
    ):
        with pytest.raises(
            TypeError, match=r"leaf \['n'\] is int64, which JAX would cut while x64 is off"
        ):
            refuse({"n": np.zeros(2, int)})
    assert epochs(where) == [1]


# What cannot be written.


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"epoch": -1}, ValueError, "epoch is -1; it must be an integer of at least 0"),
        ({"epoch": 1.0}, TypeError, "epoch is 1.0; it must be an integer"),
        (
            {"settings": {"loss": max}},
            TypeError,
            "settings must be names and JSON values .*: .*tolist",
        ),
        ({"record": {"a": {1, 2}}}, TypeError, "record must be names and JSON values"),
        (
            {"tree": [np.zeros(2, complex)]},
            TypeError,
            "cannot hold {'tree.0': 'complex128'}; it holds float16, .*bfloat16",
        ),
        ({"tree": ["text"]}, TypeError, "cannot hold {'tree.0': 'str"),
        ({"history": {"a": np.array([None])}}, TypeError, "cannot hold {'history.a': 'object'}"),
    ],
)
def test_what_is_no_state_is_refused(as_a_user, where, changed, error, message):
    default = {"epoch": 1, "tree": (), "settings": SETTINGS, "record": RECORD, "history": {}}
    with pytest.raises(error, match=message):
        write(where, **default | changed)
    assert not Path(where.directory).exists()


@pytest.mark.parametrize("at", ["os.fsync", "os.replace"])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError("no reason"), KeyboardInterrupt()],
    ids=repr,
)
def test_an_interrupted_write_leaves_the_earlier_ones_and_nothing_else(
    where, monkeypatch, at, error
):
    written(where, 1, 2, 3)
    before = {path.name: path.read_bytes() for path in Path(where.directory).iterdir()}

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "replace") if at == "os.replace" else (os, "fsync")), fail)
        with pytest.raises(type(error)) as raised:
            written(where, 4)
    if isinstance(error, OSError):
        reason = error.strerror or "no reason"
        assert (
            f"the checkpoint of epoch 4 was not written ({reason}), earlier ones stay; make room"
            in str(raised.value)
        )
        assert raised.value.errno == error.errno
        assert raised.value.filename == str(
            Path(where.directory) / "epoch-000000000004.safetensors"
        )
    assert {path.name: path.read_bytes() for path in Path(where.directory).iterdir()} == before
    written(where, 4)
    assert found(where).epoch == 4


# A process that may not write files of more than 100,000 bytes.
LIMITED = """
import resource, signal, sys
import numpy as np
from jnn.files.checkpoints import Checkpoint, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
write(Checkpoint(sys.argv[1]), 2, np.zeros(99_999, "f4"), {}, {}, {})
"""


@pytest.mark.slow
def test_a_full_disk(where):
    written(where, 1)
    command = [sys.executable, "-c", LIMITED, str(where.directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (
        "OSError: [Errno 27] the checkpoint of epoch 2 was not written (File too large)"
        in done.stderr
    )
    assert [path.name for path in Path(where.directory).iterdir()] == [
        "epoch-000000000001.safetensors"
    ]
    assert found(where).epoch == 1


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        OSError, match=r"epoch 1 was not written \(Not a directory\), .*file/run/epoch-0"
    ):
        written(Checkpoint(tmp_path / "file" / "run"), 1)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_directory_without_the_right_to_write(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match=r"epoch 1 was not written \(Permission denied\)"):
        written(Checkpoint(tmp_path / "locked"), 1)


def test_a_file_system_that_cannot_sync_a_directory(where, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "open", refuse)
    written(where, 1, 2, 3, 4)
    assert epochs(where) == [2, 3, 4]


# Forks once JAX is imported and before it starts threads, so that a writer is there at once.
WRITER = """
import os, sys
import numpy as np
from jnn.files.checkpoints import Checkpoint, write
where = Checkpoint(sys.argv[1], keep=2)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        first = int(line)
        for n in range(first, first + 5000):
            state = {"n": np.full(50_000, n, np.int32)}
            write(where, n, state, {}, {"epoch": n}, {"loss": np.ones(n - first)})
        os._exit(0)
    print(child, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes that fork here")
def test_a_writer_killed_at_any_moment_leaves_a_directory_that_reads(where):
    command, delays = [sys.executable, "-c", WRITER, str(where.directory)], random.Random(0)
    like, seen = {"n": np.zeros(50_000, np.int32)}, -1
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        for _ in range(10):
            parent.stdin.write(f"{seen + 1}\n".encode())
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            try:
                until = time.perf_counter() + 60
                while latest(where, like, {}) is None and time.perf_counter() < until:
                    time.sleep(0.001)
                until = time.perf_counter() + 0.02 + 0.05 * delays.random()
                while (
                    time.perf_counter() < until
                ):  # a reader beside the writer sees no half of a file either
                    now = latest(where, like, {})
                    assert (now.tree["n"] == now.epoch).all()
            finally:
                os.kill(child, signal.SIGKILL)
            now = latest(where, like, {})
            assert (now.tree["n"] == now.epoch).all()
            assert now.record == {"epoch": now.epoch}
            assert now.epoch >= seen
            seen = now.epoch
        parent.stdin.close()
    assert seen > 10
    for path in Path(where.directory).glob(".*.tmp"):
        os.utime(path, (0, 0))
    write(where, seen + 1, like, {}, {}, {})
    assert not list(Path(where.directory).glob(".*.tmp"))
    assert (
        len(list(Path(where.directory).iterdir())) <= 4
    )  # a kill between rename and deletion leaves one more


@pytest.mark.slow
def test_two_writers_at_once_do_no_harm(where):
    code = (
        "import sys, numpy as np; from jnn.files.checkpoints import Checkpoint, write\n"
        "for n in range(60): write(Checkpoint(sys.argv[1]), n, {'n': np.int32([n])}, {}, {}, {})"
    )
    command = [sys.executable, "-c", code, str(where.directory)]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    now = latest(where, {"n": np.int32([0])}, {})
    assert now.epoch == now.tree["n"].item() == 59


def test_no_code_can_hide_in_a_file():
    for path in (ROOT / "jnn" / "files").glob("*.py"):
        source = path.read_text()
        assert not any(word in source for word in ("pickle", "eval(", "exec(", "np.load"))


def test_nothing_is_said_where_all_is_well(where):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(where, 1, 2)
        assert found(where).epoch == 2
