"""What narrow networks cannot approximate: the theorems, and the floor under monotone functions."""

import jax
import numpy as np
import pytest
from scipy import integrate

import jnn
from jnn.theory import approximation


def printed(value, reference):
    """To every digit that the reference prints."""
    digits = len(str(reference).partition(".")[2])
    return round(float(value), digits) == reference


# ---- how wide a network must be ----

PAIRS = [(1, 1), (2, 5), (7, 3)]


@pytest.mark.parametrize(
    ("d_x", "d_y", "activation", "space", "lower", "upper"),
    [
        *((x, y, "relu", "Lp(R)", max(x + 1, y), max(x + 1, y)) for x, y in PAIRS),
        *((x, y, "relu", "Lp(K)", max(x, y, 2), max(x, y, 2)) for x, y in PAIRS),
        (1, 1, "leaky_relu", "Lp(K)", 2, 2),
        (1, 1, "tanh", "Lp(K)", 2, 3),
        (1, 1, "sin", "Lp(K)", 1, 3),
        (3, 1, "relu", "C(K)", 4, 4),
        (1, 2, "relu", "C(K)", 3, 3),
        (2, 2, "relu", "C(K)", 3, 4),
        (2, 4, "tanh", "C(K)", 5, 7),
        (2, 2, "gelu", "C(K)", 2, 5),
    ],
)
def test_minimum_width(d_x, d_y, activation, space, lower, upper):
    width = approximation.minimum_width(d_x, d_y, activation=activation, space=space)
    assert (width.lower, width.upper) == (lower, upper)
    assert width.sources


def test_no_theorem_contradicts_another():
    for activation in set(jnn.ACTIVATIONS) - {"identity"}:
        for x, y in np.ndindex(6, 8):
            lp, c = (
                approximation.minimum_width(x + 1, y + 1, activation=activation, space=space)
                for space in ("Lp(K)", "C(K)")
            )
            assert lp.lower <= lp.upper
            assert c.lower <= c.upper
            assert lp.lower <= c.upper  # what approximates in C does in Lᵖ


NEW = jnn.ACTIVATIONS["gelu"]._replace(family=None)
MONOTONE = {"width one is monotone", "Johnson 2019", "Kim, Min, Park 2024"}


@pytest.mark.parametrize(("d_x", "d_y", "space"), [(1, 1, "Lp(K)"), (3, 1, "C(K)"), (1, 2, "C(K)")])
def test_the_monotone_theorems_are_for_monotone_activations(d_x, d_y, space, monkeypatch):
    monkeypatch.setitem(jnn.ACTIVATIONS, "new", NEW._replace(monotone=False))
    width = approximation.minimum_width(d_x, d_y, activation="new", space=space)
    assert width.lower == max(d_x, d_y)
    assert not MONOTONE & {*width.sources}
    monkeypatch.setitem(jnn.ACTIVATIONS, "new", NEW._replace(monotone=True))
    width = approximation.minimum_width(d_x, d_y, activation="new", space=space)
    assert width.lower == max(d_x, d_y) + 1
    assert MONOTONE & {*width.sources}


@pytest.mark.parametrize(("monotone", "like"), [(False, "sin"), (True, "tanh")])
def test_a_new_activation_gets_the_theorems_that_its_record_allows(monotone, like, monkeypatch):
    monkeypatch.setitem(jnn.ACTIVATIONS, "new", NEW._replace(monotone=monotone))
    for x, y in np.ndindex(5, 7):
        for space in ("Lp(K)", "C(K)"):
            new, known = (
                approximation.minimum_width(x + 1, y + 1, activation=name, space=space)
                for name in ("new", like)
            )
            assert new == known
    with pytest.raises(ValueError, match="no theorem"):
        approximation.minimum_width(2, 1, activation="new", space="Lp(R)")


@pytest.mark.parametrize(
    ("family", "space", "width"),
    [
        ("relu", "Lp(R)", (3, 3)),
        ("relu", "Lp(K)", (2, 2)),
        ("relu", "C(K)", (3, 3)),
        ("relu-like", "Lp(K)", (2, 2)),
        ("relu-like", "C(K)", (3, 4)),
    ],
)
def test_the_theorems_of_a_family_hold_for_new_members(family, space, width, monkeypatch):
    monkeypatch.setitem(jnn.ACTIVATIONS, "new", NEW._replace(family=family, monotone=True))
    found = approximation.minimum_width(2, 1, activation="new", space=space)
    assert (found.lower, found.upper) == width


