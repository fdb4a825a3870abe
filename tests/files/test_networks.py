"""Networks as files: back to the bit, in the same tree; damaged, foreign or unknown is refused."""

import contextlib
import dataclasses
import json
import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from safetensors.numpy import save as serialize

import jnn
from jnn.files import sealed

KEY = jax.random.key(0)
STACK = jnn.Stack(np.ones((1, 2, 2), "f4"), np.ones((1, 2), "f4"))
OURS = r"save the network again, or take another copy of the file$"


def bent(z):
    return jnp.sqrt(z * z + 1) + z


@cache
def network(sizes, residual, dtype):
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, dtype), oracles.network(list(sizes), residual=residual)
    )


def bits(params):
    return [
        (leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()) for leaf in jax.tree.leaves(params)
    ]


def written(path, metadata=None, tensors=None, *, resealed=True):
    """The file of a 2-3-1 network, changed; None as a value takes the entry out."""
    base = {"0.w": np.ones((1, 3, 2), "f4"), "0.b": np.ones((1, 3), "f4")}
    base |= {"1.w": np.ones((1, 1, 3), "f4"), "1.b": np.ones((1, 1), "f4")}
    tensors = {k: v for k, v in (base | (tensors or {})).items() if v is not None}
    known = {"format": "jnn", "version": "2", "0.activation": "tanh", "0.residual": "false"}
    known |= {"1.activation": "identity", "1.residual": "false"}
    metadata = {k: v for k, v in (known | (metadata or {})).items() if v is not None}
    write = sealed.seal if resealed else serialize
    path.write_bytes(write(tensors, metadata))
    return path


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize(
    "activation",
    ["tanh", bent, *(pytest.param(h, marks=pytest.mark.slow) for h in ("relu", "lecun_tanh"))],
)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    "sizes", [[1, 1], [1] * 4, [2, 3, 3, 3, 4, 4, 1], [2] + [8] * 1000 + [1]], ids=len
)
def test_a_network_comes_back_to_the_bit_and_in_the_same_tree(
    tmp_path, dtype, activation, residual, sizes
):
    with jax.enable_x64(dtype == "float64"):
        drawn = network(tuple(sizes), residual, dtype)
        params = (
            *(dataclasses.replace(stack, activation=activation) for stack in drawn[:-1]),
            drawn[-1],
        )
        names = {"bent": bent} if activation is bent else None
        jnn.save(tmp_path / "net", params, activations=names)
        again = jnn.load(tmp_path / "net", activations=names)
        assert bits(again) == bits(params)
        assert jax.tree.structure(again) == jax.tree.structure(params)
        assert jnn.sizes(again) == tuple(sizes)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(again))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_stacked_networks_come_back_to_the_bit_and_in_the_same_tree(tmp_path, dtype):
    with jax.enable_x64(dtype == "float64"):
        drawn = network((2, 3, 3, 3, 1), residual=True, dtype=dtype)
        for count in (1, 5):
            params = jax.tree.map(lambda a, m=count: jnp.stack([a * i for i in range(m)]), drawn)
            jnn.save(tmp_path / "net", params)
            again = jnn.load(tmp_path / "net")
            assert bits(again) == bits(params)
            assert jax.tree.structure(again) == jax.tree.structure(params)
            assert again == params
        one = jax.tree.map(lambda a: a[-1], again)
        np.testing.assert_array_equal(jnn.predict(one, np.ones((1, 2))), last_of(params))


def last_of(params):
    """What the last of five members says of a row of ones."""
    outputs = jax.vmap(jnn.predict, (0, None))(params, np.ones((1, 2)))
    return outputs[-1]


def test_what_fit_many_left_comes_back(tmp_path):
    x = np.linspace(-1, 1, 10)[:, None]
    members = [jnn.init_network_params([1, 4, 1], jax.random.key(i)) for i in range(3)]
    fits = jnn.fit_many(members, (x, x**2), epochs=2, progress=False)
    jnn.save(tmp_path / "net", fits.params)
    again = jnn.load(tmp_path / "net")
    assert bits(again) == bits(fits.params)
    jnn.fit_many(again, (x, x**2), epochs=1, progress=False)  # and goes on


