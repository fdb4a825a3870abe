"""Sealed files: arrays and texts by name as safetensors, with a checksum of every byte.

safetensors itself would not notice a flipped byte. The sha256 stands among the texts, in the header; it is that of the
whole file with zeros in its own place.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as serialize

DTYPES = {f"{kind}{8 * size}": np.dtype(f"{kind.lower()}{size}") for kind in "FIU" for size in (2, 4, 8)}
DTYPES |= {name: np.dtype(d) for name, d in [("I8", "i1"), ("U8", "u1"), ("BOOL", bool), ("BF16", jnp.bfloat16)]}
_NAME, _BLANK = b'"sha256":"', b"0" * 64


class DamagedError(ValueError):
    """The bytes are not those that were sealed."""


def seal(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> bytes:
    """The bytes of a file that holds them, none of the texts being called "sha256".

    Raises:
      TypeError: an array is of a dtype that a file lacks.

    >>> texts, arrays = unseal(seal({"a": np.arange(3.0)}, {"unit": "m"}))
    >>> texts, arrays["a"]
    ({'unit': 'm'}, array([0., 1., 2.]))
    """
    plain = {name: host(a) for name, a in arrays.items()}
    if strange := {name: a.dtype.name for name, a in plain.items() if a.dtype not in DTYPES.values()}:
        raise TypeError(f"a file cannot hold {strange}; it holds {', '.join(d.name for d in DTYPES.values())}")
    data = serialize(plain, dict(texts) | {"sha256": _BLANK.decode()})
    at = data.index(_NAME + _BLANK) + len(_NAME)  # the only one: inside of other strings the quotes are escaped
    return b"".join((data[:at], _digest(data, at), memoryview(data)[at + len(_BLANK) :]))


def unseal(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a file; the arrays are no views of `data`.

    Raises:
      DamagedError: a byte is not as it was sealed, too few or too many.

    >>> unseal(seal({}, {"unit": "m"}).replace(b'"m"', b'"k"'))
    Traceback (most recent call last):
      ...
    jnn.sealed.DamagedError: damaged: its content is not what its checksum says
    """
    try:
        raw = dict(deserialize(data))
    except SafetensorError as error:
        raise DamagedError(f"damaged: {error}") from error
    at = data.find(_NAME) + len(_NAME)
    if data[at : at + len(_BLANK)] != _digest(data, at):
        raise DamagedError("damaged: its content is not what its checksum says")
    texts = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]  # after the header's size
    del texts["sha256"]
    return texts, {n: np.frombuffer(t["data"], DTYPES[t["dtype"]]).reshape(t["shape"]) for n, t in raw.items()}


def is_key(leaf: Any) -> bool:
    """Whether it is a typed key of JAX, or an array of such.

    >>> is_key(jax.random.key(0)), is_key(jnp.zeros(2))
    (True, False)
    """
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def host(leaf: Any) -> np.ndarray:
    """The leaf in NumPy: contiguous, which safetensors needs, in this machine's byte order, and a key as its data.

    >>> host(np.array([1, 2], ">u2")).dtype == np.uint16, host(jax.random.key(7))
    (True, array([0, 7], dtype=uint32))
    """
    a = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    return np.asarray(a, a.dtype.newbyteorder("="), order="C")


def fingerprint(arrays: Iterable[Any]) -> str:
    """Sixteen digits that stand for bytes, shapes and dtypes of arrays; what is contiguous is read in place.

    Raises:
      TypeError: an array holds Python objects, whose bytes mean nothing.

    >>> fingerprint([np.zeros(3)]) == fingerprint([np.zeros((3, 1))])
    False
    """
    digest = hashlib.sha256()
    for a in map(host, arrays):
        if a.dtype.hasobject:
            raise TypeError(f"an array of dtype {a.dtype} has no fingerprint; make it one of numbers")
        digest.update(f"{a.dtype.name} {a.shape} ".encode())
        digest.update(a.reshape(-1).view(np.uint8).data)  # as bytes, because bfloat16 lends Python no memory of its own
    return digest.hexdigest()[:16]


def _digest(data: bytes, at: int) -> bytes:
    """The sha256 of the bytes, in hexadecimal, with zeros for the digest that stands there."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(_BLANK)
    digest.update(view[at + len(_BLANK) :])
    return digest.hexdigest().encode()
