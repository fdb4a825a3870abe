"""Every public function with a number among its arguments × what may stand in a number's place.

Each is taken rightly or refused by jnn, with a sentence that names the argument; none hangs.
"""

import warnings
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
import jnn.figures as figures
import jnn.theory as theory
from jnn import data, diagnostics, initializers, losses, optimizers, penalties

pytestmark = pytest.mark.table

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 6)[:, None]
NET = jnn.init_network_params([1, 2, 1], KEY)
VARIANCES = {"sigma_w2": 1.5, "sigma_b2": 0.1}
MEAN_FIELD, ISOMETRY, WIDTH_ONE = theory.mean_field, theory.isometry, theory.width_one


class Row(NamedTuple):
    call: object
    named: str  # what the sentence calls the argument
    good: float  # a value that is taken, and as NumPy's and JAX's number, too
    array: bool = False  # whether it may be an array
    none: bool = False  # whether it may be None


def fit(**options):
    stop = jnn.Stop(seconds=0.2)  # of a billion epochs
    return jnn.fit(NET, (X, X), **{"epochs": 1, "progress": False, "stop": stop} | options)


def plain(name, call, good, **kinds):
    """A row for an argument of this name."""
    return Row(lambda v: call(**{name: v}), name, good, **kinds)


def variances(name, call, array=False):
    """Rows of an argument beside which variances stand, and of these."""
    yield Row(lambda v: call(**{**VARIANCES, "sigma_w2": v}), "sigma_w2", 1.5, array)
    yield Row(lambda v: call(**{**VARIANCES, "sigma_b2": v}), "sigma_b2", 0.5, array)


def stream(v):
    jnn.Stream(lambda: iter(()), steps_per_epoch=v)


