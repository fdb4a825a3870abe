"""jnn: a neural network is a lower-triangular system, (I − L) dx = D dp.

The contents page. `jnn.figures` draws, and is imported only when asked for.
"""

from jnn import data
from jnn.activations import ACTIVATIONS
from jnn.crosscheck import Report, crosscheck
from jnn.files import load, save
from jnn.initializers import INITIALIZERS
from jnn.losses import LOSSES
from jnn.network import METHODS, forward, hidden_states, linear_system, predict
from jnn.optimizers import OPTIMIZERS
from jnn.params import Params, Stack, from_layers, init_network_params, layers, sizes
from jnn.training import Fit, fit
from jnn.triangular import LinearSystem

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "METHODS",
    "OPTIMIZERS",
    "Fit",
    "LinearSystem",
    "Params",
    "Report",
    "Stack",
    "crosscheck",
    "data",
    "fit",
    "forward",
    "from_layers",
    "hidden_states",
    "init_network_params",
    "layers",
    "linear_system",
    "load",
    "predict",
    "save",
    "sizes",
]
