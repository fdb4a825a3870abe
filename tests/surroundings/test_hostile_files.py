"""Files that are no good though their seal is whole, and paths that are no files."""

import json
import os
import random
import re
import socket
import warnings

import jax
import numpy as np
import pytest

import jnn
from jnn import memory
from jnn.files import sealed
from jnn.files.sealed import seal, unseal

LONGEST = 2_000  # characters of a message, whatever a file holds
X = np.linspace(-1, 1, 12)[:, None]
START = jnn.init_network_params([1, 3, 1], jax.random.key(0))

# texts and values that somebody's program, or somebody, may put in the place of what was written
WRONG_TEXTS = (
    "", "null", "true", "1", "[]", "{}", '"text"', "[[]]", '{"a": 1}', "[" * 100_000, "1" * 5_000,
    "x" * 100_000, json.dumps(["y" * 100_000] * 3), json.dumps({"z" * 9_999: 1}), "\N{SNOWMAN}",
)  # fmt: skip
WRONG_VALUES = (
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**40, -(10**400), "", "w" * 10_000,
    [], {}, [[[]]], ["v" * 10_000], {"u" * 10_000: 1}, list(range(10_000)),
)  # fmt: skip


def replaced(value, chance):
    """The value with one of its parts, at whatever depth, replaced, left out or one too many."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    at = chance.choice(keys)
    if isinstance(value[at], (dict, list)) and value[at] and chance.random() < 0.8:
        value[at] = replaced(value[at], chance)
    elif chance.random() < 0.2:
        del value[at]
    else:
        value[at] = chance.choice(WRONG_VALUES)
    return value


def mutated(data, seed):
    """The file with one of its texts changed, sealed anew."""
    chance = random.Random(seed)
    texts, arrays = unseal(data)
    name = chance.choice(sorted(texts))
    if seed % 3 == 0:
        texts[name] = chance.choice(WRONG_TEXTS)
    elif seed % 3 == 1 and chance.random() < 0.3:
        del texts[name]
    elif texts[name][:1] in ("{", "["):
        texts[name] = json.dumps(replaced(json.loads(texts[name]), chance))
    else:
        texts[name + chance.choice(("", "s" * 10_000))] = chance.choice(WRONG_TEXTS)
    return seal(arrays, texts)


def fit(epochs, where):
    return jnn.fit(
        START, (X, X), epochs=epochs, checkpoint=where, batch_size=4, watch="log_gradients"
    )


def same(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool((x == y).all()), a.params, b.params))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Checkpoints of epochs 4 and 8, and the run of 10 epochs that was never interrupted."""
    where = jnn.Checkpoint(tmp_path_factory.mktemp("run"), every_epochs=4)
    fit(8, where)
    files = {path.name: path.read_bytes() for path in where.directory.iterdir()}
    return files, fit(10, None)


@pytest.mark.parametrize("part", range(3))
def test_a_checkpoint_of_forged_texts_is_refused_and_the_one_before_it_used(run, tmp_path, part):
    (older, first), (newer, second) = sorted(run[0].items())
    refused = 0
    for seed in range(40 * part, 40 * part + 40):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / older).write_bytes(first)
        (tmp_path / newer).write_bytes(mutated(second, seed))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = fit(10, tmp_path)
        messages = [str(warning.message) for warning in caught]
        assert result.resumed == (4 if messages else 8), (seed, messages)
        assert same(result, run[1]), seed
        assert all(newer in message and len(message) < LONGEST for message in messages), seed
        refused += bool(messages)
    assert refused >= 30  # some mutations change nothing that matters, such as the seconds


