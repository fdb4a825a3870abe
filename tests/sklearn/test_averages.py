"""An average of networks and its scalings as one network, against the networks one by one."""

from itertools import pairwise

import numpy as np
import pytest

import jnn
from jnn.sklearn.averages import joined, unscaled


def networks(rng, sizes, count):
    return [
        [
            (rng.normal(size=(n_out, n_in)), rng.normal(size=n_out))
            for n_in, n_out in pairwise(sizes)
        ]
        for _ in range(count)
    ]


def outputs(network, x, activation):
    return np.asarray(jnn.predict(jnn.from_layers(network, activation=activation), x))


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2), (3, 4, 6, 1), (2, 5, 5, 5, 3)])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
@pytest.mark.parametrize("count", [1, 4])
def test_the_joined_network_gives_the_mean_of_all(x64, sizes, activation, count):
    rng = np.random.default_rng(0)
    members = networks(rng, sizes, count)
    x = rng.normal(size=(7, sizes[0]))
    expected = np.mean([outputs(member, x, activation) for member in members], axis=0)
    found = outputs(joined(members), x, activation)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", [(3, 2), (3, 5, 2)])
@pytest.mark.parametrize("units", [True, False])
def test_the_unscaled_network_takes_rows_as_they_came(x64, sizes, units):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 3)) * [1, 100, 1e-3] + [5, -300, 1]
    x[:, 1] = 7.0  # a constant column has scale 1
    y = rng.normal(size=(20, 2)) * [10, 0.1] + [1e3, -5]
    of_x, of_y = jnn.data.standardization(x), jnn.data.standardization(y)
    [network] = networks(rng, sizes, 1)
    expected = outputs(network, jnn.data.standardize(of_x, x), "tanh")
    if units:
        expected = jnn.data.unstandardize(of_y, expected)
    found = outputs(unscaled(network, of_x, of_y if units else None), x, "tanh")
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
