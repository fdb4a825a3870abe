"""What can be measured in a network: gradients, states, Jacobians and curvature, at any depth.

Gradients and products of Jacobians are rescaled on their way, and given in logarithms: at depth 10,000 in float32 the
plain numbers would be 0 or infinite. `jnn.theory` predicts the same things, `jnn.figures` draws both.
"""

from jnn.diagnostics.adjoints import GradientNorms, NoiseScale, gradient_norms, noise_scale, output_norms
from jnn.diagnostics.hessian import Trace, top_eigenvalues, trace
from jnn.diagnostics.jacobians import (
    SensitivityMap,
    layer_singular_values,
    log_singular_values,
    lyapunov_exponents,
    mean_squared_singular_values,
    sensitivity_map,
)
from jnn.diagnostics.states import Statistics, Variances, correlations, effective_rank, statistics, variances
from jnn.diagnostics.watch import WATCHES

__all__ = [
    "WATCHES",
    "GradientNorms",
    "NoiseScale",
    "SensitivityMap",
    "Statistics",
    "Trace",
    "Variances",
    "correlations",
    "effective_rank",
    "gradient_norms",
    "layer_singular_values",
    "log_singular_values",
    "lyapunov_exponents",
    "mean_squared_singular_values",
    "noise_scale",
    "output_norms",
    "sensitivity_map",
    "statistics",
    "top_eigenvalues",
    "trace",
    "variances",
]
