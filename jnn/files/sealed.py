"""Sealed files: arrays and texts by name as safetensors, with a checksum of every byte.

safetensors itself would not notice a flipped byte. The sha256 stands among the texts, in the
header; it is that of the whole file with zeros in its own place. Networks and checkpoints are
sealed files: what their arrays and texts mean is said there.
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as serialize

from jnn import memory
from jnn.checks import Data, Thing, short

# What a file can hold: the names of safetensors, and NumPy's dtypes.
DTYPES = {
    "F16": np.dtype("float16"),
    "F32": np.dtype("float32"),
    "F64": np.dtype("float64"),
    "BF16": jnp.dtype("bfloat16"),
    "I8": np.dtype("int8"),
    "I16": np.dtype("int16"),
    "I32": np.dtype("int32"),
    "I64": np.dtype("int64"),
    "U8": np.dtype("uint8"),
    "U16": np.dtype("uint16"),
    "U32": np.dtype("uint32"),
    "U64": np.dtype("uint64"),
    "BOOL": np.dtype("bool"),
}
_NAME = b'"sha256":"'
_BLANK = b"0" * 64
_END = re.compile(rb'"data_offsets"\s*:\s*\[\s*[0-9]+\s*,\s*([0-9]{1,18})\s*\]')
_LONGEST_HEADER = 100_000_000  # safetensors' own limit


class DamagedError(ValueError):
    """The bytes are not those that were sealed.

    Its `texts` are what stands in the file, not to be relied on: they may tell what the file is,
    if it was never sealed. They are None where the bytes are not those of a safetensors file.
    """

    def __init__(self, reason: str, texts: dict[str, str] | None = None) -> None:
        super().__init__(short(reason))  # it may quote what stands there
        self.texts = texts


def seal(arrays: Mapping[str, Data], texts: Mapping[str, str]) -> bytes:
    """The bytes of a file that holds arrays and texts by name; no text may be named "sha256".

    Raises:
      TypeError: an array is of a dtype that a file lacks.

    >>> texts, arrays = unseal(seal({"a": np.arange(3.0)}, {"unit": "m"}))
    >>> texts, arrays["a"]
    ({'unit': 'm'}, array([0., 1., 2.]))
    """
    plain = {name: host(a) for name, a in arrays.items()}
    known = DTYPES.values()
    unknown = {name: a.dtype.name for name, a in plain.items() if a.dtype not in known}
    if unknown:
        allowed = ", ".join(dtype.name for dtype in known)
        raise TypeError(f"a file cannot hold {unknown}; it holds {allowed}")
    data = serialize(plain, dict(texts) | {"sha256": _BLANK.decode()})
    # the only one: inside of other strings the quotes are escaped
    at = data.index(_NAME + _BLANK) + len(_NAME)
    return b"".join((data[:at], _digest(data, at), memoryview(data)[at + len(_BLANK) :]))


def read(path: Path) -> bytes:
    """The bytes of a regular file, as many as its header speaks of, and one more if there is one.

    What would wait for a writer, or never end, is not opened; a file of 100 GB whose header speaks
    of 1 kB is not read to its end.

    Raises:
      ValueError: it is a directory, a pipe, a device or a socket, or larger than the memory.
      OSError: it does not exist, or cannot be read.

    >>> read(Path("/dev/null"))
    Traceback (most recent call last):
      ...
    ValueError: /dev/null is a device, not a file; name the file that was saved
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_ISDIR: "directory", stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket"}
        named = [kind for is_kind, kind in kinds.items() if is_kind(status.st_mode)] or ["device"]
        raise ValueError(f"{path} is a {named[0]}, not a file; name the file that was saved")
    with path.open("rb") as file:
        # the size of the header comes first, then the header
        header = min(int.from_bytes(file.read(8), "little"), _LONGEST_HEADER, status.st_size)
        ends = map(int, _END.findall(file.read(header)))
        length = min(8 + header + max(ends, default=0) + 1, status.st_size)
        memory.check(f"the content of {path}", length, "read it on a larger machine")
        file.seek(0)
        return file.read(length)


