"""Rows before they are trained on: split, scaled, encoded, checked, streamed."""

from jnn.data.encoding import (
    class_weights as class_weights,
    one_hot as one_hot,
    polynomial_features as polynomial_features,
)
from jnn.data.problems import (
    line as line,
    logarithm as logarithm,
    ripple as ripple,
    ten_features as ten_features,
)
from jnn.data.scaling import (
    Standardization as Standardization,
    standardization as standardization,
    standardize as standardize,
    unstandardize as unstandardize,
)
from jnn.data.splits import folds as folds, host_generator as host_generator, split as split
from jnn.data.streams import Stream as Stream
