"""What the literature predicts of networks: closed forms and quadrature, to hold against what is measured."""

from jnn.theory import approximation, finite_width, kernels, linear, width_one

__all__ = ["approximation", "finite_width", "kernels", "linear", "width_one"]
