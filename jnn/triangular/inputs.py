"""What a network is given: one example or a batch, of the right shape and in its dtype."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn.checks import Data
from jnn.params import Params, check_params


def check_example(params: Params, x: Data) -> Array:
    """One example in the parameters' dtype, or a ValueError that names the shape it should have.

    >>> check_example(jnn.from_layers([(1.0, 0.0)]), [2])
    Array([2.], dtype=float32)
    """
    n_0 = check_params(params)[0]
    shape = np.shape(x)
    if shape != (n_0,):
        is_batch = len(shape) == 2 and shape[1] == n_0
        hint = "; for a batch use predict, or jax.vmap" if is_batch else ""
        raise ValueError(f"x has shape {shape}; one example for this network is ({n_0},){hint}")
    return _numbers(x, params[0].w.dtype)


def check_batch(params: Params, x: Data) -> Array:
    """A batch in the parameters' dtype, or a ValueError that names the shape it should have.

    >>> check_batch(jnn.from_layers([(1.0, 0.0)]), [[2], [3]]).shape
    (2, 1)
    """
    n_0 = check_params(params)[0]
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] != n_0:
        hint = "; for one example use forward, or x[None, :]" if shape == (n_0,) else ""
        raise ValueError(f"x has shape {shape}; a batch for this network is (batch, {n_0}){hint}")
    return _numbers(x, params[0].w.dtype)


def _numbers(x: Data, dtype: jnp.dtype) -> Array:
    """x in a dtype; complex numbers would lose a part, and objects turn NaN, without a word."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.kind in "biu"):
        raise TypeError(f"x must hold real numbers, got dtype {x.dtype}")
    return jnp.asarray(x, dtype)
