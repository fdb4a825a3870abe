"""Sealed files: arrays and texts come back to the bit; a byte changed anywhere is noticed."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save as serialize

from jnn.files import sealed
from jnn.files.sealed import DTYPES, DamagedError, device, fingerprint, host, seal, unseal

NAMES = [d.name for d in DTYPES.values()]
GOOD = seal(
    {"tree.0": np.int32([5]), "history.loss": np.ones(5)},
    {"format": "mine", "settings": json.dumps({"sizes": [2, 3, 1], "optimizer": "adam"})},
)


def bits(arrays):
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


def by_hand(header, data=b""):
    """A file of any header, whose checksum is right."""
    header = {**header, "__metadata__": {**header.get("__metadata__", {}), "sha256": "0" * 64}}
    text = json.dumps(header, separators=(",", ":")).encode()
    whole = len(text).to_bytes(8, "little") + text + data
    at = whole.index(sealed._NAME) + len(sealed._NAME)
    return whole[:at] + sealed._digest(whole, at) + whole[at + 64 :]


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4)], ids=str)
def test_arrays_of_every_dtype_and_shape_come_back(dtype, shape):
    raw = np.random.default_rng(0).integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    a = raw[..., :1] > 127 if dtype == "bool" else raw.view(dtype)
    a = a.reshape(shape)
    texts, arrays = unseal(seal({"a": a}, {"b": "δ\n\0"}))
    assert bits(arrays) == bits({"a": a})
    assert texts == {"b": "δ\n\0"}


def test_arrays_in_any_memory_and_byte_order_come_back():
    a = np.arange(6, dtype=">f4").reshape(2, 3)
    given = {"big": a, "transposed": a.T, "strided": a[:, ::2]}
    _, arrays = unseal(seal(given, {}))
    assert bits(arrays) == bits({name: host(a) for name, a in given.items()})
    arrays["big"][0] = 1  # may be written to


def test_what_came_from_jax_goes_back_there():
    a = jnp.arange(3.0)
    again = device(host(a), a)
    assert isinstance(again, jax.Array)
    assert again.tolist() == a.tolist()
    assert again.sharding == a.sharding
    for key in (jax.random.key(7), jax.random.split(jax.random.key(1, impl="rbg"), (2, 3))):
        again = device(host(key), key)
        assert again.dtype == key.dtype
        assert (jax.random.key_data(again) == jax.random.key_data(key)).all()


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.zeros(2, complex), "cannot hold {'a': 'complex128'}; it holds float16, .*bfloat16"),
        (np.array("text"), "cannot hold {'a': 'str"),
        (np.array([None]), "cannot hold {'a': 'object'}"),
    ],
)
def test_other_dtypes_are_refused(a, message):
    with pytest.raises(TypeError, match=message):
        seal({"a": a}, {})


def test_the_seal_stands_in_the_file_once():
    texts = {"a": '"sha256":"' + "0" * 64 + '"', "b": "x" * 1000, 'sha256":"': "c"}
    arrays = {'"sha256":"' + "0" * 64: np.ones(2), "sha256": np.ones(3)}
    again = unseal(seal(arrays, texts))
    assert again[0] == texts
    assert bits(again[1]) == bits(arrays)


# Damage.


def test_cut_anywhere_it_is_refused():
    for length in range(len(GOOD)):
        with pytest.raises(DamagedError, match="damaged: "):
            unseal(GOOD[:length])


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_a_byte_changed_anywhere_is_refused(flip):
    for at in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[at] ^= flip
        with pytest.raises(DamagedError, match="damaged: "):
            unseal(bytes(changed))


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_bytes_too_many_are_refused(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        start, stop = sorted(rng.integers(0, len(GOOD) + 1, 2))
        noise = rng.bytes(max(stop - start, 1))
        with pytest.raises(DamagedError):
            unseal(GOOD[:start] + noise + GOOD[start + len(noise) :])
    with pytest.raises(DamagedError):
        unseal(GOOD + b"\0")


def test_what_was_never_sealed_is_refused_and_its_texts_told():
    with pytest.raises(DamagedError, match="not what its checksum says") as error:
        unseal(serialize({"a": np.ones(2)}, {"format": "pt"}))
    assert error.value.texts == {"format": "pt"}
    with pytest.raises(DamagedError, match="not what its checksum says") as error:
        unseal(serialize({"a": np.ones(2)}))
    assert error.value.texts == {}
    with pytest.raises(DamagedError, match="damaged: ") as error:
        unseal(b"PK\3\4 is how a zip file begins")
    assert error.value.texts is None


def test_a_seal_among_the_data_does_not_count():
    data = b'"sha256":"' + b"0" * 64
    a = np.frombuffer(data, np.uint8)
    assert bits(unseal(seal({"a": a}, {}))[1]) == bits({"a": a})
    with pytest.raises(DamagedError):
        unseal(serialize({"a": a}))


def test_a_file_made_by_hand_is_read_like_another():
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    _, arrays = unseal(by_hand({"a": entry}, np.ones(2, "f4").tobytes()))
    assert bits(arrays) == bits({"a": np.ones(2, "f4")})


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1] * 99, "data_offsets": [0, 4]},
        {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]},
    ],
    ids=["dimensions", "dtype"],
)
def test_what_numpy_cannot_hold_is_refused_though_its_checksum_is_right(entry):
    with pytest.raises(DamagedError, match="damaged: it holds what NumPy cannot"):
        unseal(by_hand({"a": entry}, b"\0" * 4))


def test_a_header_that_python_cannot_read_is_refused():
    digits = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":' + b"9" * 5000 + b"}}"
    with pytest.raises(DamagedError, match="damaged: "):
        unseal(len(digits).to_bytes(8, "little") + digits)
    nested = b'{"__metadata__":' + b"[" * 100_000
    with pytest.raises(DamagedError, match="damaged: "):
        unseal(len(nested).to_bytes(8, "little") + nested)


# Fingerprints.


def test_a_fingerprint_tells_bytes_shapes_dtypes_and_order_apart():
    a = np.arange(6, dtype="f4")
    others = [
        [a],
        [a.reshape(2, 3)],
        [a.reshape(3, 2)],
        [a.view("i4")],
        [a, a],
        [a[:3], a[3:]],
        [-a],
        [a[::-1]],
        [],
    ]
    others += [
        [jax.random.key(0)],
        [jnp.zeros(2, jnp.bfloat16)],
        [np.zeros(2, "f2")],
        [np.zeros(())],
        [np.zeros((0, 2))],
    ]
    prints = [fingerprint(arrays) for arrays in others]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 16 for text in prints)


def test_a_fingerprint_is_that_of_the_values_however_they_lie():
    a = np.arange(6, dtype="f4").reshape(2, 3)
    same = [
        a,
        jnp.array(a),
        a.astype(">f4"),
        np.asfortranarray(a),
        np.repeat(a, 2, axis=1)[:, ::2],
        a.copy(),
    ]
    assert len({fingerprint([b]) for b in same}) == 1
    assert fingerprint([np.zeros(3)]) == "d30bfd1829873a40"  # what stands in files of old


def test_objects_have_no_fingerprint():
    with pytest.raises(TypeError, match="an array of dtype object has no fingerprint"):
        fingerprint([np.array([None])])
