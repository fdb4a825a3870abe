"""The structure of a network, checked where parameters come in: stacks that chain, of one dtype.

`init_network_params` and `from_layers` make nothing else; a `Stack` built by hand may hold
anything, and what merely broadcasts would compute another network than was meant.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jnn import activations, checks
from jnn.checks import Thing
from jnn.outputs import mixing
from jnn.params import Params, Stack

# of NumPy's in this machine's byte order; JAX has no others
FLOATS = tuple(jnp.dtype(name) for name in ("float16", "bfloat16", "float32", "float64"))
_FLOATS = ", ".join(dtype.name for dtype in FLOATS)
_ONE_DTYPE = "all must be of one: jax.tree.map(lambda a: jnp.asarray(a, float), params)"


def check_params(params: Thing) -> tuple[int, ...]:
    """The layer sizes, or an error that names the stack where `params` are not one network's.

    It looks at shapes and types alone, so that traced parameters will do, and remembers what it
    found by them: a call costs microseconds, at any depth.

    Raises:
      TypeError: not a tuple of stacks of floating-point arrays; an activation or `residual` is of
        the wrong kind.
      ValueError: shapes are not (depth, n_out, n_in) and (depth, n_out), or do not chain; layers
        of a deep or residual stack change the width; dtypes differ; an activation is unknown or
        mixes entries elsewhere than at the end; an array was deleted.

    >>> check_params(jnn.from_layers([(1.0, 2.0), (3.0, 4.0)]))
    (1, 1, 1)
    """
    return _examined(params).sizes


def as_arrays(params: Thing) -> Params:
    """The parameters, NumPy's arrays made JAX's, or an error as from `check_params`.

    >>> params = jax.device_get(jnn.from_layers([(1.0, 2.0)]))
    >>> isinstance(as_arrays(params)[0].w, jax.Array)
    True
    """
    return jax.tree.map(jnp.asarray, params) if _examined(params).on_the_host else params


def count_members(params: Thing) -> int | None:
    """How many networks of one structure are stacked, leaves (M, …); None for a single network.

    Raises:
      TypeError, ValueError: as from `check_params`, or the leaves hold different numbers of
        networks, or none.

    >>> params = jnn.from_layers([(1.0, 2.0)])
    >>> count_members(params), count_members(jax.tree.map(lambda a: jnp.stack([a, a]), params))
    (None, 2)
    """
    several = isinstance(params, tuple) and bool(params)
    if not several or not all(np.ndim(getattr(stack, "w", 0)) == 4 for stack in params):
        check_params(params)
        return None
    leaves = jax.tree.leaves(params)
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in leaves}
    if len(counts) > 1 or counts <= {0, None}:
        raise ValueError(
            f"the leaves have shapes {[np.shape(leaf) for leaf in leaves]}; stacked networks have "
            "leaves (M, …), M the same for all and at least 1"
        )
    _check_alive(params)
    check_params(jax.tree.map(lambda leaf: leaf[0], params))
    return counts.pop()


class _Found(NamedTuple):
    """What a network is by its shapes and types."""

    sizes: tuple[int, ...]  # (n_0, …, n_N)
    on_the_host: bool  # whether arrays are NumPy's


def _examined(params: Thing) -> _Found:
    stacks = isinstance(params, tuple) and all(isinstance(stack, Stack) for stack in params)
    if not stacks or not params:
        got = "an empty tuple" if params == () else f"a {type(params).__name__}"
        raise TypeError(
            "params must be a tuple of stacks, as from init_network_params; "
            f"got {got}: use from_layers for a list of (W, b)"
        )
    found = _found(tuple([_described(i, stack) for i, stack in enumerate(params)]))
    _check_alive(params)
    return found


def _check_alive(params: Params) -> None:
    for i, stack in enumerate(params):
        for a in (stack.w, stack.b):
            if isinstance(a, jax.Array) and not isinstance(a, Tracer) and a.is_deleted():
                raise ValueError(
                    f"stack {i} holds an array that was deleted, as jit deletes what is "
                    "donated to it (donate_argnums): go on with what that function returned, or "
                    "donate a copy, jax.tree.map(jnp.copy, params)"
                )


# ---- one stack ----


class _Description(NamedTuple):
    """All of a stack but its numbers."""

    kind_w: Any
    kind_b: Any
    w: tuple[int, ...]
    b: tuple[int, ...]
    dtype_w: Any
    dtype_b: Any
    activation: Any
    residual: bool


def _described(i: int, stack: Stack) -> _Description:
    w, b, h = stack.w, stack.b, stack.activation
    if not isinstance(h, str):
        checks.function(f"the activation of stack {i}", h, "a name or a function")
    residual = checks.flag(f"residual of stack {i}", stack.residual)
    try:
        return _Description(type(w), type(b), w.shape, b.shape, _dtype(w), _dtype(b), h, residual)
    except AttributeError as error:
        raise TypeError(
            f"stack {i} holds w of type {type(w).__name__} and b of type "
            f"{type(b).__name__}; both must be arrays: use from_layers for lists and numbers"
        ) from error


def _dtype(a: Any) -> Any:
    """What an array is to JAX, to which NumPy's float64 is float32 unless x64 is on."""
    host = isinstance(a, np.ndarray) and a.dtype == np.float64
    return jax.dtypes.canonicalize_dtype(a.dtype) if host else a.dtype


