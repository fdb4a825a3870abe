"""Precision: the dtype in which numbers of several are held, and in which sums are taken."""

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from jnn.checks import Tree


def common(*dtypes: Any) -> Any:
    """The dtype that holds them all, by JAX's rules; asked for in words, so never too implicit.

    That is what `jax_numpy_dtype_promotion="strict"` forbids, where it is not said.

    >>> common(jnp.bfloat16, jnp.float32)
    dtype('float32')
    """
    with jax.numpy_dtype_promotion("standard"):
        return reduce(jnp.promote_types, dtypes)


def wide(dtype: Any) -> Any:
    """The dtype that sums are taken in, float32 at least: in bfloat16 long ones stop growing.

    >>> wide(jnp.float16), wide(np.float64)
    (dtype('float32'), dtype('float64'))
    """
    return common(dtype, jnp.float32)


def widened(tree: Tree) -> Tree:
    """Arrays of floats in float32 at least: LAPACK has no half, whose squares overflow from 256.

    >>> widened(jnp.ones(1, jnp.float16)).dtype
    dtype('float32')
    """
    return jax.tree.map(lambda a: a.astype(wide(a.dtype)), tree)
