"""Penalties: values and gradients against closed forms, the laws between them, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jnn
from jnn import penalties
from jnn.penalties import Penalty

SIZES = [2, 3, 3, 3, 1]
KINDS = {
    "l1": Penalty(0.3, 0.0),
    "l2": Penalty(0.0, 0.7),
    "both": Penalty(0.3, 0.7),
    "none": Penalty(),
}


def weights(params):
    return np.concatenate([np.asarray(w).ravel() for w, _ in jnn.layers(params)])


@pytest.mark.parametrize("penalty", KINDS.values(), ids=KINDS)
def test_value_is_the_closed_form(penalty, x64):
    params = oracles.network(SIZES)
    w = weights(params)
    expected = penalty.l1 * np.sum(np.abs(w)) + penalty.l2 * (w @ w) / 2
    assert float(penalties.value(penalty, params)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("penalty", KINDS.values(), ids=KINDS)
def test_gradient_is_the_closed_form_and_biases_go_free(penalty, x64):
    params = oracles.network(SIZES)
    gradient = jax.grad(penalties.value, argnums=1)(penalty, params)
    for stack, g in zip(params, gradient, strict=True):
        w = np.asarray(stack.w)
        np.testing.assert_allclose(
            g.w, penalty.l1 * np.sign(w) + penalty.l2 * w, rtol=1e-12, atol=1e-15
        )
        np.testing.assert_array_equal(g.b, np.zeros_like(stack.b))


@pytest.mark.slow
def test_a_weight_of_zero_is_pulled_nowhere():
    params = jnn.from_layers([(np.array([[0.0, -2.0]]), np.array([1.0])), (0.0, 0.0)])
    gradient = jax.grad(penalties.value, argnums=1)(penalties.elastic_net(1.0), params)
    assert [g.w.tolist() for g in gradient] == [[[[0.0, -1.5]]], [[[0.0]]]]


def test_the_ends_of_the_elastic_net_are_lasso_and_ridge():
    for strength in (0.0, 0.1, 3):
        assert penalties.elastic_net(strength, 1) == penalties.l1(strength)
        assert penalties.elastic_net(strength, 0) == penalties.l2(strength)
    assert penalties.elastic_net(0.4) == penalties.elastic_net(0.4, mix=0.5) == Penalty(0.2, 0.2)


@pytest.mark.parametrize("penalty", KINDS.values(), ids=KINDS)
def test_the_proximal_point_is_where_the_gradient_vanishes(penalty, x64):
    """argmin ½(w − a)² + Ω(w) is soft(a, l1) / (1 + l2), the fact that makes the lasso sparse."""
    a = np.array([-2.0, -0.5, 0.9, 4.0])
    w = np.sign(a) * np.maximum(np.abs(a) - penalty.l1, 0) / (1 + penalty.l2)

    def objective(w):
        return 0.5 * jnp.sum((w - a) ** 2) + penalties.value(
            penalty, jnn.from_layers([(w[None], np.zeros(1))])
        )

    np.testing.assert_allclose(jax.grad(objective)(jnp.asarray(w)), 0, atol=1e-14)


def test_a_new_strength_recompiles_nothing():
    params = oracles.network(SIZES)
    traces = []

    @jax.jit
    def value(penalty, params):
        traces.append(penalty)
        return penalties.value(penalty, params)

    values = [
        float(value(penalties.elastic_net(s, m), params))
        for s, m in [(1.0, 0.5), (2.0, 0.5), (0.0, 0.1)]
    ]
    assert len(traces) == 1
    assert values[1] == pytest.approx(2 * values[0], rel=1e-6)
    assert values[2] == 0


def test_vmap_runs_over_strengths(x64):
    params, strengths = oracles.network(SIZES), jnp.array([0.1, 0.2, 0.4])
    several = jax.vmap(penalties.value, (0, None))(Penalty(strengths, strengths), params)
    one_by_one = [float(penalties.value(Penalty(s, s), params)) for s in (0.1, 0.2, 0.4)]
    np.testing.assert_allclose(several, one_by_one, rtol=1e-12)


def test_bfloat16_is_summed_in_float32():
    params = jnn.from_layers([(jnp.ones((64, 64), jnp.bfloat16), jnp.zeros(64, jnp.bfloat16))])
    for penalty, expected in (
        (penalties.l1(1), 4096),
        (penalties.l2(1), 2048),
        (lambda p: p[0].w[0, 0, 0], 1),
    ):
        value = penalties.value(penalty, params)
        assert value.dtype == jnp.float32
        assert float(value) == expected
    gradient = jax.grad(penalties.value, argnums=1)(penalties.l2(1), params)
    assert gradient[0].w.dtype == jnp.bfloat16


def test_a_function_of_the_users(x64):
    params = oracles.network(SIZES)

    def biases(params):
        return 0.5 * sum(jnp.sum(stack.b**2) for stack in params)

    penalties.check_penalty(biases, params)
    expected = 0.5 * sum(np.sum(np.asarray(b) ** 2) for _, b in jnn.layers(params))
    assert float(penalties.value(biases, params)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "make", [penalties.l1, penalties.l2, penalties.elastic_net], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("strength", [-0.1, np.inf, np.nan, -1])
def test_a_strength_that_is_impossible_is_refused(make, strength):
    with pytest.raises(ValueError, match=r"strength is .*; it must be finite and at least 0"):
        make(strength)


@pytest.mark.parametrize(
    "make", [penalties.l1, penalties.l2, penalties.elastic_net], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("strength", ["0.1", None, True, [0.1], 1j, {}], ids=str)
def test_a_strength_that_is_not_a_number_is_refused(make, strength, as_a_user):
    with pytest.raises(TypeError, match=r"strength is .*; it must be a number"):
        make(strength)


@pytest.mark.parametrize(
    "make", [penalties.l1, penalties.l2, penalties.elastic_net], ids=lambda f: f.__name__
)
def test_several_strengths_are_for_several_networks(make, as_a_user):
    """`fit_many` takes one for each member; all are checked, and `fit` takes none of them."""
    several = make(np.array([0.0, 0.1, 0.2]))
    assert oracles.apart(several, make(jnp.array([0.0, 0.1, 0.2]))) < 1e-7
    one = make(0.1)
    np.testing.assert_allclose(np.broadcast_to(several.l1, 3)[1], one.l1)
    np.testing.assert_allclose(np.broadcast_to(several.l2, 3)[1], one.l2)
    with pytest.raises(ValueError, match=r"strength is -0.1; it must be finite and at least 0"):
        make(np.array([0.1, -0.1]))
    with pytest.raises(ValueError, match="strength is nan"):
        make(np.array([0.1, np.nan]))
    with pytest.raises(TypeError, match="it must be a number"):
        penalties.check_penalty(several, jnn.from_layers([(1.0, 0.0)]))


@pytest.mark.parametrize("mix", [1.1, -0.1, np.nan])
def test_a_mix_outside_of_0_and_1_is_refused(mix):
    message = r"mix is .*; it must be at least 0 and at most 1: 0 is l2, and 1 is l1"
    with pytest.raises(ValueError, match=message):
        penalties.elastic_net(1.0, mix)


@pytest.mark.parametrize(
    "penalty",
    [
        None,
        penalties.l1(0.1),
        Penalty(np.float32(1), jnp.array(2)),
        lambda p: jnp.sum(p[0].w),
        lambda _: 0.0,
    ],
)
def test_what_fit_may_take(penalty):
    penalties.check_penalty(penalty, oracles.network(SIZES))


@pytest.mark.parametrize(
    ("penalty", "error", "message"),
    [
        (Penalty(-1.0), ValueError, "l1 is -1.0; it must be finite"),
        (Penalty(0.0, np.nan), ValueError, "l2 is nan"),
        (Penalty("much"), TypeError, "l1 is 'much'; it must be a number"),
        (
            0.1,
            TypeError,
            r"penalty is 0.1; it must be None, l2\(strength\) or the like, or a function of p",
        ),
        ("l2", TypeError, "penalty is 'l2'; it must be None"),
        (
            lambda p: p[0].w,
            ValueError,
            r"must return one floating-point number, got float\d+ of shape \(3, 3, 3\)|shape",
        ),
        (lambda p: p, ValueError, "must return one floating-point number, got"),
        (lambda _: 3, ValueError, r"must return one floating-point number, got int\d+ of shape"),
        (lambda: 0.0, ValueError, "could not be called on the parameters: TypeError"),
        (penalties.l2, ValueError, "could not be called on the parameters"),
        (
            lambda p: float(jnp.sum(p[0].w)),
            ValueError,
            "could not be called on the parameters: ConcretizationTypeError",
        ),
    ],
)
def test_what_is_not_a_penalty_is_refused(penalty, error, message, as_a_user):
    with pytest.raises(error, match=message):
        penalties.check_penalty(penalty, oracles.network(SIZES))
