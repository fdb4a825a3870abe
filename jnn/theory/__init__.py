"""What the literature predicts of networks before they are trained: wide, narrow, linear ones."""

from jnn.theory import (
    approximation as approximation,
    finite_width as finite_width,
    gaussian as gaussian,
    isometry as isometry,
    kernels as kernels,
    linear as linear,
    mean_field as mean_field,
    width_one as width_one,
)
