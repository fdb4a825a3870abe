"""Pictures of networks, drawn with plotly from plain arrays; imported only when asked for, `import jnn.figures`.

Every function returns a `plotly.graph_objects.Figure` in one house style: show it in a notebook, change what you like,
or `save` it as a page that opens offline and, where Chrome is found, as a PNG.
"""

from jnn.figures.convergence import convergence
from jnn.figures.depth import correlations_by_depth, gradients_by_depth
from jnn.figures.files import make_directory, png_hint, save
from jnn.figures.jacobians import jacobian_spectrum, sensitivity
from jnn.figures.lines import curves, errors_by_depth, losses
from jnn.figures.matrices import matrix
from jnn.figures.phase_diagram import phase_diagram
from jnn.figures.trainability import trainability

__all__ = [
    "convergence",
    "correlations_by_depth",
    "curves",
    "errors_by_depth",
    "gradients_by_depth",
    "jacobian_spectrum",
    "losses",
    "make_directory",
    "matrix",
    "phase_diagram",
    "png_hint",
    "save",
    "sensitivity",
    "trainability",
]