INTEGERS = {
    "a size": Row(lambda v: jnn.init_network_params([2, v, 1], KEY), "layer size n_1", 2),
    "fit epochs": plain("epochs", fit, 1),
    "fit batch_size": plain("batch_size", fit, 2, none=True),
    "fit patience": plain("patience", fit, 2, none=True),
    "Plateau patience": plain("patience", jnn.Plateau, 2),
    "Checkpoint every_epochs": Row(
        lambda v: jnn.Checkpoint("runs", every_epochs=v), "every_epochs", 2, none=True
    ),
    "Checkpoint keep": Row(lambda v: jnn.Checkpoint("runs", keep=v), "keep", 2),
    "Stream steps_per_epoch": Row(stream, "steps_per_epoch", 2, none=True),
    "Method recompute_every": Row(
        lambda v: jnn.forward(NET, X[0], recompute_every=v), "recompute_every", 2, none=True
    ),
    "predict recompute_every": Row(
        lambda v: jnn.predict(NET, X, recompute_every=v), "recompute_every", 2, none=True
    ),
    "polynomial_features": Row(lambda v: data.polynomial_features(X, v), "degree", 2),
    "one_hot": Row(lambda v: data.one_hot(np.zeros(99, int), v), "n_classes", 2, none=True),
    "class_weights": Row(
        lambda v: data.class_weights([0, 1], n_classes=v), "n_classes", 2, none=True
    ),
    "line": plain("n", data.line, 2),
    "logarithm": plain("n", data.logarithm, 2),
    "ripple": Row(lambda v: data.ripple(KEY, v), "n", 2),
    "ten_features": Row(lambda v: data.ten_features(KEY, v), "n", 2),
    "sweeps": Row(
        lambda v: diagnostics.log_singular_values(NET, X[0], sweeps=v), "sweeps", 2
    ),
    "sensitivity_map": Row(lambda v: diagnostics.sensitivity_map(NET, X[0], points=v), "points", 2),
    "k": Row(lambda v: diagnostics.top_eigenvalues(NET, X, X, k=v), "k", 2),
    "iterations": Row(
        lambda v: diagnostics.top_eigenvalues(NET, X, X, iterations=v), "iterations", 7
    ),
    "samples": Row(lambda v: diagnostics.trace(NET, X, X, samples=v), "samples", 2),
    "bins": Row(lambda v: figures.jacobian_spectrum(X + 1, bins=v), "bins", 2),
    "blocks": Row(lambda v: figures.matrix(np.eye(3), blocks=[v, 1]), "blocks", 2),
    "fixup_variance": Row(lambda v: initializers.fixup_variance("tanh", v), "depth", 2),
    "levenberg_marquardt": plain("trials", optimizers.levenberg_marquardt.optimizer, 2),
    "minimum_width d_x": Row(lambda v: theory.approximation.minimum_width(v, 1), "d_x", 2),
    "minimum_width d_y": Row(lambda v: theory.approximation.minimum_width(1, v), "d_y", 2),
    "born_dead": Row(lambda v: theory.finite_width.born_dead([v]), "size n_1", 2),
    "dead_probability": Row(lambda v: theory.finite_width.dead_probability([v]), "size n_1", 2),
    "relu_law": Row(lambda v: theory.finite_width.relu_law([v, 2]), "size n_0", 2),
    "moments order": Row(lambda v: ISOMETRY.moments(v, 2, **VARIANCES), "order", 2),
    "moments depth": Row(lambda v: ISOMETRY.moments(2, v, **VARIANCES), "depth", 2),
    "spectrum points": Row(
        lambda v: ISOMETRY.spectrum(1, "relu", points=v, **VARIANCES), "points", 2
    ),
    "spectrum depth": Row(
        lambda v: ISOMETRY.spectrum(v, "relu", points=2, **VARIANCES), "depth", 2
    ),
    "largest_singular_value": Row(
        lambda v: ISOMETRY.largest_singular_value(v, **VARIANCES), "depth", 2
    ),
    "isometry variance": Row(lambda v: ISOMETRY.variance(v, **VARIANCES), "depth", 2),
    "linear_moments width": Row(lambda v: ISOMETRY.linear_moments(v, 2), "width", 2),
    "linear_moments depth": Row(lambda v: ISOMETRY.linear_moments(2, v, 3.0), "depth", 2),
    "infinite_width": Row(lambda v: theory.kernels.infinite_width(X, hidden=v), "hidden", 2),
    "chain_curvature": Row(lambda v: theory.linear.chain_curvature(1.5, 1, v), "layers", 2),
    "learning_curve": Row(lambda v: theory.linear.learning_curve(1.0, 2, 1, v), "layers", 2),
    "learning_time": Row(lambda v: theory.linear.learning_time(1.5, 2, 1, v), "layers", 2),
    "phase_diagram": plain("points", MEAN_FIELD.phase_diagram, 2),
    "signals": Row(lambda v: MEAN_FIELD.signals(v, **VARIANCES), "depth", 2),
    "through_depth": Row(lambda v: MEAN_FIELD.through_depth(v, **VARIANCES), "depth", 2),
}  # fmt: skip

