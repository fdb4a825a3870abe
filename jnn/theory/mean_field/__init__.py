"""Mean field: how lengths, angles and gradients travel through a wide network with random weights.

With W ~ N(0, σ_w²/n_in) and b ~ N(0, σ_b²), and u, v jointly Gaussian of variance q and correlation
c, wide layers z_l = W_l h(z_{l−1}) + b_l map the length q = |z|²/n and the correlation c of two
inputs to

    V(q) = σ_w² E[h(u)²] + σ_b²,        C(c) = (σ_w² E[h(u) h(v)] + σ_b²) / V(q),

whose fixed points are q* and c*. Squared gradients are multiplied by χ₁ = σ_w² E[h'(u)²] a layer,
backwards. χ₁ is also the slope of C at c = 1: below 1 all inputs end up alike (ordered), above 1
they part (chaotic), and the line χ₁ = 1 between them is where signals and gradients reach any depth
(Poole et al. 2016; Schoenholz et al. 2017).

Fixed points are found as roots, never by iteration, which takes as many steps as the network has
layers to be deep in.
"""

from jnn.theory.mean_field.criticality import (
    CriticalPoint as CriticalPoint,
    PhaseDiagram as PhaseDiagram,
    critical as critical,
    critical_point as critical_point,
    phase_diagram as phase_diagram,
)
from jnn.theory.mean_field.depth import Signals as Signals, signals as signals
from jnn.theory.mean_field.fixed_points import Limits as Limits, limits as limits
from jnn.theory.mean_field.maps import (
    correlation_map as correlation_map,
    length as length,
    length_map as length_map,
    through_depth as through_depth,
)
