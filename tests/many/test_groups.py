"""Which members train in turn, and how many of them a program has."""

import jax
import pytest

import jnn
from jnn.many import groups
from jnn.many.members import by_structure


def alike(sizes, count):
    keys = jax.random.split(jax.random.key(0), count)
    members = jax.vmap(lambda key: jnn.init_network_params(sizes, key))(keys)
    (found,) = by_structure(members)
    return found


@pytest.mark.parametrize(("layers", "expected"), [(63, False), (64, True)])
def test_stacks_of_64_layers_train_in_turn(layers, expected):
    found = alike([1, *[2] * (layers + 1), 1], 2)
    assert groups.in_turn(found, "cpu") is expected
    assert not groups.in_turn(found, "gpu")


def test_members_in_turn_are_shared_out_evenly(monkeypatch):
    """Nine on two threads: five and four, where abreast lanes are filled, eight and one."""
    monkeypatch.setattr(groups, "threads", lambda _: 2)
    found = alike([1, *[2] * 65, 1], 9)
    assert groups.of_structure(found, 1, 32, "cpu") == 5
    monkeypatch.setattr(groups, "_DEEP", 100)
    assert groups.of_structure(found, 1, 32, "cpu") == 8


@pytest.mark.parametrize(
    ("sizes", "examples", "expected"),
    [
        ([1, 4, 1], 32, 64),
        ([1, 16, 16, 1], 32, 64),
        ([1, 16, 16, 1], 200, 24),
        ([64, 100, 10], 1, 8),
    ],
)
def test_parameters_and_states_of_a_group_stay_in_the_cache(sizes, examples, expected, monkeypatch):
    monkeypatch.setattr(groups, "threads", lambda _: 2)
    assert groups.of_structure(alike(sizes, 256), 1, examples, "cpu") == expected


@pytest.mark.parametrize(("count", "expected"), [(1000, 1000), (1500, 752)])
def test_an_accelerator_takes_about_a_thousand_in_a_batch(count, expected):
    assert groups.of_structure(alike([1, 4, 1], count), 1, 200, "gpu") == expected
