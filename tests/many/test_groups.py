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
def test_stacks_of_64_layers_train_in_turn(layers, expected, monkeypatch):
    found = alike([1, *[2] * (layers + 1), 1], 2)
    assert groups.in_turn(found) is expected
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not groups.in_turn(found)


def test_members_in_turn_are_shared_out_evenly(monkeypatch):
    """Nine on two threads: five and four, where abreast lanes are filled, eight and one."""
    monkeypatch.setattr(groups, "threads", lambda: 2)
    found = alike([1, *[2] * 65, 1], 9)
    assert groups.of_structure(found, 1) == 5
    monkeypatch.setattr(groups, "_DEEP", 100)
    assert groups.of_structure(found, 1) == 8
