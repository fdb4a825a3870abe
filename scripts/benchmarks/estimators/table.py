"""The group `estimators`: what changing the import saves, and what the recipe gains.

Seconds come from processes of their own, of which both libraries have as many cores; the held-out
losses are computed here.
"""

from benchmarks.estimators import quality, speed
from benchmarks.timing import package_versions

PACKAGES = ("scikit-learn", "jax", "numpy", "scipy", "threadpoolctl", "joblib")


def measure(quick: bool) -> None:
    """Print the tables, speed first."""
    print(package_versions(*PACKAGES))
    speed.print_fits(quick)
    speed.print_first_fits(quick)
    speed.print_cross_validation(quick)
    speed.print_searches(quick)
    quality.print_held_out(quick)
