"""Networks: a graph of few units, matrices of many, and what units add up to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn import figures

TWO = jnn.from_layers([([[2.0], [-1.0]], [0.5, 0.0]), ([[0.0, 1.0]], [0.0])])


def test_every_weight_but_0_is_an_edge_by_its_sign_and_size():
    *edges, bar = [trace for trace in figures.network(TWO).data if trace.name is None]
    drawn = {trace.line.color: trace for trace in edges if trace.x}
    assert [len(trace.x) // 3 for trace in drawn.values()] == [1, 1, 1]  # −1, 1 and 2
    negative, positive, largest = drawn.values()
    assert negative.line.width == positive.line.width < largest.line.width
    assert negative.y[:2] == (0.0, -0.5)  # from the input to the second unit, below the first
    assert (bar.marker.cmin, bar.marker.cmax) == (-2, 2)


@pytest.mark.parametrize(
    ("sizes", "shown"), [([2, 17, 1], [1, 2]), ([1] * 10, [1, 2, 3, 4, 6, 7, 8, 9])]
)
def test_large_networks_are_matrices_side_by_side(sizes, shown):
    params = jnn.init_network_params(sizes, jax.random.key(0))
    (heat,) = figures.network(params).data
    assert [int(name) for name in figures.network(params).layout.xaxis.ticktext] == shown
    drawn = [jnn.layers(params)[l - 1][0] for l in shown]
    expected = np.concatenate([np.ravel(W) for W in drawn])
    np.testing.assert_allclose(np.sort(heat.z[~np.isnan(heat.z)]), np.sort(expected))
    assert heat.zmax == -heat.zmin == max(float(jnp.abs(W).max()) for W, _ in jnn.layers(params))


def test_the_largest_networks_are_thinned():
    (heat,) = figures.network(jnn.init_network_params([100, 300, 1], jax.random.key(0))).data
    assert heat.z.shape == (64, 64 + 8 + 64)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="NaN or infinity in 1 entries"):
        figures.network(jnn.from_layers([(np.nan, 1.0)]))


@pytest.mark.parametrize("residual", [False, True])
def test_shares_of_units_and_the_bias_add_up_to_the_output(residual):
    sizes = [1, 1, 1] if residual else [1, 5, 3, 1]
    params = jnn.init_network_params(
        sizes, jax.random.key(0), activation="sigmoid", residual=residual
    )
    x = np.linspace(-3, 3, 7)
    *units, output = figures.hidden_units(params, x[::-1]).data
    np.testing.assert_allclose(output.y, jnn.predict(params, jnp.asarray(x[:, None]))[:, 0])
    shares = [trace.y for trace in units if trace.yaxis == "y2"]
    (_, c), *_ = jnn.layers(params)[::-1]
    np.testing.assert_allclose(np.sum(shares, axis=0) + c, output.y)
    assert len(shares) == sizes[-2]
    assert sum(trace.showlegend for trace in units) == sizes[-2]


@pytest.mark.parametrize(
    ("sizes", "options"),
    [([2, 3, 1], {}), ([1, 3, 2], {}), ([1, 1], {}), ([1, 3, 1], {"output": "sigmoid"})],
)
def test_units_of_other_networks_have_no_such_shares(sizes, options):
    params = jnn.init_network_params(sizes, jax.random.key(0), **options)
    with pytest.raises(ValueError, match=r"expected \(1, …, 1\)"):
        figures.hidden_units(params, [0.0, 1.0])
