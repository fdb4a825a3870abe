"""The members by structure: their parameters and states, (m, …) a leaf."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jnn import checks
from jnn.checks import Thing, Tree
from jnn.params import Params, Stack
from jnn.precision import wide
from jnn.structure import as_arrays, check_params
from jnn.training.options import Settings
from jnn.training.sources import check_start
from jnn.training.state import Seen, State
from jnn.training.stopping import START


class Alike(NamedTuple):
    """Networks of one structure."""

    places: np.ndarray  # which of the members they are
    params: Any  # (m, …) a leaf


def by_structure(members: Thing) -> list[Alike]:
    """Parameters with leaves (M, …), or a list of networks of any structures, as stacks of those.

    Raises:
      TypeError, ValueError: they are no networks, of two dtypes, or not finite.

    >>> [len(alike.places) for alike in by_structure([jnn.from_layers([(1.0, 0.0)])] * 3)]
    [3]
    """
    if isinstance(members, list) and members:
        found = _of_list(members)
    else:
        found = [Alike(np.arange(_count(members)), jax.tree.map(_as_numpy, members))]
    for alike in found:
        check_params(one_of(alike.params, 0))
        leaves = jax.tree.leaves(alike.params)
        finite = [np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in leaves]
        wrong = alike.places[~np.all(finite, axis=0)]
        if len(wrong):
            raise ValueError(
                f"{len(wrong)} members hold NaN or infinity before any step, the first of them "
                f"member {wrong[0]}: draw them anew"
            )
        check_start(jax.device_put(one_of(alike.params, 0)))
    return found


def _of_list(members: list[Any]) -> list[Alike]:
    structures: dict[Any, list[int]] = {}
    members = [_network(member, i) for i, member in enumerate(members)]
    for i, member in enumerate(members):
        structures.setdefault(_structure(member), []).append(i)
    dtypes = sorted({str(member[0].w.dtype) for member in members})
    if len(dtypes) > 1:
        raise ValueError(f"members are of dtypes {' and '.join(dtypes)}: give all of them one")
    return [
        Alike(np.array(index), jax.tree.map(_stack, *(members[i] for i in index)))
        for index in structures.values()
    ]


def _network(member: Thing, i: int) -> Params:
    try:
        return as_arrays(member)
    except (TypeError, ValueError) as error:
        raise type(error)(f"member {i} is no network: {error}") from error


def _stack(*leaves: Any) -> np.ndarray:
    return np.stack([np.asarray(leaf) for leaf in leaves])


def _as_numpy(leaf: Any) -> np.ndarray:
    """On the host, of a dtype that JAX has; without a program, which a new shape would compile."""
    if isinstance(leaf, Tracer):
        raise TypeError(
            "members are traced, but fit_many compiles itself and looks at its data: call it "
            "outside of jit, grad and vmap"
        )
    array = np.asarray(leaf)
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)


def _count(members: Thing) -> int:
    """M of stacked members."""
    if not isinstance(members, tuple) or not members:
        what = "an empty list" if isinstance(members, list) else f"a {type(members).__name__}"
        raise TypeError(
            f"members is {what}; it must be parameters with leaves (M, …), as from jax.vmap of "
            "init_network_params over keys, or a list of networks"
        )
    if not all(isinstance(stack, Stack) for stack in members):
        raise TypeError(
            f"members are a tuple of {type(members[0]).__name__}; networks of several structures "
            "are given as a list"
        )
    leaves = jax.tree.leaves(members)
    if any(np.ndim(leaf) == 0 for leaf in leaves) or np.ndim(members[0].w) != 4:
        raise ValueError(
            f"members have weights of shape {np.shape(members[0].w)}; expected (M, depth, n_out, "
            "n_in), one network after the other: for a single network take fit"
        )
    count = len(leaves[0])
    if count == 0:
        raise ValueError("there are no members: their leaves (M, …) have M = 0")
    if any(len(leaf) != count for leaf in leaves):
        lengths = sorted({len(leaf) for leaf in leaves})
        raise ValueError(
            f"members have leaves of lengths {lengths}; each must be (M, …), of one M: jax.vmap of "
            "init_network_params over M keys makes them"
        )
    return count


def _structure(params: Params) -> Any:
    leaves, structure = jax.tree.flatten(params)
    return structure, *((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)


def one_of(stacked: Tree, i: Any) -> Tree:
    """Member i of leaves (M, …); or several, where i is an index of several."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)


