"""Linear networks: the table, the differential equation, and gradient descent by jnn."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy.integrate import solve_ivp

import jnn
from jnn.theory import linear

THEORY = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())
LEARNING = THEORY["linear_learning"]


def test_the_table():
    table = LEARNING["s=3,a0=0.01"]
    for t in ("0.5", "1", "2"):
        assert round(float(linear.learning_curve(float(t), 3, 0.01)), 6) == table[f"a({t})"]
    assert round(float(linear.learning_time(1.5, 3, 0.01)), 6) == table["t_half"]
    for L, t in LEARNING["scalar_chain"]["time_to_half_s=1_weights=0.5"].items():
        assert round(float(linear.learning_time(0.5, 1, 0.5 ** int(L), int(L))), 6) == t
    assert linear.chain_curvature(1, 0.5, 5) == (7, -0.5, 4)


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 10])
@pytest.mark.parametrize(("s", "a0"), [(1.0, 0.2), (2.5, 0.01), (0.3, 0.05)])
def test_curves_solve_the_differential_equation(layers, s, a0):
    t = np.linspace(0, 4, 9)

    def slope(_, a):
        return layers * a ** (2 - 2 / layers) * (s - a)

    solved = solve_ivp(slope, (0, 4), [a0], t_eval=t, rtol=1e-11, atol=1e-13, method="DOP853").y[0]
    curve = linear.learning_curve(t, s, a0, layers)
    np.testing.assert_allclose(curve, solved, rtol=1e-8)
    np.testing.assert_allclose(linear.learning_time(curve[1:5], s, a0, layers), t[1:5], rtol=1e-7)


def test_the_ends_of_a_curve():
    for layers in (1, 2, 5):
        assert linear.learning_curve(0, 2, 0.1, layers) == pytest.approx(0.1)
        assert linear.learning_curve(1e6, 2, 0.1, layers) == pytest.approx(2)
        assert linear.learning_time(0.1, 2, 0.1, layers) == 0
        assert linear.learning_time(2, 2, 0.1, layers) == np.inf
        assert linear.learning_curve(np.ones((2, 3)), 2, 0.1, layers).shape == (2, 3)


def test_saddles_hold_deep_networks_longer():
    """From weights ½ the time to half grows with depth, from weights near 1 it falls."""
    slow, fast = (
        [float(linear.learning_time(a0**L * 1.01, 1, a0**L, L)) for L in (2, 5, 10)]
        for a0 in (0.5, 0.98)
    )
    assert slow == sorted(slow)
    assert fast == sorted(fast, reverse=True)


@pytest.mark.parametrize("layers", [2, 4])
def test_gradient_descent_by_jnn_runs_along_the_curve(layers):
    """Every mode by itself: W_l = diag(a0^(1/L)), targets diag(s) x with white x."""
    s, a0, step, steps = np.array([3.0, 1.0]), np.array([0.05, 0.1]), 1e-3, 1500
    W = jnp.diag(jnp.asarray(a0 ** (1 / layers), jnp.float32))
    pair = (W, jnp.zeros(2, jnp.float32))
    params = jnn.from_layers([pair] * layers, activation="identity")
    # white, and centred: biases stay 0
    x = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

    def loss(p):
        return jnp.mean(jnp.sum((jax.vmap(lambda v: jnn.forward(p, v))(x) - s * x) ** 2, 1)) / 2

    def descend(p, _):
        W = jnp.linalg.multi_dot([w for w, _ in reversed(jnn.layers(p))])
        return jax.tree.map(lambda a, g: a - step * g, p, jax.grad(loss)(p)), jnp.diagonal(W)

    _, learnt = jax.jit(lambda p: lax.scan(descend, p, None, length=steps))(params)
    t = step * np.arange(steps)
    for mode in range(2):
        expected = linear.learning_curve(t, s[mode].item(), a0[mode].item(), layers)
        np.testing.assert_allclose(learnt[:, mode], expected, atol=0.02 * s[mode])


@pytest.mark.parametrize(
    ("w", "y", "layers"),
    [(1.0, 0.5, 5), (0.7, 2.0, 3), (-1.1, 0.4, 4), (0.0, 1.0, 2), (0.0, 1.0, 3)],
)
def test_curvature_is_that_of_the_hessian(w, y, layers, x64):

    def loss(weights):
        params = jnn.from_layers([(w, 0.0) for w in weights], activation="identity")
        return (jnn.forward(params, jnp.ones(1))[0] - y) ** 2 / 2

    eigenvalues = np.linalg.eigvalsh(jax.jit(jax.hessian(loss))(jnp.full(layers, w)))
    of = linear.chain_curvature(w, y, layers)
    expected = sorted([of.together, *[of.apart] * of.multiplicity])
    np.testing.assert_allclose(eigenvalues, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: linear.learning_curve(-1, 1, 0.1),
            ValueError,
            "t is .*-1.*; it must be finite and at least 0",
        ),
        (
            lambda: linear.learning_curve([0, np.nan], 1, 0.1),
            ValueError,
            "t is .*nan.*; it must be finite",
        ),
        (
            lambda: linear.learning_curve(1, 1, 0),
            ValueError,
            "a0 is 0; it must be above 0 and below 1",
        ),
        (
            lambda: linear.learning_curve(1, 1, 1),
            ValueError,
            "a0 is 1; it must be above 0 and below 1",
        ),
        (
            lambda: linear.learning_curve(1, -1, 0.5),
            ValueError,
            "s is -1; it must be finite and above 0",
        ),
        (lambda: linear.learning_curve(1, [1, 2], 0.5), TypeError, "s is"),
        (
            lambda: linear.learning_curve(1, 1, 0.5, 0),
            ValueError,
            "layers is 0; it must be an integer of at least 1",
        ),
        (
            lambda: linear.learning_curve(1, 1, 0.5, 2.5),
            TypeError,
            "layers is 2.5; it must be an integer",
        ),
        (
            lambda: linear.learning_time(0.5, 1, 0.1, True),
            TypeError,
            "layers is True; it must be an integer",
        ),
        (
            lambda: linear.learning_time(0.01, 1, 0.1),
            ValueError,
            "a is 0.01; it must be from a0 = 0.1 to s = 1",
        ),
        (
            lambda: linear.learning_time(1.5, 1, 0.1),
            ValueError,
            "a is 1.5; it must be from a0 = 0.1 to s = 1",
        ),
        (lambda: linear.chain_curvature(1, np.inf, 3), ValueError, "y is inf; it must be finite"),
        (lambda: linear.chain_curvature(None, 1, 3), TypeError, "w is None; it must be a number"),
        (lambda: linear.chain_curvature(1, 1, 1), ValueError, "at least 2"),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