ARRAYS = {
    "the state": ("tree.0", lambda a: a[:-1]),
    "another dtype": ("tree.0", lambda a: a.astype(np.int8)),
    "why it ended": ("tree.reason", lambda a: a * 0 + 99),
    "the history": ("history.loss", lambda a: a[:-1]),
    "what is watched": ("history.log_gradients", lambda a: a[:, :1]),
    "one too few": ("history.loss", None),
    "one too many": ("history.more", np.zeros(8, np.float32)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_checkpoint_of_forged_arrays_is_refused_and_the_one_before_it_used(run, tmp_path, name):
    (older, first), (newer, second) = sorted(run[0].items())
    texts, arrays = unseal(second)
    changed, change = ARRAYS[name]
    if changed == "tree.reason":
        paths = [path for path, *_ in json.loads(texts["leaves"])]
        changed = f"tree.{paths.index('.reason')}"
    if change is None:
        del arrays[changed]
    else:
        arrays[changed] = change(arrays[changed]) if callable(change) else change
    (tmp_path / older).write_bytes(first)
    (tmp_path / newer).write_bytes(seal(arrays, texts))
    with pytest.warns(UserWarning, match=f"{newer}: damaged: .*{older} is used instead") as caught:
        result = fit(10, tmp_path)
    assert result.resumed == 4
    assert same(result, run[1])
    assert len(str(caught[0].message)) < LONGEST
    assert caught[0].filename == __file__  # whoever called `fit`


def test_a_checkpoint_of_another_epoch_than_its_name_says_is_refused(run, tmp_path):
    (older, first), (_, second) = sorted(run[0].items())
    (tmp_path / older).write_bytes(first)
    for digits in (12, 100):
        (tmp_path / f"epoch-{'9' * digits}.safetensors").write_bytes(second)
    with pytest.warns(UserWarning, match="its history is of"):
        assert fit(10, tmp_path).resumed == 4


def test_the_warning_of_many_refused_files_is_short(run, tmp_path):
    (older, first), (_, second) = sorted(run[0].items())
    (tmp_path / older).write_bytes(first)
    for epoch in range(100, 160):
        (tmp_path / f"epoch-{epoch:012d}.safetensors").write_bytes(mutated(second, 3 * epoch))
    with pytest.warns(UserWarning, match=r"and 57 more; epoch-0+4\.safetensors is used") as caught:
        fit(10, tmp_path)
    assert len(str(caught[0].message)) < LONGEST


def test_a_network_of_forged_texts_is_refused_in_a_sentence(tmp_path):
    params = jnn.init_network_params([2, 3, 3, 1], jax.random.key(0), residual=True)
    jnn.save(tmp_path / "good", params)
    good, path = (tmp_path / "good").read_bytes(), tmp_path / "net"
    said = []
    for seed in range(200):
        path.write_bytes(mutated(good, seed))
        try:
            jnn.load(path)
        except ValueError as error:  # and nothing else
            said.append(str(error))
    assert len(said) >= 150
    assert all(str(path) in message and len(message) < LONGEST for message in said)


def test_a_network_of_thousands_of_stacks_that_do_not_fit_is_refused_in_a_sentence(tmp_path):
    arrays = {f"{i}.{name}": np.ones((1, 2, 3)[: 3 - (name == "b")]) for i in range(2_000)
              for name in "wb"}  # fmt: skip
    texts = {"format": "jnn", "version": "2"}
    texts |= {f"{i}.{key}": value for i in range(2_000)
              for key, value in {"activation": "tanh", "residual": "false"}.items()}  # fmt: skip
    for changed in (arrays, {f"{'x' * 999}{i}": np.ones(1) for i in range(99)}):
        (tmp_path / "net").write_bytes(seal(changed, texts))
        with pytest.raises(ValueError, match="net ") as raised:
            jnn.load(tmp_path / "net")
        assert len(str(raised.value)) < LONGEST


# ---- what is no file, or has no end ----


@pytest.fixture(params=["directory", "pipe", "device", "socket"])
def no_file(request, tmp_path, monkeypatch):
    path = tmp_path / "net"
    if request.param == "directory":
        path.mkdir()
    elif request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 characters
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("net")
    return path, request.param


def test_what_is_no_file_is_not_opened(no_file):
    path, kind = no_file
    with pytest.raises(ValueError, match=f"net is a {kind}, not a file; name the file that was"):
        jnn.load(path)
    with pytest.raises(ValueError, match="net is not a regular file"):
        jnn.save(path, START)


def test_what_is_no_file_is_no_checkpoint(no_file, run, tmp_path):
    path, _ = no_file
    (older, first), _ = sorted(run[0].items())
    (tmp_path / older).write_bytes(first)
    path.rename(tmp_path / "epoch-000000000009.safetensors")
    assert fit(5, tmp_path).resumed == 4


def sparse(path, size):
    with path.open("ab") as file:
        file.truncate(size)


@pytest.mark.parametrize("size", [10**11, 10**12])
def test_a_file_of_no_end_is_not_read_to_it(tmp_path, size):
    sparse(tmp_path / "zeros", size)
    with pytest.raises(ValueError, match="zeros is not a safetensors file, or is damaged"):
        jnn.load(tmp_path / "zeros")
    jnn.save(tmp_path / "net", START)
    sparse(tmp_path / "net", size)
    with pytest.raises(ValueError, match="net is not a safetensors file, or is damaged"):
        jnn.load(tmp_path / "net")


def test_a_file_that_is_larger_than_the_memory_is_refused_with_its_bytes(tmp_path, monkeypatch):
    jnn.save(tmp_path / "net", START)
    size = (tmp_path / "net").stat().st_size
    monkeypatch.setattr(memory, "_of_the_machine", lambda: size - 1)
    message = (
        f"the content of {tmp_path / 'net'} would take {size:,} bytes, more than this machine's"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        jnn.load(tmp_path / "net")


def test_a_header_that_promises_the_world_is_no_reason_to_ask_for_it(tmp_path):
    entry = {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}
    header = json.dumps({"0.w": entry}).encode()
    for length in (len(header), 2**63):
        (tmp_path / "net").write_bytes(length.to_bytes(8, "little") + header)
        with pytest.raises(ValueError, match="net is not a safetensors file, or is damaged"):
            jnn.load(tmp_path / "net")
        with pytest.raises(sealed.DamagedError):
            unseal(sealed.read(tmp_path / "net"))
