"""Small networks' parameters as one vector: an optimizer's update is one operation then, not one for each array.

Compiled for a CPU, every operation costs some tenths of a microsecond, however little it does: on the network 10-100-1
with Adam the step takes 5 µs in place of 8, and compiles in half the time. Large parameters stay a tree, because they
would be copied to and fro.
"""

import math
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.params import Params

LIMIT = 2**14  # numbers; measured: at 7,500 the vector is as fast as the tree, at 550,000 ten times as slow


class Layout(NamedTuple):
    """How a network's parameters lie in one vector; hashable."""

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    swapped: tuple[bool, ...]  # matrices that lie as (n_in, n_out): products that make long rows are faster

    def flatten(self, params: Params) -> Any:
        """All numbers, leaf after leaf."""
        leaves = jax.tree.leaves(params)
        xp = _module(leaves[0])
        pairs = zip(leaves, self.swapped, strict=True)
        return xp.concatenate([(leaf.swapaxes(-1, -2) if swap else leaf).ravel() for leaf, swap in pairs])

    def restore(self, vector: Any) -> Params:
        """The parameters again."""
        parts = _module(vector).split(vector, list(accumulate(math.prod(shape) for shape in self.shapes))[:-1])
        leaves = []
        for part, shape, swap in zip(parts, self.shapes, self.swapped, strict=True):
            stored = (*shape[:-2], shape[-1], shape[-2]) if swap else shape
            leaves.append(part.reshape(stored).swapaxes(-1, -2) if swap else part.reshape(shape))
        return jax.tree.unflatten(self.structure, leaves)


def _module(array: Any) -> Any:
    """NumPy on the host, where JAX would compile every operation by itself."""
    return np if isinstance(array, np.ndarray) else jnp


def layout(params: Params, in_order: bool) -> Layout | None:
    """The layout of small parameters on the default device; None for others.

    Args:
      in_order: keep the order of `jax.flatten_util.ravel_pytree`, in which Jacobians are written.
    """
    leaves, structure = jax.tree.flatten(params)
    here = jnp.zeros(()).devices()  # parameters that were put elsewhere, or spread over devices, stay as they are
    if sum(leaf.size for leaf in leaves) > LIMIT or any(leaf.devices() != here for leaf in leaves):
        return None
    shapes = tuple(leaf.shape for leaf in leaves)
    # a single layer that widens: in a deeper stack each matrix would have to be copied out of the vector
    swapped = tuple(not in_order and len(s) == 3 and s[0] == 1 and s[2] < s[1] for s in shapes)
    return Layout(structure, shapes, swapped)
