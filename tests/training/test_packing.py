"""Small parameters as one vector: there and back, and nothing about a run depends on it."""

import jax
import numpy as np
import oracles
import pytest

import jnn
from jnn.training.packing import LIMIT, pack

X = np.linspace(0.1, 3, 40)[:, None]
Y = np.log(X)
NETWORKS = {
    "one layer": [3, 2],
    "widening": [2, 9, 1],
    "one shape": [1, *[5] * 6, 1],
    "shapes": [1, 2, 3, 4, 3, 2, 1],
    "one large array": [4, 300, 200, 1],
}


@pytest.mark.parametrize("sizes", NETWORKS.values(), ids=list(NETWORKS))
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("members", [(), (3,)])
def test_there_and_back(sizes, whole, members):
    network = oracles.network(sizes)
    packed = pack(network, whole=whole)
    assert packed is not None
    many = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (*members, *leaf.shape)), network)
    flat = packed.flatten(many)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(network))
    outside = sum(leaf[0].size if members else leaf.size for leaf in flat.others)
    assert flat.vector.shape == (*members, numbers - outside)
    assert whole or flat.vector.shape[-1] <= LIMIT
    jax.tree.map(np.testing.assert_array_equal, packed.restore(flat), many)


def test_the_smallest_arrays_have_room_first():
    network = oracles.network(NETWORKS["one large array"])  # of 60,000 numbers
    places = pack(network, whole=False).places
    assert [place.shape for place in places if not place.small] == [(1, 200, 300)]


@pytest.mark.parametrize("sizes", [[1, 9, 1], [1, *[5] * 6, 1], [1, 2, 3, 2, 1]])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion", "lbfgs"])
def test_a_run_does_not_depend_on_it(sizes, optimizer, monkeypatch, x64):
    network = oracles.network(sizes)

    def run():
        return jnn.fit(network, (X, Y), optimizer=optimizer, epochs=5, progress=False)

    found = run()
    monkeypatch.setattr("jnn.training.options.pack", lambda params, whole: None)
    apart = run()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12),
        (found.params, found.history),
        (apart.params, apart.history),
    )
