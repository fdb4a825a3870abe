"""jnn: a neural network is a lower-triangular system, (I − L) dx = D dp.

The contents page. `jnn.figures` draws and `jnn.theory` predicts; both are imported only when asked for.
"""

from jnn import data, diagnostics, metrics, penalties
from jnn.activations import ACTIVATIONS
from jnn.any_layer import deep
from jnn.checkpoints import Checkpoint
from jnn.choice import METHODS
from jnn.classification import ClassificationReport, classification_report
from jnn.crosscheck import Report, crosscheck
from jnn.diagnose import Diagnosis, diagnose
from jnn.files import load, save
from jnn.initializers import INITIALIZERS
from jnn.layer_sequential import lsuv
from jnn.losses import LOSSES
from jnn.metrics import METRICS, evaluate
from jnn.network import forward, hidden_states, linear_system, predict, solve_states
from jnn.optimizers import OPTIMIZERS
from jnn.params import Params, Stack, from_layers, init_network_params, layers, sizes
from jnn.readout import polynomial_features, solve_readout
from jnn.results import Fit
from jnn.stopping import Plateau
from jnn.training import fit
from jnn.triangular import LinearSystem

__version__ = "0.1.0"

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "METHODS",
    "METRICS",
    "OPTIMIZERS",
    "Checkpoint",
    "ClassificationReport",
    "Diagnosis",
    "Fit",
    "LinearSystem",
    "Params",
    "Plateau",
    "Report",
    "Stack",
    "classification_report",
    "crosscheck",
    "data",
    "deep",
    "diagnose",
    "diagnostics",
    "evaluate",
    "fit",
    "forward",
    "from_layers",
    "hidden_states",
    "init_network_params",
    "layers",
    "linear_system",
    "load",
    "lsuv",
    "metrics",
    "penalties",
    "polynomial_features",
    "predict",
    "save",
    "sizes",
    "solve_readout",
    "solve_states",
]
