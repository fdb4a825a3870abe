"""Small arrays of parameters as one vector: an update is one operation, not one for each of them.

Compiled for a CPU, every operation costs some tenths of a microsecond, however little it does, and
some hundredths of a second to compile. What is larger stays as it is: a vector of it would be put
together number by number at every step.
"""

import math
from itertools import accumulate
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checks import Tree
from jnn.params import Params

# Numbers of the vector. Up to here a step takes as long or less (64 layers of 16: 0.8 of the time),
# a program 0.7 to 0.9 of the time to compile; from 60,000 on a step takes up to four times as long.
LIMIT = 2**15
_SWAPPED = 512  # numbers of a matrix that is faster swapped


class Packed(NamedTuple):
    """A network's parameters, or what there is of each of them, as a run carries them."""

    vector: Any  # the small arrays, one after the other
    others: tuple[Any, ...]


class Place(NamedTuple):
    """How one array lies there."""

    shape: tuple[int, ...]
    small: bool  # in the vector
    swapped: bool  # a matrix that lies there as (n_in, n_out): long rows are faster


class Packing(NamedTuple):
    """How a network's parameters lie in it; hashable. Those of M networks have M in front."""

    structure: Any
    places: tuple[Place, ...]

    def flatten(self, params: Params) -> Packed:
        """Each array in its place."""
        vector, others = [], []
        for leaf, (shape, small, swapped) in zip(jax.tree.leaves(params), self.places, strict=True):
            if small:
                members = leaf.shape[: leaf.ndim - len(shape)]
                row = leaf.swapaxes(-1, -2) if swapped else leaf
                vector.append(row.reshape(*members, math.prod(shape)))
            else:
                others.append(leaf)
        return Packed(_module(vector[0]).concatenate(vector, axis=-1), tuple(others))

    def restore(self, packed: Packed) -> Params:
        """The parameters again."""
        ends = list(accumulate(math.prod(place.shape) for place in self.places if place.small))
        parts = iter(_module(packed.vector).split(packed.vector, ends[:-1], axis=-1))
        members = packed.vector.shape[:-1]
        others = iter(packed.others)
        leaves = []
        for shape, small, swapped in self.places:
            leaf = next(parts) if small else next(others)
            if swapped:
                leaf = leaf.reshape(*members, *shape[:-2], shape[-1], shape[-2]).swapaxes(-1, -2)
            leaves.append(leaf.reshape(*members, *shape))
        return jax.tree.unflatten(self.structure, leaves)

    def restore_state(self, state: Tree) -> Tree:
        """Parameters or an optimizer's state, with networks in place of what is packed."""

        def one(part: Any) -> Any:
            return self.restore(part) if isinstance(part, Packed) else part

        return jax.tree.map(one, state, is_leaf=lambda part: isinstance(part, Packed))

    def flatten_state(self, state: Tree) -> Tree:
        """The way back: packed what is a network in an optimizer's state."""

        def is_network(part: Any) -> bool:
            return jax.tree.structure(part) == self.structure

        def one(part: Any) -> Any:
            return self.flatten(part) if is_network(part) else part

        return jax.tree.map(one, state, is_leaf=is_network)


def _smallest(numbers: list[int]) -> list[bool]:
    """Which arrays of so many numbers are the smallest, as many as the vector has room for.

    >>> _smallest([8, LIMIT, 100])
    [True, False, True]
    """
    ascending = sorted(range(len(numbers)), key=numbers.__getitem__)
    room = accumulate(numbers[i] for i in ascending)
    there = {i for i, end in zip(ascending, room, strict=True) if end <= LIMIT}
    return [i in there for i in range(len(numbers))]


def _module(array: Any) -> ModuleType:
    """NumPy on the host, where JAX would compile every operation by itself."""
    return np if isinstance(array, np.ndarray) else jnp


def pack(params: Params, *, whole: bool) -> Packing | None:
    """The packing of parameters on the default device; None of others, and where it gains nothing.

    Args:
      params: of a network.
      whole: one vector of all, in the order of `jax.flatten_util.ravel_pytree`, in which Jacobians
        are written.
    """
    leaves, structure = jax.tree.flatten(params)
    # parameters that were put elsewhere, or spread over devices, stay as they are
    here = {default_device()}
    small = [True] * len(leaves) if whole else _smallest([leaf.size for leaf in leaves])
    if sum(small) < 2 or any(leaf.devices() != here for leaf in leaves):
        return None
    places = [
        Place(leaf.shape, is_small, is_small and not whole and _widens(leaf.shape))
        for leaf, is_small in zip(leaves, small, strict=True)
    ]
    return Packing(structure, tuple(places))


def default_device() -> Any:
    """The one that a new array would lie on; to make one takes a third of a millisecond.

    >>> default_device() in jnp.zeros(1).devices()
    True
    """
    config: Any = jax.config
    asked = config.jax_default_device  # a device, a platform's name, or None
    named = asked is None or isinstance(asked, str)
    return jax.local_devices(backend=asked)[0] if named else asked


def _widens(shape: tuple[int, ...]) -> bool:
    """A single layer that widens: in a deeper stack each matrix would have to be copied out."""
    single = len(shape) == 3 and shape[0] == 1
    return single and shape[2] < shape[1] and math.prod(shape) <= _SWAPPED
