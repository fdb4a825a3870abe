"""What a network is given: one example or a batch, of the right shape and in its dtype."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn.checks import Data
from jnn.params import Params
from jnn.structure import as_arrays


def check_example(params: Params, x: Data) -> tuple[Params, Array]:
    """Parameters as arrays and one example in their dtype, or an error that says what is amiss.

    Raises:
      ValueError: x has the wrong shape, or the stacks make no network (see `check_params`).
      TypeError: x or the parameters are no real numbers.

    >>> params, x = check_example(jnn.from_layers([(1.0, 0.0)]), [2])
    >>> x
    Array([2.], dtype=float32)
    """
    params = as_arrays(params)
    n_0 = params[0].w.shape[2]
    shape = np.shape(x)
    if shape != (n_0,):
        is_batch = len(shape) == 2 and shape[1] == n_0
        hint = "; for a batch use predict, or jax.vmap" if is_batch else ""
        raise ValueError(f"x has shape {shape}; one example for this network is ({n_0},){hint}")
    return params, _numbers(x, params[0].w.dtype)


def check_batch(params: Params, x: Data) -> tuple[Params, Array]:
    """Parameters as arrays and a batch in their dtype, or an error as from `check_example`.

    >>> params, x = check_batch(jnn.from_layers([(1.0, 0.0)]), [[2], [3]])
    >>> x.shape
    (2, 1)
    """
    params = as_arrays(params)
    n_0 = params[0].w.shape[2]
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] != n_0:
        hint = "; for one example use forward, or x[None, :]" if shape == (n_0,) else ""
        raise ValueError(f"x has shape {shape}; a batch for this network is (batch, {n_0}){hint}")
    return params, _numbers(x, params[0].w.dtype)


def _numbers(x: Data, dtype: jnp.dtype) -> Array:
    """x in a dtype; complex numbers would lose a part, and objects turn NaN, without a word."""
    x = x if isinstance(x, Array) else np.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype.kind in "biu"):
        raise TypeError(f"x must hold real numbers, got dtype {x.dtype}")
    return jnp.asarray(x, dtype)
