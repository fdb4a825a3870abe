"""Pictures of networks, drawn with plotly from plain arrays.

They are imported only when asked for, `import jnn.figures`. Every function returns a
`plotly.graph_objects.Figure` in one house style: show it in a notebook, change what you like, or
`save` it as a page that opens offline and, where Chrome is found, as a PNG.
"""

from jnn.figures.depth import (
    correlations_by_depth as correlations_by_depth,
    errors_by_depth as errors_by_depth,
    gradients_by_depth as gradients_by_depth,
)
from jnn.figures.export import (
    make_directory as make_directory,
    png_hint as png_hint,
    save as save,
)
from jnn.figures.fits import (
    curves as curves,
    predicted as predicted,
    residuals as residuals,
    training as training,
)
from jnn.figures.jacobians import (
    jacobian_spectrum as jacobian_spectrum,
    sensitivity as sensitivity,
)
from jnn.figures.many import ensemble as ensemble, fan as fan, heat_map as heat_map
from jnn.figures.matrices import confusion_matrix as confusion_matrix, matrix as matrix
from jnn.figures.networks import hidden_units as hidden_units, network as network
from jnn.figures.phases import (
    phase_diagram as phase_diagram,
    trainability as trainability,
)
from jnn.figures.pixels import images as images
from jnn.figures.regions import decision_boundary as decision_boundary
from jnn.figures.runs import convergence as convergence, losses as losses
from jnn.figures.surfaces import descent as descent
