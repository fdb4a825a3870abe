"""A network's layers in two arrangements: as stacks, and as the list [(W_1, b_1), …]."""

from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checks import Tree
from jnn.params import Params, Stack

Place: TypeAlias = tuple[int, int]  # (stack, layer of it)


class Layout(NamedTuple):
    """A network's parameters without their numbers; hashable.

    Its methods turn trees that hold networks, such as an optimizer's states: wherever a network's
    stacks stand, they become layers, and the other way; what else there is stays.
    """

    stacks: tuple[tuple[int, int, int, Any, bool], ...]  # depth, n_out, n_in, activation, residual
    dtype: np.dtype

    @property
    def depths(self) -> list[int]:
        """Of the stacks."""
        return [depth for depth, *_ in self.stacks]

    @property
    def places(self) -> list[Place]:
        """Of the layers, from the first to the last."""
        return [(s, l) for s, depth in enumerate(self.depths) for l in range(depth)]

    def params(self) -> Params:
        """The stacks: shapes and types in place of arrays."""
        return tuple(
            Stack(self._array(d, n_out, n_in), self._array(d, n_out), h, residual)
            for d, n_out, n_in, h, residual in self.stacks
        )

    def layers(self) -> list[tuple[Any, Any]]:
        """The list."""
        return [self.layer(s) for s, _ in self.places]

    def layer(self, s: int) -> tuple[Any, Any]:
        """One (W, b) of a stack."""
        _, n_out, n_in, *_ = self.stacks[s]
        return self._array(n_out, n_in), self._array(n_out)

    def _array(self, *shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, self.dtype)

    # ---- between all stacks and the whole list ----

    def listed(self, tree: Tree) -> Tree:
        """With lists of layers in place of stacks."""

        def one(part: Any) -> Any:
            if not is_stacks(part):
                return part
            return [
                jax.tree.map(lambda a, l=l: a[l], (part[s].w, part[s].b)) for s, l in self.places
            ]

        return jax.tree.map(one, tree, is_leaf=is_stacks)

    def stacked(self, tree: Tree) -> Tree:
        """With stacks in place of lists of layers, where what stands for layers can be stacked."""
        n = len(self.places)

        def one(part: Any) -> Any:
            if not (is_layers(part, n) and self._alike(part)):
                return part
            layers = iter(part)
            runs = [list(islice(layers, depth)) for depth in self.depths]
            return self._network([jax.tree.map(lambda *a: jnp.stack(a), *run) for run in runs])

        return jax.tree.map(one, tree, is_leaf=lambda part: is_layers(part, n))

    def _alike(self, layers: list[Any]) -> bool:
        def kind(layer: Any) -> Any:
            arrays, structure = jax.tree.flatten(layer)
            return structure, [(jnp.shape(a), jnp.result_type(a)) for a in arrays]

        kinds = [{} for _ in self.stacks]
        pairs = zip(self.places, layers, strict=True)
        return all(
            kinds[s].setdefault("kind", kind(layer)) == kind(layer) for (s, _), layer in pairs
        )

    # ---- between all stacks and one of them ----

    def part(self, tree: Tree, s: int) -> Tree:
        """Of one stack: its one layer, [(W, b)], with the depth as first axis, for all stacks."""

        def one(part: Any) -> Any:
            return [(part[s].w, part[s].b)] if is_stacks(part) else part

        return jax.tree.map(one, tree, is_leaf=is_stacks)

    def join(self, parts: Iterable[Tree]) -> Tree:
        """From those of every stack; what belongs to no layer is the same in all of them."""

        def one(*of: Any) -> Any:
            return self._network([a for (a,) in of]) if is_layers(of[0], 1) else of[0][0]

        return jax.tree.map(one, *parts, is_leaf=lambda part: is_layers(part, 1))

    def _network(self, arrays: list[tuple[Any, Any]]) -> Params:
        pairs = zip(arrays, self.stacks, strict=True)
        return tuple(Stack(w, b, h, residual) for (w, b), (_, _, _, h, residual) in pairs)


def is_layers(tree: Any, n: int) -> bool:
    """Whether it is a list of n layers (w, b), whatever stands for w and b.

    >>> is_layers([(1, 2), (3, 4)], 2)
    True
    """
    pairs = isinstance(tree, list) and len(tree) == n
    return pairs and all(isinstance(layer, tuple) and len(layer) == 2 for layer in tree)


def is_stacks(tree: Any) -> bool:
    """Whether it is a network's stacks, whatever stands for their arrays.

    >>> is_stacks(jnn.from_layers([(1.0, 0.0)]))
    True
    """
    return isinstance(tree, tuple) and bool(tree) and all(isinstance(s, Stack) for s in tree)


def addresses(tree: Tree, places: list[Place]) -> list[tuple[tuple[int, ...], Place | None]]:
    """Of every array: where in the tree it stands, stacks told apart but not layers; which layer.

    Args:
      tree: of networks in either arrangement, and other arrays.
      places: of what it holds of a network: all layers, or a layer for each stack.

    >>> addresses({"count": 0, "mean": [(1, 2), (3, 4)]}, [(0, 0), (0, 1)])[:3]
    [((0,), None), ((1, 0, 0, 0), (0, 0)), ((1, 0, 1, 0), (0, 0))]
    """
    n = len(places)
    parts = jax.tree.leaves(tree, is_leaf=lambda part: is_layers(part, n) or is_stacks(part))
    found: list[tuple[tuple[int, ...], Place | None]] = []
    for j, part in enumerate(parts):
        layers = [(stack.w, stack.b) for stack in part] if is_stacks(part) else part
        if not is_layers(layers, n):
            found.append(((j,), None))
            continue
        for place, layer in zip(places, layers, strict=True):
            for k, half in enumerate(layer):
                arrays = range(len(jax.tree.leaves(half)))
                found += [((j, place[0], k, m), place) for m in arrays]
    return found
