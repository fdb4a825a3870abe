"""Pictures of one network: its weights, as a graph or as matrices, and what its units compute."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from jnn import params as parameters
from jnn.checks import Data
from jnn.figures.style import DIVERGING, INK, colour_bar, layout, line_styles, numbers, vector
from jnn.params import Params
from jnn.structure import check_params
from jnn.triangular import predict

_GRAPH_UNITS, _GRAPH_LAYERS = 16, 8  # beyond them, edges hide each other
_SHOWN_UNITS, _SHOWN_LAYERS = 64, 8  # of a larger network, evenly chosen
_NAMED_UNITS = 12  # of more, the legend would be longer than the picture
_STEPS = 8  # of colour and thickness, for each sign: one trace each, not one for every weight


def network(params: Params, *, title: str = "Weights of the network") -> go.Figure:
    """The weights as colours, blue above zero and red below: xₗ = h(Wₗ xₗ₋₁ + bₗ), left to right.

    Up to 16 units in a layer and 8 layers it is a graph: an edge from unit j to unit i is the entry
    (i, j) of Wₗ, the thicker the larger; the biases are told when pointing at units. A larger
    network is its matrices Wₗ side by side, at most 8 of the layers and 64 units of each, evenly
    chosen.

    Args:
      params: of one network.
      title: above the picture.
    Raises:
      TypeError, ValueError: params are not those of one network, or hold NaN or infinity.

    >>> params = jnn.init_network_params([2, 3, 1], jax.random.key(0))
    >>> [trace.name for trace in network(params).data][-3:]
    ['layer 0', 'layer 1', 'layer 2']
    """
    sizes = check_params(params)
    layers = [(numbers("W", W), numbers("b", b)) for W, b in parameters.layers(params)]
    if wrong := sum(np.count_nonzero(~np.isfinite(a)) for layer in layers for a in layer):
        raise ValueError(
            f"params hold NaN or infinity in {wrong} entries; finite weights are drawn"
        )
    largest = max(float(np.abs(W).max()) for W, _ in layers) or 1.0
    if max(sizes) > _GRAPH_UNITS or len(layers) > _GRAPH_LAYERS:
        return _matrices(layers, largest, title)
    figure = go.Figure(layout=layout(title, 960, 600))
    figure.add_traces(_edges([W for W, _ in layers], largest))
    for l, n in enumerate(sizes):
        biases = [""] * n if l == 0 else [f": bias {value:.3g}" for value in layers[l - 1][1]]
        figure.add_scatter(
            x=np.full(n, l),
            y=_heights(n),
            name=f"layer {l}",
            mode="markers",
            marker={"size": 18, "color": "white", "line": {"width": 2, "color": INK}},
            hovertext=[f"layer {l}, unit {i}{bias}" for i, bias in enumerate(biases, start=1)],
            hoverinfo="text",
            cliponaxis=False,
        )
    figure.update_xaxes(title_text="layer", dtick=1, showgrid=False, showline=False, ticks="")
    return figure.update_yaxes(visible=False).update_layout(showlegend=False)


def hidden_units(params: Params, x: Data, *, title: str = "Hidden units") -> go.Figure:
    """Every unit of the last hidden layer over x, and below it what it adds to the output.

    With the states hᵢ(x) of that layer, ŷ = Σᵢ aᵢ hᵢ(x) + c: the upper panel has the hᵢ, the lower
    one the aᵢ hᵢ and, in ink, their sum with c, the network's output.

    Args:
      params: of a network with one input, one linear output and at least one hidden layer.
      x: (n,) or (n, 1), in any order.
      title: above the picture.
    Raises:
      TypeError, ValueError: params are not those of one network, or of another kind of network.

    >>> params = jnn.init_network_params([1, 2, 1], jax.random.key(0))
    >>> [trace.name for trace in hidden_units(params, jnp.linspace(-1.0, 1.0, 5)).data]
    ['unit 1', 'unit 1', 'unit 2', 'unit 2', 'output']
    """
    sizes = check_params(params)
    hidden, readout = parameters.hidden_and_readout(params)
    if (sizes[0], sizes[-1], readout.activation) != (1, 1, "identity") or len(sizes) < 3:
        raise ValueError(
            f"the network has sizes {sizes} and the output {readout.activation!r}; expected "
            "(1, …, 1), a hidden layer at least, and 'identity', so that units' shares add up"
        )
    x = np.sort(vector("x", x))
    inputs = jnp.asarray(x[:, None], readout.w.dtype)
    states = numbers("states", predict(hidden, inputs))
    a, c = numbers("a", readout.w)[0, 0] + readout.residual, numbers("c", readout.b)[0, 0]
    shares = states * a
    figure: go.Figure = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.06)
    for i, style in enumerate(line_styles(len(a))):
        name = f"unit {i + 1}"
        line = style | {"width": 2.5}
        for row, y in enumerate((states[:, i], shares[:, i]), start=1):
            figure.add_scatter(
                x=x, y=y, name=name, mode="lines", line=line, row=row, col=1,
                legendgroup=name, showlegend=row == 1 and len(a) <= _NAMED_UNITS,
            )  # fmt: skip
    line = {"color": INK, "width": 3.5}
    figure.add_scatter(
        x=x, y=shares.sum(axis=1) + c, name="output", mode="lines", line=line, row=2, col=1
    )
    figure.update_layout(layout(title, 960, 780)).update_xaxes(title_text="x", row=2)
    figure.update_yaxes(title_text="state hᵢ(x)", row=1).update_yaxes(title_text="aᵢ hᵢ(x)", row=2)
    return figure.update_layout(showlegend=True)


def _heights(n: int) -> np.ndarray:
    """Of the units of a layer, the first on top, the middle at 0."""
    return (n - 1) / 2 - np.arange(n)


def _edges(weights: list[np.ndarray], largest: float) -> list[go.Scatter]:
    """Lines of one colour and thickness each, the largest weights on top; then the colours' bar."""
    ends = []
    for l, W in enumerate(weights):
        below, above = _heights(W.shape[1]), _heights(W.shape[0])
        ends += [(W[i, j], l, below[j], above[i]) for i, j in np.ndindex(W.shape) if W[i, j] != 0]
    step = {e: int(np.clip(np.ceil(_STEPS * abs(e[0]) / largest), 1, _STEPS)) for e in ends}
    traces = []
    for size, sign in ((size, sign) for size in range(1, _STEPS + 1) for sign in (-1, 1)):
        some = [e for e in ends if step[e] == size and np.sign(e[0]) == sign]
        (colour,) = sample_colorscale(DIVERGING, [0.5 + 0.5 * sign * size / _STEPS])
        traces.append(
            go.Scatter(
                x=[x for _, l, _, _ in some for x in (l, l + 1, None)],
                y=[y for _, _, low, high in some for y in (low, high, None)],
                mode="lines",
                line={"color": colour, "width": 0.5 + 5.5 * size / _STEPS},
                hoverinfo="skip",
                cliponaxis=False,
            )
        )
    scale = {"colorscale": DIVERGING, "cmin": -largest, "cmax": largest, "color": [0.0]}
    bar = {"showscale": True, "colorbar": colour_bar("weight")}
    return [*traces, go.Scatter(x=[None], y=[None], mode="markers", marker=scale | bar)]


