"""What a network computes: the system (I − L) dx = D dp, its rule, and the ways to solve it.

To follow `jax.grad(jnn.forward)` read, in this order, `jnn.params`, `jnn.activations`, and here
network, rule, dense, substitution, loops. Parallel, newton and fused are further ways to solve the
same system, chosen by name from the table in rule.
"""

from jnn.triangular.any_layer import deep as deep
from jnn.triangular.comparison import (
    Difference as Difference,
    Report as Report,
    crosscheck as crosscheck,
)
from jnn.triangular.dense import LinearSystem as LinearSystem, linear_system as linear_system
from jnn.triangular.method import METHODS as METHODS, Method as Method
from jnn.triangular.network import forward as forward, predict as predict
from jnn.triangular.newton import Solution as Solution, solve_states as solve_states
from jnn.triangular.probability import probabilities as probabilities
from jnn.triangular.states import (
    ForwardPass as ForwardPass,
    forward_pass as forward_pass,
    hidden_states as hidden_states,
)