@pytest.mark.parametrize(
    ("w", "b", "message"),
    [
        ((3, 1, 2, 2), (2, 1, 2), r"stacked networks have leaves \(M, …\), M the same for all"),
        ((0, 1, 2, 2), (0, 1, 2), "at least 1"),
        ((3, 1, 2, 2), (), "stacked networks"),
        ((3, 1, 2, 2), (3, 1, 3), r"stack 0 has w \(1, 2, 2\) and b \(1, 3\)"),
        ((3, 0, 2, 2), (3, 0, 2), "at least 1"),
    ],
)
def test_stacks_that_are_not_networks_are_refused(tmp_path, w, b, message):
    with pytest.raises(ValueError, match=message):
        jnn.save(tmp_path / "net", (jnn.Stack(np.ones(w, "f4"), np.ones(b, "f4")),))
    assert not (tmp_path / "net").exists()


def test_one_network_beside_many_in_a_file_is_refused(tmp_path, as_a_user):
    many = {"0.w": np.ones((4, 1, 3, 2), "f4"), "0.b": np.ones((4, 1, 3), "f4")}
    with pytest.raises(ValueError, match=f"net holds no network: stack 0 has w .*{OURS}"):
        jnn.load(written(tmp_path / "net", None, many))
    many |= {"1.w": np.ones((3, 1, 1, 3), "f4"), "1.b": np.ones((3, 1, 1), "f4")}
    with pytest.raises(ValueError, match=f"net holds no network: the leaves have .*{OURS}"):
        jnn.load(written(tmp_path / "net", None, many))


def test_every_activation_comes_back(tmp_path):
    for name in jnn.ACTIVATIONS:
        jnn.save(tmp_path / "net", jnn.init_network_params([2, 3, 1], KEY, activation=name))
        assert [stack.activation for stack in jnn.load(tmp_path / "net")] == [name, "identity"]


@pytest.mark.parametrize("output", ["softmax", "sigmoid", bent])
@pytest.mark.parametrize("sizes", [[2, 3], [2, 3, 3, 3, 3]])
def test_every_output_comes_back(tmp_path, output, sizes):
    names = {"bent": bent}
    params = jnn.init_network_params(sizes, KEY, output=output)
    jnn.save(tmp_path / "net", params, activations=names)
    again = jnn.load(tmp_path / "net", activations=names)
    assert again[-1].activation == output
    assert bits(again) == bits(params)
    assert jax.tree.structure(again) == jax.tree.structure(params)


def test_an_activation_for_each_layer_comes_back(tmp_path):
    given = ["relu", "tanh", bent, "tanh"]
    params = jnn.init_network_params([2, 3, 3, 3, 3, 3], KEY, activation=given, output="softmax")
    jnn.save(tmp_path / "net", params, activations={"bent": bent})
    again = jnn.load(tmp_path / "net", activations={"bent": bent})
    assert [stack.activation for stack in again] == [*given, "softmax"]
    assert bits(again) == bits(params)


def test_an_output_that_mixes_entries_is_for_the_last_layer_alone(tmp_path, as_a_user):
    path = tmp_path / "net"
    first = jnn.Stack(np.ones((1, 2, 2), "f4"), np.ones((1, 2), "f4"), "softmax")
    deep = jnn.Stack(np.ones((3, 2, 2), "f4"), np.ones((3, 2), "f4"), "softmax")
    with pytest.raises(ValueError, match=r"stack 0 of depth 1 has .*softmax.*mixes entries"):
        jnn.save(path, (first, STACK))
    with pytest.raises(ValueError, match=r"stack 1 of depth 3 has .*softmax.*mixes entries"):
        jnn.save(path, (STACK, deep))
    assert not path.exists()
    written(path, {"0.activation": "softmax"})
    with pytest.raises(ValueError, match=f"net holds no network: stack 0 .*mixes entries.*{OURS}"):
        jnn.load(path)
    square = {"0.w": np.ones((1, 2, 2), "f4"), "0.b": np.ones((1, 2), "f4")}
    square |= {"1.w": np.ones((2, 2, 2), "f4"), "1.b": np.ones((2, 2), "f4")}
    written(path, {"1.activation": "softmax"}, square)
    with pytest.raises(ValueError, match=f"net holds no network: stack 1 .*mixes entries.*{OURS}"):
        jnn.load(path)


