"""From parameters and data to better parameters: the whole run in one compiled program.

To follow `fit` read fitting, options (what it is told), sources (what it trains on), epochs (its
two loops), compiled (the program) and host (what happens between two chunks of it).
"""

from jnn.training.evaluation import evaluate as evaluate
from jnn.training.fitting import fit as fit
from jnn.training.options import Plan as Plan
from jnn.training.readout import solve_readout as solve_readout
from jnn.training.result import Fit as Fit
from jnn.training.stopping import Plateau as Plateau, Stop as Stop
from jnn.training.unit_variance import lsuv as lsuv
