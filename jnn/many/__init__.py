"""Many networks, of one structure or several, trained on all cores."""

from jnn.many.crossvalidation import cross_validate as cross_validate
from jnn.many.designs import grid as grid
from jnn.many.fitting import fit_many as fit_many
from jnn.many.result import Fits as Fits, Prediction as Prediction
from jnn.many.successive import halving as halving