@pytest.mark.parametrize(
    ("dtype", "pattern"),
    [("float16", "u2"), ("bfloat16", "u2"), ("float32", "u4"), ("float64", "u8")],
)
def test_every_pattern_of_bits_survives(tmp_path, x64, dtype, pattern):
    size = np.dtype(pattern).itemsize
    corners = [0, 1, 2 ** (8 * size - 1)]  # 0, the smallest subnormal, −0
    raw = np.random.default_rng(0).integers(0, 256, (60 * size,), dtype=np.uint8).tobytes()
    w = np.concatenate([np.array(corners, pattern), np.frombuffer(raw, pattern)[:57]]).view(
        jnp.dtype(dtype)
    )
    w[3:6] = [np.nan, np.inf, -np.inf]
    params = (jnn.Stack(jnp.array(w.reshape(1, 1, 60)), jnp.zeros((1, 1), dtype)),)
    jnn.save(tmp_path / "net", params)
    assert bits(jnn.load(tmp_path / "net")) == bits(params)


def test_what_is_loaded_does_not_recompile(tmp_path):
    traces = []

    @jax.jit
    def total(params):
        traces.append(1)
        return sum(leaf.sum() for leaf in jax.tree.leaves(params))

    params = jnn.init_network_params([2, 8, 8, 1], KEY, residual=True)
    jnn.save(tmp_path / "net", params)
    assert total(params) == total(jnn.load(tmp_path / "net"))
    assert traces == [1]


def test_numpy_leaves_in_any_memory_order(tmp_path):
    w = np.arange(6, dtype="f4").reshape(1, 3, 2).transpose(0, 2, 1)
    jnn.save(tmp_path / "net", (jnn.Stack(w, jnp.ones((1, 2))),))
    (stack,) = jnn.load(tmp_path / "net")
    assert np.array_equal(stack.w, w)


def test_float64_is_never_cut(tmp_path):
    path = tmp_path / "net"
    with jax.enable_x64(True):
        jnn.save(path, jnn.init_network_params([2, 1], KEY))
    with pytest.raises(
        ValueError, match=r"net holds float64, .*'jax_enable_x64', True\) first, or save .* float32"
    ):
        jnn.load(path)


def test_float32_stays_float32_under_x64(tmp_path, x64):
    params = jnn.init_network_params([2, 1], KEY, dtype="float32")
    jnn.save(tmp_path / "net", params)
    assert bits(jnn.load(tmp_path / "net")) == bits(params)


@pytest.mark.parametrize("name", ["net", "net.safetensors", "net.pt", "a.b.c", "n" * 255, "ñ δ λ"])
def test_the_name_is_kept_as_given(tmp_path, monkeypatch, name):
    params = jnn.init_network_params([1, 1], KEY)
    monkeypatch.chdir(tmp_path)
    jnn.save(name, params)
    assert os.listdir() == [name]  # noqa: PTH208
    assert bits(jnn.load(Path(name))) == bits(params)


def test_the_header_is_readable_by_any_tool(tmp_path):
    params = jnn.init_network_params([2, 8, 8, 1], KEY, activation=bent, residual=True)
    jnn.save(tmp_path / "net", params, activations={"bent": bent})
    data = (tmp_path / "net").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = header.pop("__metadata__")
    assert len(metadata.pop("sha256")) == 64
    assert metadata == {"format": "jnn", "version": "2"} | {
        "0.function": "bent",
        "0.residual": "false",
        "1.function": "bent",
        "1.residual": "true",
        "2.activation": "identity",
        "2.residual": "false",
    }
    assert {name: entry["dtype"] for name, entry in header.items()} == dict.fromkeys(header, "F32")
    assert {name: entry["shape"] for name, entry in header.items()} == {
        "0.w": [1, 8, 2],
        "0.b": [1, 8],
        "1.w": [1, 8, 8],
        "1.b": [1, 8],
        "2.w": [1, 1, 8],
        "2.b": [1, 1],
    }


