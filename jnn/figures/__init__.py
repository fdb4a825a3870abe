"""Pictures of networks, drawn with plotly from plain arrays; imported only when asked for, `import jnn.figures`.

Every function returns a `plotly.graph_objects.Figure` in one house style: show it in a notebook, change what you like,
or `save` it as a page that opens offline and, where Chrome is found, as a PNG.
"""

from jnn.figures.convergence import convergence
from jnn.figures.files import make_directory, png_hint, save
from jnn.figures.lines import curves, errors_by_depth, losses
from jnn.figures.matrices import matrix

__all__ = ["convergence", "curves", "errors_by_depth", "losses", "make_directory", "matrix", "png_hint", "save"]
