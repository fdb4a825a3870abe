"""A network as a sealed file: its structure in the header, and loaded without running any code.

The arrays are "0.w", "0.b", "1.w", …, a pair a stack, and their shapes are the sizes; those of M
stacked networks begin with M. The texts are format, version, and per stack "0.activation" (or
"0.function", the name of a function of the user's) and "0.residual".
"""

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks
from jnn.activations import ACTIVATIONS, ActivationLike, check as check_activation
from jnn.checks import short
from jnn.files import sealed
from jnn.files.atomic import write_atomically
from jnn.outputs import OUTPUTS
from jnn.params import Params, Stack
from jnn.structure import count_members
from jnn.transfers import meant

Functions: TypeAlias = Mapping[str, Callable[[Array], Array]]

FORMAT, VERSION = "jnn", "2"
DTYPES = [dtype for dtype in sealed.DTYPES.values() if jnp.issubdtype(dtype, jnp.floating)]
_HELD = ", ".join(dtype.name for dtype in DTYPES)
_AGAIN = "save the network again, or take another copy of the file"


def save(
    path: str | os.PathLike[str], params: Params, *, activations: Functions | None = None
) -> None:
    """Write a network, or many of one structure, to a safetensors file, whole or not at all.

    An interrupted save leaves the file as it was. Every bit survives, NaN and infinity included;
    the name is kept as given, ".safetensors" is the customary suffix.

    Args:
      path: of the file; its directory must exist. A file that stands there is replaced.
      params: the network; or stacked ones, leaves (M, …), such as the `params` of `Fits`.
      activations: names of the functions of your own among the activations, {"bent": bent}, for
        `load` to ask for.
    Raises:
      FileNotFoundError: the directory does not exist.
      ValueError: the path is not that of a file, an activation is a function without a name, a name
        in `activations` is one of jnn's own, an output that mixes entries stands elsewhere than in
        the last layer, or the parameters are not a network, or stacked ones, of float64, float32,
        float16 or bfloat16.
      TypeError: the parameters are not a tuple of stacks.

    >>> import tempfile
    >>> params = jnn.init_network_params([2, 8, 8, 1], jax.random.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.safetensors", params)
    ...     again = load(f"{folder}/net.safetensors")
    >>> jnn.sizes(again), again[0].activation, bool((again[1].w == params[1].w).all())
    ((2, 8, 8, 1), 'tanh', True)
    """
    count_members(params)
    functions = _check_names(activations)
    arrays = {}
    texts = {"format": FORMAT, "version": VERSION}
    for i, stack in enumerate(params):
        kind, name = _name(stack.activation, functions)
        arrays |= {f"{i}.w": stack.w, f"{i}.b": stack.b}
        texts |= {f"{i}.{kind}": name, f"{i}.residual": json.dumps(bool(stack.residual))}
    write_atomically(path, sealed.seal(arrays, texts))


