"""What can be measured in a network, and the verdict: gradients, states, Jacobians, curvature.

Gradients and products of Jacobians are rescaled on their way, and given in logarithms: at depth
10,000 in float32 the plain numbers would be 0 or infinite. `jnn.theory` predicts the same things,
`jnn.figures` draws both.

A softmax readout counts as part of the loss: what is measured of the last layer is measured of its
logits. The gradients of all parameters are the true ones.
"""

from jnn.diagnostics.curvature import (
    Trace as Trace,
    top_eigenvalues as top_eigenvalues,
    trace as trace,
)
from jnn.diagnostics.gradients import (
    GradientNorms as GradientNorms,
    NoiseScale as NoiseScale,
    gradient_norms as gradient_norms,
    noise_scale as noise_scale,
    output_norms as output_norms,
)
from jnn.diagnostics.jacobians import (
    SensitivityMap as SensitivityMap,
    layer_singular_values as layer_singular_values,
    log_singular_values as log_singular_values,
    lyapunov_exponents as lyapunov_exponents,
    mean_squared_singular_values as mean_squared_singular_values,
    sensitivity_map as sensitivity_map,
)
from jnn.diagnostics.prediction import Remedy as Remedy
from jnn.diagnostics.states import (
    Statistics as Statistics,
    Variances as Variances,
    correlations as correlations,
    effective_rank as effective_rank,
    statistics as statistics,
    variances as variances,
)
from jnn.diagnostics.tangent_kernel import empirical_ntk as empirical_ntk
from jnn.diagnostics.verdict import Diagnosis as Diagnosis, diagnose as diagnose
from jnn.diagnostics.watch import WATCHES as WATCHES
