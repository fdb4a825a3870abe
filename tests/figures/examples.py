"""A picture by every function of `jnn.figures`, of the size that lectures show."""

import jax
import numpy as np

import jnn
from jnn import figures

x = np.linspace(-1, 1, 50)
y = np.sin(3 * x)
depths = np.arange(1, 21)
falling = np.exp(-0.2 * np.arange(60))
log_norms = -0.7 * depths[::-1] + np.sin(np.arange(5))[:, None]
w, b = np.linspace(0.2, 4, 12), np.linspace(0, 1, 8)
plane = np.exp(0.3 * (w[None] - 1.5) - b[:, None])
triangular = np.tril(np.cos(np.arange(36.0)).reshape(6, 6) - 0.3)


def trained(sizes):
    params = jnn.init_network_params(sizes, jax.random.key(0))
    return jnn.fit(params, (x[:, None], y[:, None]), epochs=5, progress=False).params


EXAMPLES = {
    "confusion_matrix": lambda: figures.confusion_matrix(
        np.eye(10, dtype=int) * 90 + 3, title="Digits"
    ),
    "convergence": lambda: figures.convergence(
        {"Adam": (falling, 1.5), "BFGS": (falling**2, 4.0)}, floor=1e-6
    ),
    "correlations_by_depth": lambda: figures.correlations_by_depth(
        {"σ_w² = 1.5": 1 - 0.9 ** (20.0 - depths)},
        predicted={"σ_w² = 1.5": 1 - 0.9 ** (20.0 - depths)},
    ),
    "curves": lambda: figures.curves(
        x, {f"{n} layers": y / n for n in (1, 2, 4)}, data=(x, y), reference={"mean": 0 * x}
    ),
    "decision_boundary": lambda: figures.decision_boundary(
        lambda rows: (rows[:, 0] > rows[:, 1] ** 2).astype(int), np.stack([x, y], 1), x > y**2
    ),
    "descent": lambda: figures.descent(
        w, b, 0.01 + (w[None] - 2) ** 2 + 9 * (b[:, None] - 0.4) ** 2,
        {"steepest descent": [(3.8, 0.9), (3.3, 0.1), (2.8, 0.6)], "minimum": [(2, 0.4)]},
    ),
    "ensemble": lambda: figures.ensemble(x, (y, 0.1 + 0.2 * x**2), data=(x, y)),
    "errors_by_depth": lambda: figures.errors_by_depth(
        depths, 1 - np.exp(-0.2 * depths), baseline=1.0
    ),
    "fan": lambda: figures.fan({"Glorot": falling[:, None].T * np.array([[1.0], [2], [3]])}),
    "gradients_by_depth": lambda: figures.gradients_by_depth(
        {"tanh": 6 * log_norms}, predicted={"tanh": -4.2 * depths[::-1]}, smallest=1.2e-38
    ),
    "heat_map": lambda: figures.heat_map(
        {"depth": np.repeat(depths[:5], 4), "rate": np.tile([0.1, 0.2, 0.3, 0.4], 5), "loss":
         falling[:20]}, "depth", "rate", "loss",
    ),
    "hidden_units": lambda: figures.hidden_units(trained([1, 8, 1]), x[:, None]),
    "images": lambda: figures.images(
        np.cos(np.arange(12 * 64.0)).reshape(12, 8, 8), ["8, not 3"] * 12, title="Digits"
    ),
    "jacobian_spectrum": lambda: figures.jacobian_spectrum(np.abs(np.sin(np.arange(200)))),
    "losses": lambda: figures.losses(
        {"loss": falling, "validation_loss": falling + 0.02}, best_epoch=40, stopped="patience"
    ),
    "matrix": lambda: figures.matrix(triangular),
    "network": lambda: figures.network(trained([1, 8, 8, 1])),
    "phase_diagram": lambda: figures.phase_diagram(w, b, plane),
    "predicted": lambda: figures.predicted(
        y, {"as published": 0.8 * y - 0.1 * x, "scaled": y + 0.02 * x}
    ),
    "residuals": lambda: figures.residuals(x, {"width 4": 0.01 * y, "width 8": 0.001 * x}),
    "sensitivity": lambda: figures.sensitivity(np.abs(triangular) + 1e-3),
    "trainability": lambda: figures.trainability(w, b, plane),
    "training": lambda: figures.training(x, np.stack([y * k / 9 for k in range(10)]), data=(x, y)),
}  # fmt: skip
