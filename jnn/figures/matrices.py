"""Pictures of matrices: I − L, its inverse, D; what a classifier takes for what."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import plotly.graph_objects as go

from jnn import checks
from jnn.checks import Data
from jnn.figures.style import (
    DIVERGING,
    FAINT,
    INK,
    SEQUENTIAL,
    colour_bar,
    layout,
    numbers,
    readable,
)

_VALUES_UP_TO = 10  # rows or columns with which a matrix has its values written in its cells


def matrix(
    M: Data,
    *,
    title: str = "I − L",
    labels: Sequence[str] | None = None,
    blocks: Sequence[int] | None = None,
    log: bool = False,
) -> go.Figure:
    """A matrix as it is written, first row on top, in square cells.

    Exact zeros are blank, so that its shape shows.

    Args:
      M: (rows, columns), such as I − L or its inverse. Up to ten rows and columns the values stand
        in the cells.
      title: above the picture.
      labels: the names of the rows, and of the columns, of a square M; None numbers them from 1.
      blocks: the sizes (n_1, …, n_N) of the diagonal blocks of a square M: thin lines between them.
      log: colour by log₁₀ |entry|, for entries that differ by many powers of ten.
    Raises:
      ValueError: M is not a matrix or holds NaN or infinity, labels or blocks do not match it.

    >>> figure = matrix(jnp.array([[1.0, 0.0], [-0.5, 1.0]]), labels=["x₁", "x₂"])
    >>> figure.data[0].text.tolist()
    [['1', ''], ['−0.5', '1']]
    """
    M = numbers("M", M)
    if labels is not None:
        labels = checks.sequence("labels", labels, "names, one a row")
    _check(M, labels, blocks)
    figure = go.Figure(_heat(M, log), layout=layout(title, 760, 720))
    _label_axes(figure, M.shape, labels)
    for edge in list(accumulate(blocks or []))[:-1]:
        figure.add_hline(y=edge + 0.5, line_color=FAINT, line_width=1)
        figure.add_vline(x=edge + 0.5, line_color=FAINT, line_width=1)
    return figure.update_layout(margin={"l": 40, "r": 20, "t": 110, "b": 30})


def confusion_matrix(
    confusion: Data, labels: Data = None, title: str = "Confusion matrix"
) -> go.Figure:
    """How often each true class, a row, was taken for which, coloured by the share of its row.

    Args:
      confusion: (K, K) counts. Up to ten classes they stand in the cells; rows of zeros are white.
      labels: the names of the K classes; None numbers them from 0.
      title: above the picture.
    Raises:
      ValueError: confusion is not square or not of finite counts ≥ 0, or labels do not match it.

    >>> figure = confusion_matrix([[8, 2], [1, 9]], ["cat", "dog"], title="Pets")
    """
    M = numbers("confusion", confusion)
    if labels is None:
        labels = range(max([1, *M.shape]))
    names = [str(label) for label in checks.sequence("labels", labels, "names, one a class")]
    if M.shape != (len(names), len(names)) or not names:
        raise ValueError(f"confusion has shape {M.shape}; expected (K, K) for {len(names)} labels")
    if wrong := np.count_nonzero(~(np.isfinite(M) & (M >= 0))):
        raise ValueError(f"confusion holds {wrong} counts that are negative or not finite")
    figure = matrix(M, title=title, labels=names).update_yaxes(title_text="true class")
    shares = M / np.where(M.any(1), M.sum(1), np.nan)[:, None]
    figure.update_traces(z=shares, zmin=0, zmax=1, colorscale=SEQUENTIAL)
    figure.update_traces(colorbar=colour_bar("share of the row"))
    counts = np.char.mod("%.10g", M)
    figure.update_traces(text=readable(counts, shares))
    hover = [[f"true {i}, predicted {j}: " for j in names] for i in names]
    figure.update_traces(hovertext=np.char.add(hover, counts), hoverinfo="text", hovertemplate=None)
    figure.update_xaxes(title_text="predicted class", side="bottom")
    return figure.update_layout(margin={"t": 60, "b": 60})


def _check(M: np.ndarray, labels: Sequence[str] | None, blocks: Sequence[int] | None) -> None:
    if M.ndim != 2 or M.size == 0:
        raise ValueError(f"M has shape {M.shape}; expected a matrix (rows, columns)")
    if not np.isfinite(M).all():
        raise ValueError(
            f"M holds NaN or infinity in {np.count_nonzero(~np.isfinite(M))} of {M.size} entries"
        )
    rows, columns = M.shape
    if (labels is not None or blocks is not None) and rows != columns:
        raise ValueError(f"labels and blocks are for a square matrix; M has shape {M.shape}")
    if labels is not None and len(labels) != rows:
        raise ValueError(f"{len(labels)} labels for M of shape {M.shape}; expected {rows}")
    if blocks is None:
        return
    given = checks.sequence("blocks", blocks, "sizes")
    sizes = [checks.integer("a size of blocks", n, 1) for n in given]
    if sum(sizes) != rows:
        raise ValueError(f"blocks {sizes} must sum to {rows}, the rows of M")


def _heat(M: np.ndarray, log: bool) -> go.Heatmap:
    """The cells: blank where an entry is 0, with its value in them if there are few."""
    rows, columns = M.shape
    entries = np.where(M == 0, np.nan, M)
    heat = go.Heatmap(
        x=np.arange(1, columns + 1),
        y=np.arange(1, rows + 1),
        z=np.log10(np.abs(entries)) if log else entries,
        customdata=M,
        hovertemplate="row %{y}, column %{x}: %{customdata:.4g}<extra></extra>",
        hoverongaps=False,
        xgap=0,
        ygap=0,
        textfont={"size": 22 if max(rows, columns) <= 6 else 14, "color": INK},
        colorbar=colour_bar("log₁₀ |entry|" if log else None),
    )
    few = max(rows, columns) <= _VALUES_UP_TO
    text = np.array([[_short(value) for value in row] for row in M]) if few else np.empty(0)
    if log:
        z = np.asarray(heat.z)
        low, high = (np.nanmin(z), np.nanmax(z)) if M.any() else (0.0, 0.0)
        text = readable(text, (z - low) / ((high - low) or 1)) if few else text
        heat.update(colorscale=SEQUENTIAL, zmin=low, zmax=high)
    else:
        largest = float(np.max(np.abs(M))) or 1.0
        heat.update(colorscale=DIVERGING, zmin=-largest, zmax=largest)
    if few:
        heat.update(text=text, texttemplate="%{text}", xgap=3, ygap=3)
    return heat


def _label_axes(figure: go.Figure, shape: tuple[int, ...], labels: Sequence[str] | None) -> None:
    """Rows from the top down, square cells, and at most sixteen names or numbers an axis."""
    rows, columns = shape
    longest = max(rows, columns)
    edges = {"showgrid": False, "ticks": "", "mirror": True, "constrain": "domain", "title": None}
    figure.update_xaxes(side="top", range=[0.5, columns + 0.5], **edges)
    figure.update_yaxes(range=[rows + 0.5, 0.5], scaleanchor="x", **edges)
    names = [str(i + 1) for i in range(longest)] if labels is None else list(labels)
    step = max(1, int(np.ceil(longest / 16)))
    ticks = {"tickvals": np.arange(1, longest + 1, step), "ticktext": names[::step]}
    figure.update_xaxes(**ticks).update_yaxes(**ticks)


def _short(value: float) -> str:
    """Three significant digits, or two and a power of ten; an exact zero is blank."""
    if value and not 1e-3 <= abs(value) < 1e4:
        digits, power = f"{value:.1e}".split("e")
        text = f"{digits.removesuffix('.0')}e{int(power)}"
    else:
        text = f"{value:.3g}" if value else ""
    return text.replace("-", "−")