NUMBERS = {
    "fit learning_rate": plain("learning_rate", fit, 0.5, none=True),
    "fit clip_norm": plain("clip_norm", fit, 0.5, none=True),
    "fit dropout_rate": plain("dropout_rate", fit, 0.5),
    "fit penalty": Row(lambda v: fit(penalty=penalties.Penalty(l2=v)), "l2", 0.5),
    **{
        f"Stop {name}": plain(name, jnn.Stop, 0.5, none=name != "min_improvement")
        for name in ("target", "tolerance", "seconds", "min_improvement")
    },
    "Plateau factor": plain("factor", jnn.Plateau, 0.5),
    "Plateau minimum": plain("minimum", jnn.Plateau, 0.5),
    "Checkpoint every_seconds": Row(
        lambda v: jnn.Checkpoint("runs", every_seconds=v), "every_seconds", 0.5, none=True
    ),
    "solve_readout": Row(lambda v: jnn.solve_readout(NET, (X, X), l2=v), "l2", 0.5),
    "threshold": Row(
        lambda v: jnn.classification_report([0, 1], [0, 1], threshold=v), "threshold", 0.5
    ),
    "l1": Row(penalties.l1, "strength", 0.5),
    "l2": Row(penalties.l2, "strength", 0.5),
    "elastic_net": Row(penalties.elastic_net, "strength", 0.5),
    "mix": Row(lambda v: penalties.elastic_net(1, v), "mix", 0.5),
    "quantile": Row(losses.quantile, "q", 0.5),
    "smoothed": Row(lambda v: losses.smoothed("cross_entropy", v), "label smoothing", 0.5),
    "resolve rate": Row(
        lambda v: optimizers.resolve("adam", v, None), "learning_rate", 0.5, none=True
    ),
    "bfgs": plain("curv_rtol", optimizers.bfgs.optimizer, 0.5),
    "damping": plain("damping", optimizers.levenberg_marquardt.optimizer, 0.5),
    "increase": plain("increase", optimizers.levenberg_marquardt.optimizer, 1.5),
    "decrease": plain("decrease", optimizers.levenberg_marquardt.optimizer, 1.5),
    "log_singular_values": Row(
        lambda v: diagnostics.log_singular_values(NET, X[0], tolerance=v), "tolerance", 0.5
    ),
    "empirical_ntk w": Row(
        lambda v: diagnostics.empirical_ntk(NET, X, sigma_w2=v, sigma_b2=1), "sigma_w2", 0.5
    ),
    "empirical_ntk b": Row(
        lambda v: diagnostics.empirical_ntk(NET, X, sigma_w2=1, sigma_b2=v), "sigma_b2", 0.5
    ),
    "critical": Row(
        lambda v: initializers.critical("tanh", sigma_b2=v), "sigma_b2", 0.5, none=True
    ),
    "critical_variances": Row(
        lambda v: initializers.critical_variances("tanh", v), "sigma_b2", 0.5, none=True
    ),
    "theory critical": Row(MEAN_FIELD.critical, "sigma_b2", 0.5),
    "baseline": Row(
        lambda v: figures.errors_by_depth([1, 2], [1, 2], baseline=v), "baseline", 0.5, none=True
    ),
    "smallest": Row(
        lambda v: figures.gradients_by_depth([1, 2], smallest=v), "smallest", 0.5, none=True
    ),
    "floor": Row(
        lambda v: figures.convergence({"a": ([1], 1)}, floor=v), "floor", 0.5, none=True
    ),
    "seconds of a run": Row(lambda v: figures.convergence({"a": ([1], v)}), "the seconds", 0.5),
    "a point": Row(
        lambda v: figures.phase_diagram([1, 2], [0], [[1, 2]], points={"a": (v, v)}),
        "'a'", 0.5,
    ),
    "half_difference": Row(lambda v: theory.gaussian.half_difference("tanh", v, 0.1), "q", 0.5),
    "start": Row(lambda v: MEAN_FIELD.length(start=v, **VARIANCES), "start", 0.5),
    "q of limits": Row(lambda v: MEAN_FIELD.limits(q=v, **VARIANCES), "q", 0.5),
    "tolerance of limits": Row(
        lambda v: MEAN_FIELD.limits(tolerance=v, **VARIANCES), "tolerance", 0.5
    ),
    "q of correlation_map": Row(
        lambda v: MEAN_FIELD.correlation_map(0.5, q=v, **VARIANCES), "q", 0.5, none=True
    ),
    "q of through_depth": Row(lambda v: MEAN_FIELD.through_depth(2, q=v, **VARIANCES), "q", 0.5),
    "c of through_depth": Row(lambda v: MEAN_FIELD.through_depth(2, c=v, **VARIANCES), "c", 0.5),
    "start of signals": Row(
        lambda v: MEAN_FIELD.signals(2, start=(v, 0), **VARIANCES), "start", 0.5
    ),
    "mean of signals": Row(
        lambda v: MEAN_FIELD.signals(2, start=(1, v), **VARIANCES), "start", 0.5
    ),
    "linear_moments": Row(lambda v: ISOMETRY.linear_moments(2, 3, v), "sigma_w2", 0.5),
    "w of chain_curvature": Row(lambda v: theory.linear.chain_curvature(v, 1, 3), "w", 0.5),
    "y of chain_curvature": Row(lambda v: theory.linear.chain_curvature(1, v, 3), "y", 0.5),
    "s": Row(lambda v: theory.linear.learning_curve(1, v, 0.1), "s", 0.5),
    "a0": Row(lambda v: theory.linear.learning_curve(1, 2, v), "a0", 0.5),
    "w of fixed_points": Row(lambda v: WIDTH_ONE.fixed_points(v, 0), "w", 0.5),
    "b of fixed_points": Row(lambda v: WIDTH_ONE.fixed_points(1, v), "b", 0.5),
    "gradient_fall w": Row(lambda v: WIDTH_ONE.gradient_fall(sigma_w2=v), "sigma_w2", 0.5),
    "gradient_fall b": Row(lambda v: WIDTH_ONE.gradient_fall(sigma_b2=v), "sigma_b2", 0.5),
    "ratio": Row(lambda v: WIDTH_ONE.last_depth("float32", v), "ratio", 0.5),
    # arrays
    "q of length_map": Row(lambda v: MEAN_FIELD.length_map(v, **VARIANCES), "q", 0.5, array=True),
    "c of correlation_map": Row(
        lambda v: MEAN_FIELD.correlation_map(v, q=1, **VARIANCES), "c", 0.5, array=True
    ),
    "q of moments": Row(lambda v: theory.gaussian.moments("tanh", v), "q", 0.5, array=True),
    "distance": Row(
        lambda v: theory.gaussian.half_difference("tanh", 1.0, v), "distance", 0.5, array=True
    ),
    "t": Row(lambda v: theory.linear.learning_curve(v, 2, 1), "t", 0.5, array=True),
    "a": Row(lambda v: theory.linear.learning_time(v, 2, 0.1), "a", 0.5, array=True),
    "x of relu_distribution": Row(
        lambda v: theory.finite_width.relu_distribution(v, [2, 2]), "x", 0.5, array=True
    ),
    "x of infinite_width": Row(
        lambda v: theory.kernels.infinite_width([[v]], hidden=1), "x", 0.5, array=True
    ),
    "w of log_gradient_bound": Row(
        lambda v: WIDTH_ONE.log_gradient_bound(np.ravel(v)), "w", 0.5, array=True
    ),
    "x of monotone_floor": Row(
        lambda v: theory.approximation.monotone_floor(np.ravel(v), [1]), "x", 0.5, array=True
    ),
    "singular values": Row(
        lambda v: figures.jacobian_spectrum([v]), "singular", 0.5, array=True
    ),
    "a matrix": Row(lambda v: figures.matrix([[v]]), "M", 0.5, array=True),
    **{
        f"{function.__name__} {row.named}": row
        for function, array in (
            (MEAN_FIELD.length, True), (MEAN_FIELD.limits, False),
            (lambda **v: ISOMETRY.variance(2, **v), False),
            (lambda **v: theory.kernels.infinite_width(X, hidden=1, **v), False),
        )
        for row in variances("", function, array)
    },
}  # fmt: skip