@pytest.mark.slow
def test_a_network_loads_where_only_jnn_is_imported(tmp_path):
    params = jnn.init_network_params([2, 3, 1], KEY)
    jnn.save(tmp_path / "net", params)
    code = (
        f"import jnn; p = jnn.load({str(tmp_path / 'net')!r}); "
        "print(jnn.sizes(p), jnn.predict(p, [[1., 2.]]).item())"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.startswith("(2, 3, 1) ")
    assert float(done.stdout.split()[-1]) == pytest.approx(
        jnn.predict(params, jnp.array([[1.0, 2.0]])).item()
    )


# Damage: every file below begins as a good one.


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good"
    jnn.save(
        path,
        jnn.init_network_params([2, 3, 3, 1], KEY, activation=bent, residual=True),
        activations={"bent": bent},
    )
    return path


def reload(path):
    return jnn.load(path, activations={"bent": bent})


def test_truncated_anywhere_it_is_refused(good):
    data = good.read_bytes()
    for length in range(0, len(data), 3):
        good.write_bytes(data[:length])
        with pytest.raises(
            ValueError, match=f"good is not a safetensors file, or is damaged: .*{OURS}"
        ):
            reload(good)


def test_with_bytes_too_many_it_is_refused(good):
    good.write_bytes(good.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="good is not a safetensors file, or is damaged"):
        reload(good)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_a_byte_changed_anywhere_is_refused(good, flip):
    data = good.read_bytes()
    passed = []
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= flip
        good.write_bytes(changed)
        with contextlib.suppress(ValueError):
            passed.append(reload(good))
    assert not passed


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_refused(good, seed):
    rng, data = np.random.default_rng(seed), good.read_bytes()
    for _ in range(100):
        start, stop = sorted(rng.integers(0, len(data) + 1, 2))
        noise = rng.bytes(max(stop - start, 1))
        good.write_bytes(data[:start] + noise + data[start + len(noise) :])
        with pytest.raises(ValueError, match="good"):
            reload(good)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, b"\xff" * 64, pickle.dumps({"w": 1}), b"\x02" + b"\0" * 7 + b"{}"]
)
def test_what_is_no_file_of_ours_is_refused(tmp_path, data):
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(
        ValueError,
        match=r"other is (not a safetensors file, or is|a safetensors file, but not a network)",
    ):
        jnn.load(tmp_path / "other")


def test_dimensions_beyond_numpy_are_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [1] * 99, "data_offsets": [0, 4]}
    metadata = {"format": "jnn", "version": "2", "sha256": "0" * 64}
    header = json.dumps({"__metadata__": metadata, "0.w": entry}, separators=(",", ":")).encode()
    data = len(header).to_bytes(8, "little") + header + b"\0" * 4
    (tmp_path / "net").write_bytes(data)
    with pytest.raises(ValueError, match="net is damaged: its content is not what its checksum"):
        jnn.load(tmp_path / "net")
    at = data.index(b"0" * 64)
    data = data[:at] + sealed._digest(data, at) + data[at + 64 :]
    (tmp_path / "net").write_bytes(data)
    with pytest.raises(ValueError, match=f"net is damaged: it holds what NumPy cannot, .*{OURS}"):
        jnn.load(tmp_path / "net")


def test_a_header_nested_beyond_measure_is_refused(tmp_path):
    header = b'{"__metadata__":' + b"[" * 100_000
    (tmp_path / "deep").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="deep is not a safetensors file, or is damaged"):
        jnn.load(tmp_path / "deep")


def test_the_file_made_by_hand_is_good(tmp_path):
    assert jnn.sizes(jnn.load(written(tmp_path / "net"))) == (2, 3, 1)


