"""L-BFGS as an optax transformation, for all examples at once: optax's, in float32 at least.

It shares the protocol of `jnn.optimizers.bfgs`, and says as that does by a step of zero that no
step lowers the objective: optax's own goes on with steps of the size of rounding.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jnn.checks import Tree
from jnn.optimizers.bfgs import descends
from jnn.optimizers.vectors import flatten, needed


def optimizer() -> optax.GradientTransformationExtraArgs:
    """L-BFGS with the last ten steps, and a line search for the strong Wolfe conditions.

    A search that finds no lower objective gives the zero step, and what was learnt is forgotten.
    Memory is 20 P.

    Source: Liu and Nocedal 1989.

    >>> def f(p):
    ...     return jnp.sum(jnp.array([1.0, 10.0]) * (p - 3) ** 2)
    >>> lbfgs = optimizer()
    >>> @jax.jit
    ... def iteration(p, state):
    ...     value, gradient = jax.value_and_grad(f)(p)
    ...     step, state = lbfgs.update(gradient, state, p, value=value, value_fn=f)
    ...     return p + step, state
    >>> p = jnp.zeros(2)
    >>> state = lbfgs.init(p)
    >>> for _ in range(10):
    ...     p, state = iteration(p, state)
    >>> bool(jnp.allclose(p, 3.0, atol=1e-4))
    True
    """
    search: Any = optax.lbfgs()

    def init(params: Tree) -> Any:
        p, _ = flatten(params)
        return search.init(p)

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Any]:
        value, value_fn = needed("lbfgs", extra, "value", "value_fn")
        p, restore = flatten(params)
        g, _ = flatten(updates)

        def objective(q: Array) -> Array:
            return value_fn(restore(q)).astype(p.dtype)

        value = jnp.asarray(value, p.dtype)
        s, new = search.update(g, state, p, value=value, grad=g, value_fn=objective)
        lower = descends(value, g, new[-1])
        new = jax.tree.map(lambda a, b: jnp.where(lower, a, b), new, search.init(p))
        return restore(jnp.where(lower, s, 0)), new

    return optax.GradientTransformationExtraArgs(init, update)