def keys_of(key: Any, count: int) -> list[Any]:
    """One key for all, or one for each."""
    if key is None:
        return [jax.random.key(0)]
    if isinstance(key, (list, tuple)) and key and all(isinstance(one, Array) for one in key):
        key = jnp.stack([checks.key(one) for one in key])
    if isinstance(key, (Array, np.ndarray)) and not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != np.uint32 or key.shape[-1:] != jax.random.PRNGKey(0).shape:
            raise TypeError(
                f"key is an array of {key.dtype} {key.shape}; it must be one key, "
                "jax.random.key(0), or one for each member, jax.random.split(key, M)"
            )
        key = jax.random.wrap_key_data(jnp.asarray(key))  # a raw one
    if np.ndim(key) == 0:
        return [checks.key(key)]
    if np.shape(key) != (count,):
        raise ValueError(
            f"key has shape {np.shape(key)}; it must be one key, or {count} keys, one for each "
            "member (jax.random.split)"
        )
    return [checks.key(one) for one in key]


def on_host(tree: Tree) -> Tree:
    """Arrays of the host's own, to be written to."""
    return jax.tree.map(lambda leaf: np.array(leaf), tree)


def begun(settings: Settings, members: Params, size: int) -> State:
    """The states of all members before the first epoch, (M, …) a leaf, on the host.

    Args:
      settings, members: of one structure.
      size: of a group, which is what is on the device at once.
    """
    count = len(members[0].w)
    dtype = wide(settings.dtype)
    p: Any = jax.tree.map(lambda leaf: leaf.astype(dtype), members)  # a copy, to be written to
    if settings.packing is not None:
        p = settings.packing.flatten(p)
    parts = []
    for start in range(0, count, size):
        group = one_of(p, np.minimum(np.arange(start, start + size), count - 1))
        parts.append(jax.device_get(_begun(settings.optimizer, group)))
    optimizer = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    zero = np.zeros(count, np.int32)
    return State(
        params=p,
        optimizer=optimizer,
        step=zero,
        epoch=zero.copy(),
        reason=zero.copy(),
        memory=np.tile(np.asarray(START, dtype), (count, 1)),
        seen=np.zeros((count, len(Seen._fields)), dtype),
        best=jax.tree.map(np.copy, p) if settings.monitors else None,
    )


@partial(jax.jit, static_argnums=0)
def _begun(optimizer: Any, p: Tree) -> Tree:
    """The optimizer's states; compiled once for all structures whose arrays have these shapes."""
    return jax.vmap(optimizer.init)(p)


def together(parts: list[tuple[np.ndarray, Any]]) -> Any:
    """What is found of the members of every structure: (M, …) a leaf, or for several a list.

    Args:
      parts: which members they are, and leaves (m, …), which the run goes on to write in.
    """
    # copies: `device_put` may keep NumPy's memory; `jnp.array` compiles a program for each shape
    if len(parts) == 1:
        return jax.device_put(on_host(parts[0][1]))
    members: dict[int, Any] = {}
    for index, found in parts:
        members |= {int(i): one_of(found, place) for place, i in enumerate(index)}
    return jax.device_put(on_host([members[i] for i in range(len(members))]))


def of_members(found: Any, index: Any) -> Any:
    """Of `together`: of one member, or of several where the index is of several.

    JAX's arrays are read on the host, where no new index compiles a program.
    """
    if isinstance(found, list):
        return found[index] if np.ndim(index) == 0 else [found[i] for i in index]
    if isinstance(found, dict):  # whose order jax.tree.map would change
        return {name: column[index] for name, column in found.items()}
    if any(isinstance(leaf, Array) for leaf in jax.tree.leaves(found)):
        return jax.device_put(on_host(one_of(jax.device_get(found), index)))
    return one_of(found, index)