@lru_cache(maxsize=256)
def _found(stacks: tuple[_Description, ...]) -> _Found:
    """Of stacks that make a network, or an error; looked at once for each network's structure."""
    for i, stack in enumerate(stacks):
        _check_arrays(i, stack)
    for i, (left, right) in enumerate(pairwise(stacks)):
        if left.w[1] != right.w[2]:
            raise ValueError(
                f"the stacks do not chain: stack {i} gives {left.w[1]} values, stack {i + 1} takes "
                f"{right.w[2]}; their weights (depth, n_out, n_in) have shapes {left.w} and "
                f"{right.w}"
            )
        if left.dtype_w != right.dtype_w:
            raise ValueError(
                f"stack {i} is of {left.dtype_w} and stack {i + 1} of {right.dtype_w}; {_ONE_DTYPE}"
            )
    for i, stack in enumerate(stacks):
        _check_activation(i, stack, last=i == len(stacks) - 1)
    widths = (stack.w[1] for stack in stacks for _ in range(stack.w[0]))
    kinds = [kind for stack in stacks for kind in (stack.kind_w, stack.kind_b)]
    return _Found((stacks[0].w[2], *widths), any(issubclass(kind, np.ndarray) for kind in kinds))


def _check_arrays(i: int, stack: _Description) -> None:
    """Shapes and types of one stack, which is named by its number."""
    w, b = stack.w, stack.b
    for kind in (stack.kind_w, stack.kind_b):
        known = issubclass(kind, (jax.Array, Tracer, np.ndarray))
        if not known or issubclass(kind, np.ma.MaskedArray):
            raise TypeError(
                f"stack {i} holds a {kind.__module__}.{kind.__name__}; it must hold "
                "arrays of JAX's or NumPy's"
            )
    if len(w) != 3 or b != w[:2]:
        hint = (
            ": members of many networks go to fit_many, or under jax.vmap"
            if len(w) == 4 and b == w[:3]
            else ""
        )
        raise ValueError(
            f"stack {i} has w {w} and b {b}; expected w (depth, n_out, n_in) and b (depth, n_out)"
            + hint
        )
    if 0 in w:
        raise ValueError(f"stack {i} has w {w}; depth, n_out and n_in must be at least 1")
    if w[1] != w[2] and (w[0] > 1 or stack.residual):
        raise ValueError(
            f"stack {i}, deep or residual, takes {w[2]} values and gives {w[1]}; they must be "
            "equal: a layer that changes the width is a stack of its own, without residual"
        )
    if stack.dtype_w not in FLOATS:
        raise TypeError(
            f"stack {i} holds {stack.dtype_w}; parameters must be of {_FLOATS}: w.astype(float)"
        )
    if stack.dtype_w != stack.dtype_b:
        raise ValueError(
            f"stack {i} has w of {stack.dtype_w} and b of {stack.dtype_b}; {_ONE_DTYPE}"
        )


def _check_activation(i: int, stack: _Description, *, last: bool) -> None:
    if mixing(stack.activation) is None:
        activations.check(stack.activation)
    elif not last or stack.w[0] > 1 or stack.residual:
        raise ValueError(
            f"stack {i} of depth {stack.w[0]} has activation {stack.activation!r}, which "
            "mixes entries: only the readout, one layer in the last stack that adds no input, "
            "may have it"
        )