@pytest.mark.parametrize(
    ("metadata", "tensors", "message"),
    [
        (
            {"format": None},
            {},
            "is a safetensors file, but not a network of jnn's: load it with what wrote it",
        ),
        ({"format": "pt"}, {}, "is a safetensors file, but not a network of jnn's"),
        ({"version": "1"}, {}, "is of format version 1, this jnn reads version 2; update jnn"),
        ({"version": "3"}, {}, "is of format version 3, this jnn reads version 2; update jnn"),
        ({"version": None}, {}, "is of format version None, this jnn reads version 2"),
        (
            {"0.activation": "swishh"},
            {},
            r"unknown activation 'swishh' in stack 0 \(known: identity, .*update jnn, or",
        ),
        ({"0.activation": None}, {}, "unknown activation None in stack 0"),
        (
            {"0.residual": "maybe"},
            {},
            f"does not say whether stack 0 is residual, 'true' or 'false'; {OURS}",
        ),
        (
            {"1.residual": None},
            {},
            r"lacks the tensors \[\] and has \['1.b', '1.w'\] beyond the structure",
        ),
        ({"2.residual": "true"}, {}, r"lacks the tensors \['2.b', '2.w'\] and has \[\]"),
        (
            {},
            {"0.w": None},
            rf"lacks the tensors \['0.w'\] and has \[\] beyond the structure it names; {OURS}",
        ),
        ({}, {"extra": np.ones((1, 1), "f4")}, r"lacks the tensors \[\] and has \['extra'\]"),
        (
            {},
            {"0.b": np.ones((1, 3), "i4")},
            r"holds {'0.b': \('int32', \(1, 3\)\)}; networks hold float16, float32, .* of 2 to",
        ),
        (
            {},
            {"0.b": np.ones((1, 2), "f4")},
            r"stack 0 has w \(1, 3, 2\) and b \(1, 2\); expected w \(depth, n_out",
        ),
        ({}, {"0.w": np.ones((3, 2), "f4")}, r"net holds no network: stack 0 has w \(3, 2\)"),
        (
            {},
            {"0.w": np.ones((1, 3, 0), "f4")},
            r"holds {'0.w': \('float32', \(1, 3, 0\)\)}; networks hold",
        ),
        (
            {},
            {"0.w": np.ones((1,) * 33, "f4")},
            "networks hold float16, float32, float64, bfloat16 of 2 to 4 dimensions",
        ),
        (
            {},
            {"1.w": np.ones((1, 1, 4), "f4")},
            f"net holds no network: the stacks do not chain: .*{OURS}",
        ),
        (
            {"0.residual": "true"},
            {},
            "stack 0, deep or residual, takes 2 values and gives 3; they must be equal",
        ),
        (
            {},
            {"0.w": np.ones((2, 3, 2), "f4"), "0.b": np.ones((2, 3), "f4")},
            "stack 0, deep or residual, takes 2 values and gives 3",
        ),
        (
            {"0.residual": None, "1.residual": None},
            dict.fromkeys(["0.w", "0.b", "1.w", "1.b"]),
            "net holds no network: params must be a tuple of stacks, .* got an empty tuple",
        ),
    ],
)
def test_a_structure_that_is_no_network_is_refused(tmp_path, metadata, tensors, message):
    with pytest.raises(ValueError, match=message) as error:
        jnn.load(written(tmp_path / "net", metadata, tensors))
    assert str(tmp_path / "net") in str(error.value)


def test_a_file_without_a_checksum_or_with_another_is_refused(tmp_path):
    for metadata in ({}, {"sha256": "0" * 64}):
        with pytest.raises(
            ValueError, match=f"is damaged: its content is not what its checksum says; {OURS}"
        ):
            jnn.load(written(tmp_path / "net", metadata, resealed=False))


@pytest.mark.parametrize("resealed", [True, False])
def test_an_earlier_version_is_named(tmp_path, resealed):
    """Its checksum was another, so that its content cannot be checked; what it is can be said."""
    metadata = {"version": "1", "sha256": "ab" * 32}
    with pytest.raises(ValueError, match="is of format version 1, this jnn reads version 2"):
        jnn.load(written(tmp_path / "net", metadata, resealed=resealed))


def test_a_file_of_another_program_is_named(tmp_path):
    for metadata in (None, {"format": "pt"}):
        (tmp_path / "net").write_bytes(serialize({"0.w": np.ones((1, 2, 2), "f4")}, metadata))
        with pytest.raises(ValueError, match="but not a network of jnn's: load it with what wrote"):
            jnn.load(tmp_path / "net")


# Functions of the user's.


def test_a_function_is_refused_without_a_name(tmp_path):
    params = jnn.init_network_params([2, 3, 1], KEY, activation=bent)
    with pytest.raises(
        ValueError,
        match=r"a file holds no code; give it a name, activations=\{'bent': bent\}, in save",
    ):
        jnn.save(tmp_path / "net", params)
    with pytest.raises(ValueError, match="is a function, and a file holds no code"):
        jnn.save(tmp_path / "net", params, activations={"other": jnp.sin})
    assert not list(tmp_path.iterdir())


