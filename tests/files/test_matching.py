"""Matching: settings and trees of two runs, the same or not, and what is said of the difference."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jnn.files.matching import as_json, check_same, specs

SETTINGS = {"sizes": [2, 3, 1], "batch_size": 32, "optimizer": "adam", "learning_rate": None}


def check(before=(), now=(), settings=SETTINGS, changed=SETTINGS):
    """Whether a run may go on from the checkpoint of one before it."""
    texts = {"settings": as_json("settings", settings), "leaves": json.dumps(specs(before))}
    check_same(texts, specs(now), json.loads(as_json("settings", changed)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 50}, "^batch_size was 32, is 50; give another directory, or"),
        ({"batch_size": 32.0}, "batch_size was 32, is 32.0;"),
        (
            {"learning_rate": 0.1},
            "learning_rate was null, is 0.1; give another directory, or the same settings$",
        ),
        (
            {"optimizer": "sgd", "sizes": [2, 1]},
            r'sizes was \[2, 3, 1\], is \[2, 1\]; optimizer was "adam", is "sgd"; give',
        ),
        (
            {"loss": "mae"},
            'loss was absent, is "mae"; give another directory, or the same settings$',
        ),
        ({"sizes": [8] * 99}, r"sizes was \[2, 3, 1\], is \[8, 8, .{30,50} … .{10,20}\]; give"),
    ],
)
def test_other_settings_are_named(changed, message):
    with pytest.raises(ValueError, match=message):
        check(changed=SETTINGS | changed)


def test_settings_that_read_the_same_are_the_same():
    check(
        settings={
            "sizes": (2, np.int64(3)),
            "nested": {"b": 1, "a": np.nan},
            "rate": np.float32(0.5),
        },
        changed={"rate": 0.5, "nested": {"a": np.nan, "b": 1}, "sizes": [2, 3]},
    )


@pytest.mark.parametrize("value", [max, {1, 2}, 1j])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(TypeError, match=r"record must be names and JSON values \(numbers, strings"):
        as_json("record", {"a": value})


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (
            {"n": np.int32([0]), "m": np.int32([0])},
            "its state has 1 arrays, this run's has 2; give another directory",
        ),
        ({}, "its state has 1 arrays, this run's has 0"),
        (
            {"n": np.int32([0, 0])},
            r"an array of its state was \['n'\] int32 \[1\], is \['n'\] int32 \[2\]; give",
        ),
        ({"n": np.int32(0)}, r"was \['n'\] int32 \[1\], is \['n'\] int32 \[\]"),
        ({"n": np.uint32([0])}, r"was \['n'\] int32 \[1\], is \['n'\] uint32 \[1\]"),
        ({"m": np.int32([0])}, r"was \['n'\] int32 \[1\], is \['m'\] int32 \[1\]"),
        ([np.int32([0])], r"was \['n'\] int32 \[1\], is \[0\] int32 \[1\]"),
    ],
)
def test_another_tree_is_named(like, message):
    with pytest.raises(ValueError, match=message):
        check({"n": np.int32([1])}, like)


def test_the_same_tree_of_other_arrays_is_the_same():
    key = jax.random.key(0)
    check({"n": np.int32([1]), "k": key}, {"k": jax.random.key(1), "n": jnp.int32([2])})


def test_another_optimizer_of_equal_shapes_is_refused():
    w = jnp.ones(3)
    message = r"an array of its state was \[0\].nu float32 \[3\], is \[0\].sum_of_squares f"
    with pytest.raises(ValueError, match=message):
        check(optax.rmsprop(0.1).init(w), optax.adagrad(0.1).init(w))


def test_64_bits_are_never_cut():
    with jax.enable_x64(True):
        leaves = json.dumps(specs(jnp.ones(2)))
    with pytest.raises(ValueError, match="it holds float64, which JAX would cut while x64 is off"):
        check_same({"settings": "{}", "leaves": leaves}, [], {})
    with pytest.raises(TypeError, match=r"leaf \['n'\] is int64, which JAX would cut"):
        specs({"n": np.zeros(2, int)})
