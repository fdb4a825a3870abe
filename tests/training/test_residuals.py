"""Residuals: half their square is the objective, their Jacobian is autodiff's of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.flatten_util import ravel_pytree

import jnn
from jnn import penalties
from jnn.data.rows import Rows
from jnn.training import residuals
from jnn.triangular.method import Method

RNG = np.random.default_rng(0)
X = RNG.standard_normal((7, 2))
WEIGHTS = np.arange(1.0, 8)


@pytest.mark.parametrize(
    ("sizes", "loss", "penalty", "weights", "method"),
    [
        ([2, 1], "half_mse", None, None, "autodiff"),
        ([2, 1], "mse", penalties.l2(0.3), WEIGHTS, "auto"),
        ([2, 3, 3, 2], "mse", None, WEIGHTS, "substitution"),
        ([2, 3, 3, 2], "half_mse", penalties.l2(0.3), None, "substitution"),
        ([2, 3, 3, 2], "half_mse", penalties.l2(0.3), WEIGHTS, "dense"),
    ],
)
def test_half_the_square_is_the_objective_and_the_jacobian_is_autodiffs(
    sizes, loss, penalty, weights, method, x64
):
    params = oracles.network(sizes)
    y = np.sin(X @ RNG.standard_normal((2, sizes[-1])))
    p, restore = ravel_pytree(params)
    data = jnp.asarray(X), jnp.asarray(y), None if weights is None else jnp.asarray(weights)

    def both(p):
        return residuals.of_squares(restore(p), Rows(*data), loss, penalty, Method(method))

    r, J = jax.jit(both)(p)
    squares = np.mean(
        (np.asarray(jax.vmap(oracles.forward, (None, 0))(params, X)) - y) ** 2, axis=1
    )
    objective = np.average(squares, weights=weights) * (0.5 if loss == "half_mse" else 1)
    objective += 0.15 * sum(float(jnp.sum(stack.w**2)) for stack in params) if penalty else 0
    assert float(r @ r) / 2 == pytest.approx(objective, rel=1e-12)
    np.testing.assert_allclose(J, jax.jit(jax.jacfwd(lambda p: both(p)[0]))(p), atol=1e-13)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_one_layer_is_solved_as_least_squares_solve_it(weights, x64):
    """Levenberg–Marquardt on linear regression against `solve_readout`, with a penalty or not."""
    y = X @ [[2.0], [-1.0]] + 0.5 + 0.1 * RNG.standard_normal((7, 1))
    data = (X, y) if weights is None else (X, y, weights)
    start = oracles.network([2, 1])
    # mse + ½ 0.2 ‖w‖² is ‖…‖² / n + 0.1 ‖w‖²
    for penalty, l2 in ((None, 0.0), (penalties.l2(0.2), 0.1)):
        exact = jnn.solve_readout(start, data, l2=l2)
        result = jnn.fit(
            start, data, loss="mse", optimizer="levenberg_marquardt", penalty=penalty, epochs=20
        )
        assert oracles.apart(exact, result.params) < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mae"}, "minimises sums of squares, half_mse or mse; got loss 'mae'"),
        ({"penalty": penalties.l1(0.1)}, "of penalties it takes l2 alone"),
        ({"penalty": lambda p: jnp.sum(p[0].b)}, "of penalties it takes l2 alone"),
        ({"backprop": jnn.Method(dtype=jnp.bfloat16)}, "computes in the parameters' dtype"),
        (
            {"plateau": jnn.Plateau()},
            "levenberg_marquardt finds the length of each step itself: leave plateau out",
        ),
        (
            {"batch_size": 3},
            "levenberg_marquardt takes all 7 examples at every step, got batch_size 3",
        ),
        (
            {"dropout_rate": 0.5},
            "levenberg_marquardt compares the objective between steps, which dropout changes",
        ),
        ({"learning_rate": 0.1}, "levenberg_marquardt finds the length of each step itself"),
    ],
)
def test_what_is_no_sum_of_squares_is_refused(options, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        jnn.fit(oracles.network([2, 1]), (X, X[:, :1]), optimizer="levenberg_marquardt", **options)