def test_load_asks_for_a_function_by_its_name(good):
    for given in (None, {"other": bent}):
        with pytest.raises(
            ValueError,
            match=r"good uses a function 'bent' .* pass it, load\(path, activations=\{'bent': …",
        ):
            jnn.load(good, activations=given)


def test_a_function_saved_is_not_a_name_that_jnn_comes_to_know(good, monkeypatch):
    monkeypatch.setitem(jnn.ACTIVATIONS, "bent", jnn.ACTIVATIONS["tanh"])
    with pytest.raises(ValueError, match="good uses a function 'bent' that is not jnn's"):
        jnn.load(good)
    assert jnn.load(good, activations={"bent": bent})[0].activation is bent


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (
            {"tanh": bent},
            ValueError,
            "activations has 'tanh', the name of one of jnn's own; give your function another",
        ),
        (
            {"mine": "tanh"},
            TypeError,
            r"activations\['mine'\] is 'tanh'; it must be a function, \{'bent': bent\}",
        ),
        ({"softmax": bent}, ValueError, "activations has 'softmax', the name of one of jnn's own"),
        ({"mine": jax.nn.softmax}, ValueError, "must act on each entry by itself"),
    ],
)
def test_wrong_names_are_refused(good, names, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.save(good, jnn.init_network_params([1, 1], KEY), activations=names)
    with pytest.raises(error, match=message):
        jnn.load(good, activations=names)


# Writing.


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (None, TypeError, r"params must be a tuple of stacks"),
        (STACK, TypeError, "params must be a tuple of stacks"),
        ([(1.0, 2.0)], TypeError, "params must be a tuple of stacks"),
        ((), TypeError, "params must be a tuple of stacks, .* got an empty tuple"),
        (
            (jnn.Stack(np.ones((5, 1, 2, 2), "f4"), np.ones((5, 1, 2), "f4")), STACK),
            ValueError,
            "expected .* go to fit_many",  # beside one network: (5, …) and (…) do not chain
        ),
        (
            (jnn.Stack(np.ones((1, 2, 2), int), np.ones((1, 2))),),
            TypeError,
            "stack 0 holds int64; parameters must be of float16, bfloat16, float32, float64",
        ),
        ((jnn.Stack(None, None),), TypeError, "stack 0 holds w of type NoneType"),
        (
            (STACK, jnn.Stack(np.ones((1, 1, 3)), np.ones((1, 1)))),
            ValueError,
            "the stacks do not chain",
        ),
        ((jnn.Stack(STACK.w, STACK.b, "swishh"),), ValueError, "unknown activation 'swishh'"),
    ],
)
def test_what_is_no_network_is_not_saved(tmp_path, params, error, message, as_a_user):
    with pytest.raises(error, match=message):
        jnn.save(tmp_path / "net", params)
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_missing_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no directory .*runs; make it first, Path\(…\)\.mkdir"
    ):
        jnn.save(tmp_path / "runs" / "net", (STACK,))
    with pytest.raises(FileNotFoundError, match="net"):
        jnn.load(tmp_path / "runs" / "net")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(ValueError, match=r"is not a regular file; pass the path of a file"):
        jnn.save(tmp_path, (STACK,))
    with pytest.raises(ValueError, match="is not a regular file"):
        jnn.save("", (STACK,))
    with pytest.raises(ValueError, match="is a directory, not a file; name the file that was"):
        jnn.load(tmp_path)


@pytest.mark.parametrize("at", ["os.replace", "os.rename", "os.fsync", "write"])
@pytest.mark.parametrize(
    "error", [OSError("disk full"), KeyboardInterrupt()], ids=["full", "ctrl-c"]
)
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(good, monkeypatch, at, error):
    before = good.read_bytes()

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        if at == "write":
            opened = Path.open

            def half(self, *args, **options):
                file = opened(self, *args, **options)
                if "x" in args[0]:
                    file.write(b"half")
                    file.close()
                    raise error
                return file

            patch.setattr(Path, "open", half)
        elif at == "os.rename":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(at, fail)
        with pytest.raises(type(error)):
            jnn.save(good, (STACK,))
    assert good.read_bytes() == before
    assert list(good.parent.iterdir()) == [good]
    assert reload(good)[0].activation is bent
    jnn.save(good, (STACK,))
    assert jnn.sizes(jnn.load(good)) == (2, 2)