@meant
def load(path: str | os.PathLike[str], *, activations: Functions | None = None) -> Params:
    """Read the network, or the many, that `save` wrote: the same bits, in the same tree.

    Args:
      path: of the file. What it holds is data: no code of the file's is run, whoever wrote it.
      activations: the functions whose names were given to `save`, {"bent": bent}; names not in the
        file are ignored.
    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the path is a directory, a pipe or a device; the file is damaged, not written by
        `save`, or by another version of it, or too large; an activation is unknown, or a function
        that `activations` lacks; a name in `activations` is one of jnn's own; the file holds
        float64 and x64 is off.

    >>> import tempfile
    >>> def bent(z): return jnp.sqrt(z * z + 1) + z
    >>> params = jnn.init_network_params([2, 8, 1], jax.random.key(0), activation=bent)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.safetensors", params, activations={"bent": bent})
    ...     load(f"{folder}/net.safetensors", activations={"bent": bent})[0].activation is bent
    True
    """
    texts, arrays = _read(path)
    asked = {name for key, name in texts.items() if key.endswith(".function")}
    stacks = _stacks(path, texts, arrays, _check_names(activations, asked))
    try:
        count_members(stacks)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no network: {short(str(error))}; {_AGAIN}") from error
    wide = any(a.dtype.itemsize == 8 for a in arrays.values())
    if wide and not jax.config.read("jax_enable_x64"):
        remedy = "call jax.config.update('jax_enable_x64', True) first"
        raise ValueError(
            f"{path} holds float64, which JAX would cut to float32 while x64 is off; {remedy}, or "
            "save the network as float32"
        )
    # A copy: on a CPU, JAX may otherwise share the memory of the bytes that were read.
    return tuple(Stack(jnp.array(s.w), jnp.array(s.b), s.activation, s.residual) for s in stacks)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The texts and the arrays of a file of ours that is whole."""
    try:
        texts, arrays = sealed.unseal(sealed.read(Path(path)))
    except sealed.DamagedError as error:
        if error.texts is None:
            reason = f"is not a safetensors file, or is {error}"
        else:
            _check_format(path, error.texts)
            reason = f"is {error}"
        raise ValueError(f"{path} {reason}; {_AGAIN}") from error
    _check_format(path, texts)
    unfit = {
        name: (a.dtype.name, a.shape)
        for name, a in arrays.items()
        if a.dtype not in DTYPES or a.ndim not in (2, 3, 4) or a.size == 0
    }
    if unfit:
        raise ValueError(
            f"{path} holds {short(str(unfit))}; networks hold {_HELD} of 2 to 4 "
            f"dimensions; {_AGAIN}"
        )
    return texts, arrays


def _check_format(path: str | os.PathLike[str], texts: dict[str, str]) -> None:
    if texts.get("format") != FORMAT:
        raise ValueError(
            f"{path} is a safetensors file, but not a network of jnn's: load it with what wrote it"
        )
    if texts.get("version") != VERSION:
        reason = (
            f"format version {short(str(texts.get('version')))}, this jnn reads version {VERSION}"
        )
        raise ValueError(f"{path} is of {reason}; update jnn, or save the network with this one")


def _stacks(
    path: str | os.PathLike[str],
    texts: dict[str, str],
    arrays: dict[str, np.ndarray],
    functions: Functions,
) -> Params:
    """The stacks that the texts speak of, of NumPy's arrays."""
    count = sum(key.endswith(".residual") for key in texts)
    expected = {f"{i}.{name}" for i in range(count) for name in "wb"}
    if arrays.keys() != expected:
        missing = sorted(expected - arrays.keys())
        extra = sorted(arrays.keys() - expected)
        raise ValueError(
            f"{path} lacks the tensors {short(str(missing))} and has {short(str(extra))} beyond "
            f"the structure it names; {_AGAIN}"
        )
    stacks = []
    for i in range(count):
        activation = _activation(path, i, texts, functions)
        residual = {"true": True, "false": False}.get(texts.get(f"{i}.residual", ""))
        if residual is None:
            raise ValueError(
                f"{path} does not say whether stack {i} is residual, 'true' or 'false'; {_AGAIN}"
            )
        stacks.append(Stack(arrays[f"{i}.w"], arrays[f"{i}.b"], activation, residual))
    return tuple(stacks)


def _is_ours(name: str) -> bool:
    """Whether jnn has an activation of that name, that of an output among them."""
    return name in ACTIVATIONS or name in OUTPUTS


def _check_names(activations: Functions | None, asked: Collection[str] = ()) -> Functions:
    """The functions by name, none of them a name of jnn's own.

    Except where a file asks for it: jnn may have come to know the name since the file was written.
    """
    functions = activations or {}
    for name, function in functions.items():
        if _is_ours(name) and name not in asked:
            raise ValueError(
                f"activations has {name!r}, the name of one of jnn's own; give your function "
                "another name"
            )
        checks.function(f"activations[{name!r}]", function, "a function, {'bent': bent}")
        check_activation(function)
    return functions


def _name(activation: ActivationLike, functions: Functions) -> tuple[str, str]:
    """The key and the value of an activation among the texts."""
    if isinstance(activation, str):
        if activation not in OUTPUTS:
            check_activation(activation)
        return "activation", activation
    for name, function in functions.items():
        if function == activation:
            return "function", name
    called = getattr(activation, "__name__", "h").strip("<>")
    remedy = f"give it a name, activations={{{called!r}: {called}}}, in save and in load"
    raise ValueError(
        f"the activation {activation!r} is a function, and a file holds no code; {remedy}; or use "
        f"one of {', '.join(ACTIVATIONS)}"
    )


def _activation(
    path: str | os.PathLike[str], i: int, texts: dict[str, str], functions: Functions
) -> ActivationLike:
    """The activation of stack i.

    One that was a function when it was saved is one now, whatever names jnn has come to know.
    """
    name = texts.get(f"{i}.function")
    if name is not None:
        if name not in functions:
            raise ValueError(
                f"{path} uses a function {short(repr(name))} that is not jnn's as the activation "
                f"of stack {i}; pass it, load(path, activations={{{short(repr(name))}: …}})"
            )
        return functions[name]
    name = texts.get(f"{i}.activation")
    if name is None or not _is_ours(name):
        known = ", ".join([*ACTIVATIONS, *OUTPUTS])
        raise ValueError(
            f"{path} has the unknown activation {short(repr(name))} in stack {i} (known: {known}); "
            f"update jnn, or {_AGAIN}"
        )
    return name
