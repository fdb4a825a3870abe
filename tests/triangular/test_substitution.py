"""The loops of substitution write in place: their work grows with the depth, not its square."""

import re

import jax
import jax.numpy as jnp
import oracles
import pytest

import jnn

DEPTH, BATCH = 67, 32


def loss(params, x):
    return jnp.sum(jnn.predict(params, x) ** 2)


KINDS = {
    "gradient": jax.grad(loss),
    "tangents": lambda params, x: jax.jvp(loss, (params, x), (params, x)),
    "Hessian product": lambda params, x: jax.jvp(jax.grad(loss), (params, x), (params, x)),
    "many": lambda params, x: jax.vmap(jax.grad(loss), (None, 0))(params, x[:, None]),
}


def copied_in_loops(program: str) -> list[str]:
    """The copies of arrays of all layers that stand in the body of a loop."""
    bodies, found, name = re.findall(r"body=(%[\w.\-]+)", program), [], ""
    for line in program.splitlines():
        if begins := re.match(r"(?:ENTRY )?(%[\w.\-]+) \(", line):
            name = begins[1]
        copy = re.search(r"= \w+\[([\d,]+)\]\S* copy\(", line)
        if copy and name in bodies:
            sizes = [int(size) for size in copy[1].split(",")]
            found += [copy[0]] if any(abs(size - DEPTH) <= 2 for size in sizes) else []
    return found


# of the slope in the states, and of the slope in z, which is kept beside them
@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_loop_copies_the_states(kind, activation, residual):
    """Found by a sweep: where z is kept, a step of depth 512 took 13 times too long."""
    params = oracles.network([1, *[8] * (DEPTH - 1), 1], activation, residual)
    program = jax.jit(KINDS[kind]).lower(params, jnp.ones((BATCH, 1))).compile().as_text()
    assert "while" in program
    assert copied_in_loops(program) == []
