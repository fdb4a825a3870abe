"""The spread of many networks: quantiles over them, and the band between two of these."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go


def quantiles(members: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(levels, epochs) numbers of members, so that an infinite one spoils no other.

    What is no number counts as the largest.
    """
    known = np.where(np.isnan(members), np.inf, members)
    found = np.quantile(known, levels, axis=0, method="inverted_cdf")
    return np.where(np.isinf(found), np.nan, found)


def band(
    x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, opacity: float, name: str
) -> go.Scatter:
    """The area between two lines, where both can be shown."""
    shown = ~np.isnan(low + high)
    x, low, high = x[shown], low[shown], high[shown]
    return go.Scatter(
        x=np.r_[x, x[::-1]],
        y=np.r_[low, high[::-1]],
        name=name,
        mode="lines",
        line={"width": 0, "color": colour},
        fill="toself",
        fillcolor=_faint(colour, opacity),
        hoverinfo="skip",
    )


def _faint(colour: str, opacity: float) -> str:
    """A colour that others show through."""
    if colour.startswith("#"):
        colour = f"rgb{tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))}"
    return f"rgba{colour[3:-1]}, {opacity})"
