"""Kernels of infinite width: the table, and the laws of kernels."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnn.theory import kernels

TABLE = json.loads((Path(__file__).parents[1] / "reference" / "theory.json").read_text())[
    "kernels"
]["relu_2_0"]
X = np.array([[1.0, 0.0], [0.6, 0.8]])


@pytest.mark.table
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"H={row['H']}")
def test_the_table(row):
    K, T = kernels.infinite_width(X, hidden=row["H"])
    for name, value in (("K11", K[0, 0]), ("K12", K[0, 1]), ("T11", T[0, 0]), ("T12", T[0, 1])):
        assert round(float(value), 6) == row[name]


def scaled_tanh(z):
    return jnp.tanh(z)


@pytest.mark.slow
def test_a_function_is_its_name():
    named, own = (
        kernels.infinite_width(X, hidden=3, activation=h, sigma_w2=1.5, sigma_b2=0.1)
        for h in ("tanh", scaled_tanh)
    )
    np.testing.assert_allclose(own.nngp, named.nngp, atol=1e-12)
    np.testing.assert_allclose(own.ntk, named.ntk, atol=1e-10)


@pytest.mark.table
@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_kernels_are_symmetric_positive_and_made_of_pairs(activation):
    x = np.random.default_rng(0).standard_normal((12, 3))
    whole = kernels.infinite_width(x, hidden=2, activation=activation, sigma_w2=1.7, sigma_b2=0.2)
    part = kernels.infinite_width(
        x[:5], x[5:], hidden=2, activation=activation, sigma_w2=1.7, sigma_b2=0.2
    )
    for kernel, block in zip(whole, part, strict=True):
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
        assert np.linalg.eigvalsh(kernel).min() > 0
        np.testing.assert_allclose(kernel[:5, 5:], block, atol=1e-9)


def test_without_hidden_layers_both_are_the_inputs():
    K, T = kernels.infinite_width(X, hidden=0, sigma_w2=3, sigma_b2=0.5)
    np.testing.assert_allclose(K, 3 * X @ X.T / 2 + 0.5)
    np.testing.assert_array_equal(K, T)


def test_an_input_of_zero():
    for activation in ("relu", "tanh", "hard_tanh"):
        K, T = kernels.infinite_width([[0.0, 0.0], [1.0, 0.0]], hidden=2, activation=activation)
        np.testing.assert_allclose(K[0], 0, atol=1e-12)
        assert np.isfinite(T).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernels.infinite_width([1.0, 2.0], hidden=1), ValueError, r"\(2,\)"),
        (lambda: kernels.infinite_width(X, X[:, :1], hidden=1), ValueError, r"\(2, 1\)"),
        (lambda: kernels.infinite_width([[np.nan, 0]], hidden=1), ValueError, "finite"),
        (
            lambda: kernels.infinite_width(X, hidden=-1),
            ValueError,
            "hidden is -1; it must be an integer from 0 to 1000000",
        ),
        (
            lambda: kernels.infinite_width(X, hidden=1.5),
            TypeError,
            "hidden is 1.5; it must be an integer",
        ),
        (
            lambda: kernels.infinite_width(X, hidden=True),
            TypeError,
            "hidden is True; it must be an integer",
        ),
        (
            lambda: kernels.infinite_width(X, hidden=1, sigma_w2=0),
            ValueError,
            "sigma_w2 is 0; it must be finite and above 0",
        ),
        (
            lambda: kernels.infinite_width(X, hidden=1, sigma_b2=-1),
            ValueError,
            "sigma_b2 is -1; it must be finite",
        ),
        (lambda: kernels.infinite_width(X, hidden=1, sigma_w2=[1, 2]), TypeError, "sigma_w2 is"),
        (
            lambda: kernels.infinite_width(X, hidden=1, activation="swish"),
            ValueError,
            "unknown activation",
        ),
        (
            lambda: kernels.infinite_width(X, hidden=1, activation=jax.nn.softmax),
            ValueError,
            "each entry",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
