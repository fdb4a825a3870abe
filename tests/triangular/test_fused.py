"""The fused kernel: what is on chip at once, what Triton knows, and precision below float32."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import activations
from jnn.triangular import fused


def equations(jaxpr, name):
    """All equations of a primitive, in whatever a program calls as well."""
    found = []
    for equation in jaxpr.eqns:
        found += [equation] if equation.primitive.name == name else []
        for part in jax.tree.leaves(equation.params, is_leaf=lambda part: hasattr(part, "eqns")):
            found += equations(part, name) if hasattr(part, "eqns") else []
    return found


def values(jaxpr):
    """The shapes of all values that a kernel computes."""
    shapes = []
    for equation in jaxpr.eqns:
        shapes += [v.aval.shape for v in equation.outvars if hasattr(v.aval, "shape")]
        for part in jax.tree.leaves(equation.params, is_leaf=lambda part: hasattr(part, "eqns")):
            shapes += values(part) if hasattr(part, "eqns") else []
    return shapes


def on_chip(depth, width, dtype):
    """Of the kernels of a gradient: blocks that are moved as a whole, the largest value at once."""
    stack = jax.eval_shape(
        lambda: jnn.Stack(
            jnp.zeros((depth, width, width), dtype), jnp.zeros((depth, width), dtype), "silu"
        )
    )

    def loss(params, x):
        return jnp.sum(jnn.predict(params, x, backprop="fused").astype(jnp.float32))

    x = jax.ShapeDtypeStruct((32, width), dtype)
    kernels = equations(jax.make_jaxpr(jax.grad(loss))((stack,), x), "pallas_call")
    assert len(kernels) >= 4  # interpreted and compiled, forward and back
    blocks = [
        tuple(int(getattr(side, "block_size", side)) for side in block.block_shape)
        for kernel in kernels
        for block in kernel.params["grid_mapping"].block_mappings
        if "any" not in str(block.transformed_block_aval).lower()
    ]
    computed = [shape for kernel in kernels for shape in values(kernel.params["jaxpr"])]
    return sorted(set(blocks)), max(int(np.prod(shape)) for shape in computed)


@pytest.mark.parametrize(
    ("width", "dtype"),
    [
        (16, "float32"),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in ((64, "float32"), (5, "bfloat16"))),
    ],
)
def test_what_is_on_chip_does_not_grow_with_depth(width, dtype):
    blocks, largest = on_chip(10_000, width, dtype)
    rows, columns = 2 ** int(np.ceil(np.log2(width))), 8 if width <= 32 else 16
    assert blocks == [(rows, columns)]  # the state; weights are loaded layer by layer
    assert largest <= rows * rows * (columns if width <= 32 else 1)
    assert (blocks, largest) == on_chip(100, width, dtype)


@pytest.mark.parametrize("name", jnn.ACTIVATIONS)
def test_triton_knows_all_but_the_error_function(name):
    h = activations.resolve(name).value
    assert fused._in_triton(h, jnp.ones(2)) == (name not in ("gelu", "erf"))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_below_float32_it_is_substitution_but_for_the_last_digits(activation):
    params = oracles.network([2, 6, 6, 6, 1], activation, True)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((5, 2)), jnp.bfloat16)

    def numbers(backprop):
        def loss(params):
            return jnp.sum(jnn.predict(params, x, backprop=backprop) ** 2)

        every = jax.jit(jax.value_and_grad(loss))(params)
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), every)

    fused_numbers, numbers_by_loops = numbers("fused"), numbers("substitution")
    assert oracles.apart(numbers_by_loops, fused_numbers) < 2**-5  # of 8 bits
