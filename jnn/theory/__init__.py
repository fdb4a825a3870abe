"""What the literature predicts of networks before they are trained: of wide ones, narrow ones, linear ones."""

from jnn.theory import approximation, finite_width, isometry, kernels, linear, mean_field, width_one

__all__ = ["approximation", "finite_width", "isometry", "kernels", "linear", "mean_field", "width_one"]