def unseal(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a file; the arrays are not views of `data`.

    Raises:
      DamagedError: a byte is not as it was sealed, too few or too many.

    >>> unseal(seal({}, {"unit": "m"}).replace(b'"m"', b'"k"'))
    Traceback (most recent call last):
      ...
    jnn.files.sealed.DamagedError: damaged: its content is not what its checksum says
    """
    # the size of the header comes first, then the header
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        tensors = dict(deserialize(data))
        header = json.loads(data[8:end])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise DamagedError(f"damaged: {error}") from error
    texts = header.get("__metadata__") or {}
    at = data.find(_NAME, 0, end) + len(_NAME)
    if data[at : at + len(_BLANK)] != _digest(data, at):
        raise DamagedError("damaged: its content is not what its checksum says", texts)
    texts.pop("sha256", None)
    try:
        arrays = {
            name: np.frombuffer(t["data"], DTYPES[t["dtype"]]).reshape(t["shape"])
            for name, t in tensors.items()
        }
    except (KeyError, ValueError) as error:
        # an unknown dtype or too many dimensions: not by `seal`, though the checksum is right
        raise DamagedError(f"damaged: it holds what NumPy cannot, {error}", texts) from error
    return texts, arrays


def is_key(leaf: Thing) -> bool:
    """Whether it is a typed key of JAX, or an array of such.

    >>> is_key(jax.random.key(0)), is_key(jnp.zeros(2))
    (True, False)
    """
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def host(leaf: Data) -> np.ndarray:
    """The leaf in NumPy, as a file holds it.

    That is contiguous, which safetensors needs, in this machine's byte order, and a key as its
    data.

    >>> host(np.array([1, 2], ">u2")).dtype == np.uint16, host(jax.random.key(7))
    (True, array([0, 7], dtype=uint32))
    """
    a = np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
    return np.asarray(a, a.dtype.newbyteorder("="), order="C")


def device(a: np.ndarray, like: Data) -> Data:
    """The array of a file in JAX, of the kind and in the place of `like`: the inverse of `host`.

    JAX may take over its memory, so nothing else may hold it.

    >>> device(np.array([0, 7], np.uint32), jax.random.key(0))
    Array((), dtype=key<fry>) overlaying:
    [0 7]
    """
    if is_key(like):
        return jax.random.wrap_key_data(jax.device_put(a), impl=jax.random.key_impl(like))
    # not `jnp.array`, which compiles a copy for every shape
    return jax.device_put(a, getattr(like, "sharding", None))


def fits(a: np.ndarray | None, like: Data) -> bool:
    """Whether the array of a file, if there is one, has the dtype and the shape of `like`.

    >>> fits(np.zeros(2, np.uint32), jax.random.key(0)), fits(None, jnp.zeros(2))
    (True, False)
    """
    expected = jax.random.key_data(like) if is_key(like) else like
    if not hasattr(expected, "dtype"):
        expected = np.asarray(expected)
    dtype = expected.dtype.newbyteorder("=")
    return a is not None and (a.dtype, a.shape) == (dtype, expected.shape)


def fingerprint(arrays: Iterable[Data]) -> str:
    """Sixteen digits that stand for bytes, shapes and dtypes of arrays.

    What is contiguous is read in place.

    Raises:
      TypeError: an array holds Python objects, whose bytes mean nothing.

    >>> fingerprint([np.zeros(3)]) == fingerprint([np.zeros((3, 1))])
    False
    """
    digest = hashlib.sha256()
    for a in map(host, arrays):
        if a.dtype.hasobject:
            raise TypeError(
                f"an array of dtype {a.dtype} has no fingerprint; make it one of numbers"
            )
        digest.update(f"{a.dtype.name} {a.shape} ".encode())
        # as bytes, because bfloat16 lends Python no memory of its own
        digest.update(a.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _digest(data: bytes, at: int) -> bytes:
    """The sha256 of the bytes, in hexadecimal, with zeros for the digest that stands there."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:at])
    digest.update(_BLANK)
    digest.update(view[at + len(_BLANK) :])
    return digest.hexdigest().encode()
