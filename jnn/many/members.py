"""The members' parameters and states, (M, …) a leaf."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import checks
from jnn.checks import Thing, Tree
from jnn.many import groups
from jnn.params import Params
from jnn.precision import wide
from jnn.structure import check_params
from jnn.training.options import Settings
from jnn.training.sources import check_start
from jnn.training.state import Seen, State, unpacked
from jnn.training.stopping import START


def stacked(members: Thing) -> tuple[Params, int]:
    """Parameters with leaves (M, …), and M."""
    if isinstance(members, list) and members and isinstance(members[0], tuple):
        for member in members:
            check_params(member)
        structures = set(map(_structure, members))
        if len(structures) > 1:
            raise ValueError(
                f"members are networks of {len(structures)} structures (sizes, activations): call "
                "fit_many once for each"
            )
        members = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    if not isinstance(members, tuple) or not members:
        raise TypeError(
            f"members is a {type(members).__name__}; it must be parameters with leaves (M, …), as "
            "from jax.vmap of init_network_params over keys, or a list of networks"
        )
    leaves = jax.tree.leaves(members)
    if any(np.ndim(leaf) == 0 for leaf in leaves) or np.ndim(members[0].w) != 4:
        raise ValueError(
            f"members have weights of shape {np.shape(members[0].w)}; expected (M, depth, n_out, "
            "n_in), one network after the other: for a single network take fit"
        )
    count = len(leaves[0])
    if count == 0 or any(len(leaf) != count for leaf in leaves):
        raise ValueError(f"members have leaves of lengths {sorted({len(l) for l in leaves})}")
    if not all(np.isfinite(np.asarray(leaf)).all() for leaf in leaves):
        raise ValueError("members hold NaN or infinity before any step: draw them anew")
    check_start(jax.tree.map(lambda leaf: leaf[0], members))
    return members, count


def _structure(params: Params) -> Any:
    leaves, structure = jax.tree.flatten(params)
    return structure, *((np.shape(leaf), str(leaf.dtype)) for leaf in leaves)


def keys_of(key: Any, count: int) -> list[Any]:
    """One key for all, or one for each."""
    if key is None:
        return [jax.random.key(0)]
    if isinstance(key, (Array, np.ndarray)) and not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
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


def begun(settings: Settings, members: Params) -> State:
    """The states of all members before the first epoch, (M, …) a leaf, on the host."""
    members = on_host(members)
    count = len(members[0].w)
    size = groups.group_size(count, groups.threads())
    parts = []
    for start in range(0, count, size):
        index = np.minimum(np.arange(start, start + size), count - 1)
        group = jax.tree.map(lambda leaf, index=index: leaf[index], members)
        parts.append(jax.device_get(_begun(settings, group)))
    p, optimizer = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    dtype = wide(settings.dtype)
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
def _begun(settings: Settings, members: Params) -> tuple[Tree, Tree]:
    """Parameters as a run carries them, and the optimizer's states."""
    p: Any = jax.tree.map(lambda leaf: leaf.astype(wide(settings.dtype)), members)
    if settings.packing is not None:
        p = jax.vmap(settings.packing.flatten)(p)
    return p, jax.vmap(settings.optimizer.init)(p)


@partial(jax.jit, static_argnums=0)
def _unpacked(settings: Settings, found: Any) -> Any:
    return jax.vmap(partial(unpacked, settings))(found)


def networks(settings: Settings, found: Any) -> Any:
    """Last and best parameters and the optimizers' states, as networks'."""
    as_they_are = settings.packing is None and wide(settings.dtype) == settings.dtype
    return found if as_they_are else _unpacked(settings, found)
