"""What a network is given: one example or a batch, of the right shape and in its dtype."""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from jnn import arrays
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
    x = arrays.traceable("x", x)
    shape = x.shape
    if shape != (n_0,):
        is_batch = len(shape) == 2 and shape[1] == n_0
        hint = "; for a batch use predict, or jax.vmap" if is_batch else ""
        if len(shape) != 1 and not is_batch and math.prod(shape) == n_0:
            hint = f": {arrays.remedy('x', '.reshape(-1)')}"
        raise ValueError(f"x has shape {shape}; one example for this network is ({n_0},){hint}")
    return params, jnp.asarray(x, params[0].w.dtype)


def check_batch(params: Params, x: Data) -> tuple[Params, Array]:
    """Parameters as arrays and a batch in their dtype, or an error as from `check_example`.

    >>> params, x = check_batch(jnn.from_layers([(1.0, 0.0)]), [[2], [3]])
    >>> x.shape
    (2, 1)
    """
    params, x = check_rows(params, x)
    return params, jnp.asarray(x)


def check_rows(params: Params, x: Data) -> tuple[Params, Array | np.ndarray]:
    """The same; what lies on the host stays there.

    >>> params, x = check_rows(jnn.from_layers([(1.0, 0.0)]), [[2], [3]])
    >>> x
    array([[2.],
           [3.]], dtype=float32)
    """
    params = as_arrays(params)
    n_0 = params[0].w.shape[2]
    x = arrays.traceable("x", x)
    shape = x.shape
    if len(shape) != 2 or shape[1] != n_0:
        hint = arrays.to_rows("x", shape, n_0)
        if shape == (n_0,):
            hint = f"; for one example use forward, or {arrays.remedy('x', '[None, :]')}"
        raise ValueError(f"x has shape {shape}; a batch for this network is (batch, {n_0}){hint}")
    as_array = np.asarray if isinstance(x, np.ndarray) else jnp.asarray
    return params, as_array(x, params[0].w.dtype)
