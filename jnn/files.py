"""Files: a network saved as safetensors, with its structure in the header, and loaded without running any code.

The tensors are "0.w", "0.b", "1.w", …, a pair a stack, and their shapes are the sizes. The header's metadata hold the
format, its version, per stack "0.activation" (or "0.function", the name of a function of the user's) and "0.residual",
and a sha256 of all of it, because safetensors itself would not notice a flipped byte.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as serialize

from jnn.activations import ACTIVATIONS
from jnn.activations import check as check_activation
from jnn.params import Params, Stack, check_params

Functions: TypeAlias = Mapping[str, Callable[[Array], Array]]

FORMAT, VERSION = "jnn", "1"
DTYPES = {name: np.dtype(d) for name, d in [("F64", "f8"), ("F32", "f4"), ("F16", "f2"), ("BF16", jnp.bfloat16)]}
_AGAIN = "save the network again, or take another copy of the file"


def save(path: str | os.PathLike[str], params: Params, *, activations: Functions | None = None) -> None:
    """Write a network to a safetensors file, whole or not at all: an interrupted save leaves the file as it was.

    Every bit survives, NaN and infinity included; the name is kept as given, ".safetensors" is the usual suffix.

    Args:
      path: of the file; its directory must exist. A file that stands there is replaced.
      activations: names of the functions of your own among the activations, {"bent": bent}, for `load` to ask for.
    Raises:
      FileNotFoundError: the directory does not exist.
      ValueError: the path is no place for a file, an activation is a function without a name, a name in `activations`
        is one of `ACTIVATIONS`, or the parameters are no network of float64, float32, float16 or bfloat16.
      TypeError: the parameters are not a tuple of stacks.

    >>> import tempfile
    >>> params = jnn.init_network_params([2, 8, 8, 1], jax.random.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.safetensors", params)
    ...     again = load(f"{folder}/net.safetensors")
    >>> jnn.sizes(again), again[0].activation, bool((again[1].w == params[1].w).all())
    ((2, 8, 8, 1), 'tanh', True)
    """
    _check_network(params)
    functions = _check_names(activations)
    # Contiguous, because safetensors writes a transposed array in the wrong order.
    tensors = {f"{i}.{k}": np.ascontiguousarray(a) for i, s in enumerate(params) for k, a in [("w", s.w), ("b", s.b)]}
    metadata = {"format": FORMAT, "version": VERSION}
    for i, stack in enumerate(params):
        kind, name = _name(stack.activation, functions)
        metadata |= {f"{i}.{kind}": name, f"{i}.residual": json.dumps(bool(stack.residual))}
    metadata["sha256"] = _digest(metadata, tensors)
    write_atomically(path, serialize(tensors, metadata))


def load(path: str | os.PathLike[str], *, activations: Functions | None = None) -> Params:
    """Read the network that `save` wrote: the same parameters to the bit, in the same tree.

    Args:
      path: of the file. What it holds is data: no code of the file's is run, whoever wrote it.
      activations: the functions whose names were given to `save`, {"bent": bent}; names not in the file are ignored.
    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the path is a directory; the file is damaged, not written by `save`, or by a later version of it; an
        activation is unknown, or a function that `activations` lacks; a name in `activations` is one of `ACTIVATIONS`;
        the file holds float64 and x64 is off.

    >>> import tempfile
    >>> def bent(z): return jnp.sqrt(z * z + 1) + z
    >>> params = jnn.init_network_params([2, 8, 1], jax.random.key(0), activation=bent)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.safetensors", params, activations={"bent": bent})
    ...     load(f"{folder}/net.safetensors", activations={"bent": bent})[0].activation is bent
    True
    """
    if Path(path).is_dir():
        raise ValueError(f"{path} is a directory; name the file in it")
    metadata, tensors = _read(path, Path(path).read_bytes())
    functions = _check_names(activations, asked={name for key, name in metadata.items() if key.endswith(".function")})
    count = sum(key.endswith(".residual") for key in metadata)
    expected = {f"{i}.{name}" for i in range(count) for name in "wb"}
    if tensors.keys() != expected:
        missing, extra = sorted(expected - tensors.keys()), sorted(tensors.keys() - expected)
        raise ValueError(f"{path} lacks the tensors {missing} and has {extra} beyond the structure it names; {_AGAIN}")
    stacks = []
    for i in range(count):
        activation = _activation(path, i, metadata, functions)
        residual = {"true": True, "false": False}.get(metadata.get(f"{i}.residual", ""))
        if residual is None:
            raise ValueError(f"{path} does not say whether stack {i} is residual, 'true' or 'false'; {_AGAIN}")
        stacks.append(Stack(tensors[f"{i}.w"], tensors[f"{i}.b"], activation, residual))
    try:
        _check_network(tuple(stacks))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no network: {error}; {_AGAIN}") from error
    if any(a.dtype.itemsize == 8 for a in tensors.values()) and not jax.config.read("jax_enable_x64"):
        remedy = "call jax.config.update('jax_enable_x64', True) first, or save the network as float32"
        raise ValueError(f"{path} holds float64, which JAX would cut to float32 while x64 is off; {remedy}")
    # A copy: on a CPU, JAX may otherwise share the memory of the bytes that were read.
    return tuple(Stack(jnp.array(s.w), jnp.array(s.b), s.activation, s.residual) for s in stacks)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all; a link is followed, and what goes wrong leaves no temporary file behind.

    Only a process killed on the way leaves one (".….tmp"), beside a file that is as it was.

    Raises:
      FileNotFoundError: the directory does not exist.
      ValueError: the path is a directory or a device.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is no regular file; name a file in it or beside it, such as 'net.safetensors'")
    if not target.parent.is_dir():
        remedy = "make it first, Path(…).mkdir(parents=True)"
        raise FileNotFoundError(f"{path} cannot be written: there is no directory {target.parent}; {remedy}")
    # Beside the target, because a rename is atomic within one file system only; and not by `tempfile`, whose files are
    # readable to their owner alone.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine could leave the new name on an empty file
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Any, data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The metadata and the tensors of a file of ours that is whole."""
    try:
        raw = dict(deserialize(data))
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or is damaged ({error}); {_AGAIN}") from error
    size = int.from_bytes(data[:8], "little")  # a safetensors file begins with the size of its JSON header
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is a safetensors file, but no network of jnn's: load it with what wrote it")
    if metadata.get("version") != VERSION:
        found = f"format version {metadata.get('version')}, this jnn reads version {VERSION}"
        raise ValueError(f"{path} is of {found}; update jnn, or save the network with this one")
    strange = {
        name: (t["dtype"], t["shape"])
        for name, t in raw.items()
        if t["dtype"] not in DTYPES or len(t["shape"]) not in (2, 3) or 0 in t["shape"]
    }
    if strange:
        raise ValueError(f"{path} holds {strange}; networks hold {', '.join(DTYPES)} of 2 or 3 dimensions; {_AGAIN}")
    tensors = {name: np.frombuffer(t["data"], DTYPES[t["dtype"]]).reshape(t["shape"]) for name, t in raw.items()}
    if metadata.pop("sha256", None) != _digest(metadata, tensors):
        raise ValueError(f"{path} is damaged: its content is not what its checksum says; {_AGAIN}")
    return metadata, tensors


def _digest(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """The sha256 of all that the parameters are made of: the header can be damaged as well as the numbers."""
    shapes = [(name, a.dtype.name, a.shape) for name, a in sorted(tensors.items())]
    digest = hashlib.sha256(json.dumps([sorted(metadata.items()), shapes]).encode())
    for name, _, _ in shapes:
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def _check_names(activations: Functions | None, asked: Collection[str] = ()) -> Functions:
    """The functions by name. A file may ask for a name that jnn has come to know since; else such a name is refused."""
    functions = activations or {}
    for name, function in functions.items():
        if name in ACTIVATIONS and name not in asked:
            raise ValueError(f"activations has {name!r}, the name of one of jnn's own; give your function another name")
        if not callable(function):
            raise TypeError(f"activations must map names to functions, {{'bent': bent}}; {name!r} is {function!r}")
        check_activation(function)
    return functions


def _name(activation: Any, functions: Functions) -> tuple[str, str]:
    """The key and the value of an activation in the metadata."""
    if isinstance(activation, str):
        check_activation(activation)
        return "activation", activation
    for name, function in functions.items():
        if function == activation:
            return "function", name
    own = getattr(activation, "__name__", "h").strip("<>")
    remedy = (
        f"give it a name, activations={{{own!r}: {own}}}, in save and in load; or use one of {', '.join(ACTIVATIONS)}"
    )
    raise ValueError(f"the activation {activation!r} is a function, and a file holds no code; {remedy}")


def _activation(path: Any, i: int, metadata: dict[str, str], functions: Functions) -> Any:
    """The activation of stack i; one that was a function then is one now, whatever names jnn has come to know."""
    if (name := metadata.get(f"{i}.function")) is not None:
        if name not in functions:
            remedy = f"pass it, load(path, activations={{{name!r}: …}})"
            raise ValueError(
                f"{path} uses a function {name!r} that is not jnn's as the activation of stack {i}; {remedy}"
            )
        return functions[name]
    name = metadata.get(f"{i}.activation")
    if name not in ACTIVATIONS:
        known = f"known: {', '.join(ACTIVATIONS)}"
        raise ValueError(f"{path} has the unknown activation {name!r} in stack {i} ({known}); update jnn, or {_AGAIN}")
    return name


def _check_network(params: Params) -> None:
    """A tuple of stacks that chain, of shapes and types that can be walked once they are loaded."""
    check_params(params)
    for i, (w, b, residual) in enumerate((stack.w, stack.b, stack.residual) for stack in params):
        depth, n_out, n_in = np.shape(w)
        if np.shape(b) != (depth, n_out) or 0 in np.shape(w):
            shapes = f"w {np.shape(w)} and b {np.shape(b)}"
            raise ValueError(f"stack {i} has {shapes}; expected w (depth, n_out, n_in) and b (depth, n_out)")
        if n_in != n_out and (depth > 1 or residual):
            raise ValueError(f"stack {i}, deep or residual, takes {n_in} values and gives {n_out}; must be equal")
        if other := {str(np.asarray(a).dtype) for a in (w, b)} - {d.name for d in DTYPES.values()}:
            raise ValueError(f"stack {i} holds {other}; a file holds {', '.join(d.name for d in DTYPES.values())}")