def _matrices(layers: list[tuple[np.ndarray, np.ndarray]], largest: float, title: str) -> go.Figure:
    """Side by side, in square cells, each with the number of its layer above it."""
    shown = _some(len(layers), _SHOWN_LAYERS)
    parts = []
    for l in shown:
        W = layers[l][0]
        parts.append(W[np.ix_(_some(W.shape[0], _SHOWN_UNITS), _some(W.shape[1], _SHOWN_UNITS))])
    height = max(len(W) for W in parts)
    gap = max(1, height // 8)
    edges = np.cumsum([0, *(W.shape[1] + gap for W in parts)])
    z = np.full((height, edges[-1] - gap), np.nan)
    for W, left in zip(parts, edges[:-1], strict=True):
        top = (height - len(W)) // 2
        z[top : top + len(W), left : left + W.shape[1]] = W
    figure = go.Figure(layout=layout(title, 960, 480))
    figure.add_heatmap(
        z=z,
        colorscale=DIVERGING,
        zmin=-largest,
        zmax=largest,
        hoverongaps=False,
        hovertemplate="%{z:.4g}<extra></extra>",
        colorbar=colour_bar("weight"),
    )
    middles = [(left + right - gap - 1) / 2 for left, right in pairwise(edges)]
    bare = {"showgrid": False, "showline": False, "ticks": "", "constrain": "domain"}
    names = [str(l + 1) for l in shown]
    figure.update_xaxes(title_text="layer", tickvals=middles, ticktext=names, **bare)
    return figure.update_yaxes(
        visible=False, autorange="reversed", scaleanchor="x", constrain="domain"
    )


def _some(count: int, most: int) -> np.ndarray:
    """At most so many of the indices, evenly chosen, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
