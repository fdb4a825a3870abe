"""jnn: a neural network is a lower-triangular system, (I − L) dx = D dp.

The contents page, chapter by chapter. `jnn.theory` predicts and `jnn.figures` draws; both are
imported only when asked for.
"""

from importlib.metadata import version as _version

# What is to be made small, and what is measured beside it
# Rows and streams of them
# Training
# What can be measured in a network
from jnn import (
    data as data,
    diagnostics as diagnostics,
    losses as losses,
    metrics as metrics,
    optimizers as optimizers,
    penalties as penalties,
)
from jnn.activations import ACTIVATIONS as ACTIVATIONS
from jnn.building import from_layers as from_layers, init_network_params as init_network_params
from jnn.data import Stream as Stream, polynomial_features as polynomial_features
from jnn.diagnostics import Diagnosis as Diagnosis, diagnose as diagnose

# What is kept
from jnn.files import (
    Checkpoint as Checkpoint,
    keep_compiled as keep_compiled,
    load as load,
    save as save,
)
from jnn.initializers import INITIALIZERS as INITIALIZERS
from jnn.losses import LOSSES as LOSSES

# Many networks at once
from jnn.many import (
    Fits as Fits,
    cross_validate as cross_validate,
    fit_many as fit_many,
    grid as grid,
    halving as halving,
)
from jnn.metrics import (
    METRICS as METRICS,
    ClassificationReport as ClassificationReport,
    classification_report as classification_report,
)
from jnn.optimizers import OPTIMIZERS as OPTIMIZERS

# What a network is: stacks of equal layers
from jnn.params import Params as Params, Stack as Stack, layers as layers, sizes as sizes
from jnn.training import (
    Fit as Fit,
    Plateau as Plateau,
    Stop as Stop,
    evaluate as evaluate,
    fit as fit,
    lsuv as lsuv,
    solve_readout as solve_readout,
)

# What it computes: the triangular system, its rule, its solvers
from jnn.triangular import (
    METHODS as METHODS,
    ForwardPass as ForwardPass,
    LinearSystem as LinearSystem,
    Method as Method,
    Report as Report,
    crosscheck as crosscheck,
    deep as deep,
    forward as forward,
    forward_pass as forward_pass,
    hidden_states as hidden_states,
    linear_system as linear_system,
    predict as predict,
    probabilities as probabilities,
    solve_states as solve_states,
)

__version__ = _version("jnn-jax")
