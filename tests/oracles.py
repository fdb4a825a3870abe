"""Independent oracles: a network as a plain loop over its layers; how far trees are apart."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnn

# Written out once more, in the names NumPy and jax.nn use; none of it is read from jnn.
_SELU = (1.0507009873554805, 1.6732632423543772)
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + jnp.exp(-z)),
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "erf": jax.lax.erf,
    "hard_tanh": jax.nn.hard_tanh,
    "lecun_tanh": lambda z: 1.7159 * jnp.tanh(2 * z / 3),
    "sin": jnp.sin,
}


def bent(z: Any) -> Any:
    """A user's activation, smooth and with a slope that jnn has to find by itself."""
    return z + 0.5 * jnp.sin(2 * z)


def network(
    sizes: list[int],
    activation: Any = "tanh",
    residual: bool = False,
    seed: int = 0,
    gain: float = 1.0,
) -> jnn.Params:
    """Parameters drawn by NumPy: weights of variance gain²/n_in, biases of deviation 0.1."""
    rng = np.random.default_rng([seed, *sizes])
    pairs = [
        (gain * rng.standard_normal((o, i)) / np.sqrt(i), 0.1 * rng.standard_normal(o))
        for i, o in pairwise(sizes)
    ]
    return jnn.from_layers(
        [(jnp.asarray(w), jnp.asarray(b)) for w, b in pairs],
        activation=activation,
        residual=residual,
    )


def example(n: int, seed: int = 1) -> jax.Array:
    """One example of n numbers."""
    return jnp.asarray(np.random.default_rng([seed, n]).standard_normal(n))


@partial(jax.jit, static_argnums=(0, 1))  # one program a shape, not one for each operation
def layer(activation: Any, residual: bool, w: Any, b: Any, x: Any) -> Any:
    """h(W x + b) [+ x]."""
    h = ACTIVATIONS[activation] if isinstance(activation, str) else activation
    return h(w @ x + b) + x if residual else h(w @ x + b)


def states(params: jnn.Params, x: Any) -> list[Any]:
    """(x_1, …, x_N) by a Python loop over the layers."""
    every = []
    for stack in params:
        for w, b in zip(stack.w, stack.b, strict=True):
            x = layer(stack.activation, stack.residual, w, b, x)
            every.append(x)
    return every


def forward(params: jnn.Params, x: Any) -> Any:
    """x_N by a Python loop over the layers."""
    return states(params, x)[-1]


def apart(a: Any, b: Any) -> float:
    """max |a − b| / max |a| over two whole trees; a NaN is infinitely far from everything."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    pairs = [(np.asarray(p, float), np.asarray(q, float)) for p, q in leaves]
    assert all(p.shape == q.shape for p, q in pairs)
    difference = max(np.max(np.abs(p - q), initial=0.0) for p, q in pairs)
    size = max(np.max(np.abs(p), initial=0.0) for p, _ in pairs)
    if not np.isfinite(difference):
        return np.inf
    return difference / size if size > 0 else difference