def taken(row, value, warns="error"):
    """What comes of it: None, or the TypeError or ValueError, its sentence looked at."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(warns)
            warnings.filterwarnings("ignore", message="loss or parameters stopped being finite")
            row.call(value)
    except (TypeError, ValueError) as error:
        sentence = str(error)
        assert row.named in sentence or "bytes, more than this" in sentence, (value, sentence)
        assert len(sentence) < 1_000
        return error
    return None


@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_is_an_integer(name, as_a_user):
    row = INTEGERS[name]
    for good in (row.good, np.int64(row.good), np.uint8(row.good), jnp.array(row.good)):
        assert taken(row, good) is None, good
    for wrong in (True, np.bool_(True), "1", 1.5, np.float32(2), float("nan"), np.inf, 2j, [2]):
        assert taken(row, wrong) is not None, wrong
    assert taken(row, -1) is not None
    assert row.none == (taken(row, None) is None)
    taken(row, 10**15)  # taken or refused, as more than any machine has: it comes back


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_a_number(name, as_a_user):
    row = NUMBERS[name]
    for good in (row.good, np.float32(row.good), jnp.array(row.good)):
        assert taken(row, good) is None, good
    for wrong in (True, np.bool_(True), "1", float("nan"), 2j, "x"):
        assert taken(row, wrong) is not None, wrong
    assert row.none == (taken(row, None) is None)
    assert row.array or taken(row, [row.good]) is not None
    for extreme in (10**9, 1e300, 1e-300, -1, 0, np.inf):
        taken(row, extreme, warns="ignore")  # ∞ is right, and NumPy says that it came