# ---- monotone ----


def test_the_floor_of_monotone_functions_under_the_absolute_value():
    """The projection of |x| is √2 − 1 up to there, and x beyond."""
    c = np.sqrt(2) - 1
    exact = integrate.quad(lambda x: (abs(x) - c) ** 2 / 2, -1, c, points=[0])[0]
    assert printed(exact, 0.0571910) or round(exact, 7) == 0.0571910
    x = np.linspace(-1, 1, 20_001)
    trapezoid = np.ones_like(x)
    trapezoid[[0, -1]] = 0.5
    floor = approximation.monotone_floor(x, np.abs(x), trapezoid)
    assert floor.mse == pytest.approx(exact, abs=1e-8)
    assert floor.sup == 0.5
    assert approximation.monotone_floor(x[::-1], -np.abs(x), trapezoid) == pytest.approx(floor)


def test_the_floor_of_monotone_functions_elsewhere():
    assert approximation.monotone_floor([0, 1, 2], [3.0, 2.0, 1.0]) == (0, 0)
    twice = approximation.monotone_floor([0, 0, 1, 1], [0.0, 1.0, 5.0, 5.0])
    assert twice == pytest.approx((0.125, 0.5))
    assert approximation.monotone_floor([0.0], [1.0]) == (0, 0)
    doubled = approximation.monotone_floor([0, 1, 2, 2], [1, 0, 1, 1])
    assert approximation.monotone_floor([0, 1, 2], [1, 0, 1], [1, 1, 2]) == pytest.approx(doubled)


def test_width_one_stays_above_the_floor_and_width_two_fits():
    """Chains with the best readout, so that only the shape counts; and |x| = relu(x) + relu(−x)."""
    x = np.linspace(-1, 1, 201)[:, None]
    floor = approximation.monotone_floor(x[:, 0], np.abs(x[:, 0]))
    for seed in range(10):
        start = jnn.init_network_params(
            [1, 1, 1, 1], jax.random.key(seed), activation="relu", init="normal"
        )
        params = jnn.solve_readout(start, (x, np.abs(x)))
        error = np.asarray(jnn.predict(params, x)) - np.abs(x)
        assert np.mean(error**2) >= floor.mse
        assert np.abs(error).max() >= floor.sup - 1e-6
    exact = jnn.from_layers(
        [([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])], activation="relu"
    )
    np.testing.assert_array_equal(jnn.predict(exact, x), np.abs(x).astype(np.float32))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: approximation.minimum_width(0, 1),
            ValueError,
            "d_x is 0; it must be an integer of at least 1",
        ),
        (lambda: approximation.minimum_width(1, -1), ValueError, "d_y is -1"),
        (lambda: approximation.minimum_width(2.5, 1), TypeError, "d_x is 2.5"),
        (lambda: approximation.minimum_width(1, True), TypeError, "d_y is True"),
        (
            lambda: approximation.minimum_width(1, 1, activation="swish"),
            ValueError,
            "unknown activation 'swish'",
        ),
        (lambda: approximation.minimum_width(1, 1, activation="identity"), ValueError, "affine"),
        (lambda: approximation.minimum_width(1, 1, activation="tanh"), ValueError, "no theorem"),
        (
            lambda: approximation.minimum_width(1, 1, space="L2"),
            ValueError,
            "unknown space 'L2'; known: Lp",
        ),
        (lambda: approximation.monotone_floor([1, 2], [1, 2, 3]), ValueError, "one shape"),
        (lambda: approximation.monotone_floor([], []), ValueError, "one shape"),
        (lambda: approximation.monotone_floor([1, 2], [1, np.nan]), ValueError, "finite"),
        (
            lambda: approximation.monotone_floor([1, 2], [1, 2], [1, 0]),
            ValueError,
            "weights is .*; it must be finite and above 0",
        ),
    ],
)
def test_bad_input_is_refused(call, error, message, as_a_user):
    with pytest.raises(error, match=message):
        call()
