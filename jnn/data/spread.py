"""Rows that lie spread over the devices of a mesh: checked where they lie, each process its own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jnn import meshes
from jnn.checks import Thing
from jnn.data.rows import Rows, check_rows
from jnn.losses import LossLike
from jnn.params import Params


def is_spread(data: Thing, mesh: Mesh | None) -> bool:
    """Whether data are arrays whose rows lie spread along the first axis of the mesh.

    Raises:
      ValueError: they are other arrays of which some rows lie at other processes.

    >>> is_spread((np.ones((2, 1)), np.ones((2, 1))), None)
    False
    """
    given = data if isinstance(data, (tuple, list)) else ()
    arrays = [a for a in given if isinstance(a, Array) and not isinstance(a, Tracer)]
    axis = meshes.rows_axis(mesh)
    if arrays and len(arrays) == len(data) and all(_rows_axis(a) == axis for a in arrays):
        return axis is not None
    if not all(a.is_fully_addressable or a.is_fully_replicated for a in arrays):
        raise ValueError(
            "data hold rows that lie at other processes: give mesh=, with x, y and weights all "
            f"spread along its first axis{f', {axis!r}' if axis else ''}"
        )
    return False


def _rows_axis(a: Array) -> Any:
    """The name of the axis that its rows are spread along, or None."""
    first, *_ = (*a.sharding.spec, None) if isinstance(a.sharding, NamedSharding) else (None,)
    return first[0] if isinstance(first, tuple) and len(first) == 1 else first


def check_spread(
    params: Params, data: Thing, loss: LossLike, mesh: Mesh, name: str = "data"
) -> tuple[Rows, Rows]:
    """Rows as `check_rows` makes them, where they lie; and those of this process, on the host.

    Args:
      params, data, loss, name: as `check_rows`.
      mesh: whose first axis the rows lie spread along.
    Raises:
      ValueError, TypeError: as `check_rows`, or an example is of weight zero.
    """
    arrays = [_here(a) for a in data]
    here = check_rows(params, tuple(arrays), loss, name)
    if len(here.x) < len(arrays[0]):
        raise ValueError(
            f"weights of {name} hold zeros, but rows that lie spread over devices are not left "
            "out: give rows that count alone"
        )
    place = NamedSharding(mesh, PartitionSpec(meshes.rows_axis(mesh)))

    def put(array: np.ndarray) -> Array:
        shape = (len(data[0]), *array.shape[1:])
        return jax.make_array_from_process_local_data(place, array, shape)

    rows = jax.tree.map(put, here)
    if rows.weights is not None:
        rows = rows._replace(weights=rows.weights / jnp.mean(rows.weights))
    return rows, here


def _here(a: Array) -> np.ndarray:
    """The rows of this process, in their order."""
    parts = {shard.index[0].start or 0: shard.data for shard in a.addressable_shards}
    return np.concatenate([np.asarray(parts[first]) for first in sorted(parts)])
