"""Parameters as one vector: what second-order methods compute with."""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from jnn.checks import Thing, Tree
from jnn.precision import wide

# GPUs round the factors of float32 products to 10 bits unless told
dot = partial(jnp.matmul, precision="highest")


def flatten(tree: Tree) -> tuple[Array, Callable[[Array], Tree]]:
    """All numbers of a tree as one vector, and the way back to the tree and its dtypes.

    Args:
      tree: of arrays.
    Returns:
      The vector (P,), in float32 at least, in the order of `jax.flatten_util.ravel_pytree`, and the
      function that makes a tree of such a vector.

    >>> vector, restore = flatten((jnp.ones(2), jnp.zeros(1, jnp.bfloat16)))
    >>> vector.tolist(), restore(vector)[1].dtype.name
    ([1.0, 1.0, 0.0], 'bfloat16')
    """
    vector, unravel = ravel_pytree(tree)

    def restore(v: Array) -> Tree:
        return unravel(v.astype(vector.dtype))

    return vector.astype(wide(vector.dtype)), restore


def needed(optimizer: str, extra: dict[str, Thing], *names: str) -> list[Thing]:
    """The arguments of these names, which the caller of an optimizer's `update` has to give.

    Raises:
      ValueError: one is missing.

    >>> needed("bfgs", {"value": 1.0}, "value", "value_fn")
    Traceback (most recent call last):
      ...
    ValueError: bfgs needs value_fn from its caller: update(…, value_fn=…)
    """
    missing = [name for name in names if extra.get(name) is None]
    if missing:
        raise ValueError(
            f"{optimizer} needs {' and '.join(missing)} from its caller: update(…, {missing[0]}=…)"
        )
    return [extra[name] for name in names]
