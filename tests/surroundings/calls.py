"""The public calls, on networks that take little, for the tables of this folder.

`CALLS` holds every public function at least once, as functions without arguments; those in
`OF_PARAMS` are functions of a network's parameters, and run on `NETWORKS[name]()`.
"""

import tempfile
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning

import jnn
import jnn.figures
from jnn import theory
from jnn.sklearn import MLPClassifier, MLPRegressor
from jnn.theory import mean_field

N = 12
X = np.linspace(-1, 1, 2 * N, dtype=np.float32).reshape(N, 2)
Y = np.sin(X.sum(axis=1, keepdims=True))
LABELS = np.arange(N) % 3
WEIGHTS = 1.0 + np.arange(N) % 2
KEYS = jax.random.split(jax.random.key(0), 3)
EXAMPLE, OTHER, FEW, TARGET = X[1], X[5], X[:3], Y[1]


def bent(z):
    """An activation of the user's."""
    return jnp.tanh(z) + 0.1 * z


NETWORKS: dict[str, Callable[[], jnn.Params]] = {
    "plain": lambda: jnn.init_network_params([2, 3, 3, 3, 1], jax.random.key(0)),
    "residual": lambda: jnn.init_network_params(
        [2, 3, 3, 3, 1], jax.random.key(1), activation="gelu", residual=True
    ),
    "own": lambda: jnn.init_network_params([2, 3, 3, 1], jax.random.key(2), activation=bent),
    "logits": lambda: jnn.init_network_params([2, 3, 3, 3], jax.random.key(3), activation="relu"),
    "softmax": lambda: jnn.init_network_params([2, 3, 3, 3], jax.random.key(3), output="softmax"),
    "deep": lambda: jnn.init_network_params([2, *[3] * 41, 1], jax.random.key(4)),
    "line": lambda: jnn.init_network_params([1, 3, 3, 1], jax.random.key(5)),
}


class Call(NamedTuple):
    """A call on a network."""

    network: str  # of NETWORKS
    of: Callable[[Any], Any]
    traceable: bool = False  # whether it goes under jit


def _fit(network="plain", **options):
    y = options.pop("y", Y)
    return Call(network, lambda p: jnn.fit(p, (X, y), epochs=2, batch_size=5, **options).params)


def _gradient(**method):
    def of(p):
        return jax.grad(lambda p: jnp.sum(jnn.predict(p, X, **method) ** 2))(p)

    return of


OF_PARAMS: dict[str, Call] = {
    # what it computes
    "forward": Call("plain", lambda p: jnn.forward(p, EXAMPLE), True),
    "predict": Call("plain", lambda p: jnn.predict(p, X), True),
    "predict, residual": Call("residual", lambda p: jnn.predict(p, X), True),
    "predict, own": Call("own", lambda p: jnn.predict(p, X), True),
    "predict, softmax": Call("softmax", lambda p: jnn.predict(p, X), True),
    "predict, recomputed": Call("deep", lambda p: jnn.predict(p, X, recompute_every=6), True),
    "predict, in another dtype": Call(
        "plain", lambda p: jnn.predict(p, X, backprop=jnn.Method(dtype=jnp.float16)), True
    ),
    "gradient": Call("residual", _gradient(), True),
    "gradient, autodiff": Call("plain", _gradient(backprop="autodiff"), True),
    "gradient, dense": Call("residual", _gradient(backprop="dense"), True),
    "gradient, softmax": Call("softmax", _gradient(backprop="dense"), True),
    "gradient, parallel": Call("deep", _gradient(backprop="parallel"), True),
    "gradient, fused": Call("residual", _gradient(backprop="fused"), True),
    "gradient, newton": Call("deep", _gradient(states="newton"), True),
    "Hessian": Call(
        "own", lambda p: jax.jvp(jax.grad(lambda p: jnn.forward(p, EXAMPLE)[0]), (p,), (p,)), True
    ),
    "hidden_states": Call("softmax", lambda p: jnn.hidden_states(p, EXAMPLE), True),
    "forward_pass": Call("residual", lambda p: jnn.forward_pass(p, EXAMPLE), True),
    "linear_system": Call("softmax", lambda p: jnn.linear_system(p, EXAMPLE), True),
    "solve_states": Call("deep", lambda p: jnn.solve_states(p, X), True),
    "probabilities": Call("logits", lambda p: jnn.probabilities(p, X), True),
    "layers": Call("plain", jnn.layers, True),
    "sizes": Call("plain", jnn.sizes),
    "crosscheck": Call("plain", lambda p: jnn.crosscheck(p, EXAMPLE, TARGET).ok),
    "crosscheck, labels": Call(
        "logits", lambda p: jnn.crosscheck(p, EXAMPLE, 1, loss="cross_entropy").ok
    ),
    # training
    "fit": _fit(),
    "fit, sgd, weights": Call(
        "residual",
        lambda p: (
            jnn.fit(
                p, (X, Y, WEIGHTS), epochs=1, optimizer="sgd", penalty=jnn.penalties.l1(0.1)
            ).params
        ),
    ),
    "fit, every optimizer": Call(
        "plain",
        lambda p: [jnn.fit(p, (X, Y), epochs=1, optimizer=name).params for name in jnn.OPTIMIZERS],
    ),
    "fit, validation": _fit(
        validation=0.25,
        patience=1,
        metrics=("r2", "max_error", "explained_variance"),
        plateau=jnn.Plateau(),
        watch=jnn.diagnostics.WATCHES,
        clip_norm=1.0,
    ),
    "fit, dropout": _fit(dropout_rate=0.3, penalty=jnn.penalties.elastic_net(0.1)),
    "fit, classes": _fit(
        "logits",
        y=LABELS,
        loss=jnn.losses.smoothed("cross_entropy", 0.1),
        metrics=("accuracy", "balanced_accuracy"),
        validation=0.25,
    ),
    "fit, softmax": _fit("softmax", y=LABELS, loss="log_loss", metrics="accuracy"),
    "fit, half precision": _fit(optimizer="sgd", backprop=jnn.Method(dtype=jnp.bfloat16)),
    "fit, bfgs": Call("plain", lambda p: jnn.fit(p, (X, Y), epochs=2, optimizer="bfgs").params),
    "fit, lbfgs": Call("plain", lambda p: jnn.fit(p, (X, Y), epochs=2, optimizer="lbfgs").params),
    "fit, levenberg_marquardt": Call(
        "plain", lambda p: jnn.fit(p, (X, Y), epochs=2, optimizer="levenberg_marquardt").params
    ),
    "fit, a stream": Call(
        "plain",
        lambda p: (
            jnn.fit(
                p,
                jnn.Stream(lambda epoch: [(X, Y)] * 2),
                epochs=2,
                validation=(X, Y),
                metrics="mse",
            ).params
        ),
    ),
    "fit, a checkpoint": Call("plain", lambda p: _resumed(p)),
    "evaluate": Call(
        "plain", lambda p: jnn.evaluate(p, (X, Y), ["r2", "max_error", "mse"], weights=WEIGHTS)
    ),
    "evaluate, classes": Call(
        "logits",
        lambda p: jnn.evaluate(
            p, (X, LABELS), ["accuracy", "balanced_accuracy", "cross_entropy"], weights=WEIGHTS
        ),
    ),
    "fit_many": Call("plain", lambda p: _many(p).params),
    "Fits": Call("plain", lambda p: _read(_many(p))),
    "fit_many, splits and masks of their own": Call(
        "residual",
        lambda p: (
            _many(
                p,
                validation=0.25,
                patience=[1, 2, 3],
                dropout_rate=0.2,
                key=KEYS,
                metrics="r2",
            ).history
        ),
    ),
    "fit_many, two structures and a checkpoint": Call("plain", lambda p: _several(p)),
    "cross_validate": Call("plain", lambda p: _folds(p).by("member")),
    "halving": Call(
        "plain", lambda p: jnn.halving(_three(p), (X, Y), epochs=4, progress=False).params
    ),
    "solve_readout": Call("plain", lambda p: jnn.solve_readout(p, (X, Y), l2=0.1)),
    "lsuv": Call("residual", lambda p: jnn.lsuv(p, X)),
    "penalties.value": Call(
        "plain", lambda p: jnn.penalties.value(jnn.penalties.elastic_net(0.1), p), True
    ),
    # diagnostics
    "diagnose": Call("plain", lambda p: str(jnn.diagnose(p, X, Y))),
    "statistics": Call("residual", lambda p: jnn.diagnostics.statistics(p, X)),
    "variances": Call("plain", lambda p: jnn.diagnostics.variances(p)),
    "effective_rank": Call("plain", lambda p: jnn.diagnostics.effective_rank(p, X)),
    "correlations": Call("plain", lambda p: jnn.diagnostics.correlations(p, EXAMPLE, OTHER)),
    "gradient_norms": Call("residual", lambda p: jnn.diagnostics.gradient_norms(p, X, Y)),
    "output_norms": Call("softmax", lambda p: jnn.diagnostics.output_norms(p, X)),
    "noise_scale": Call(
        "logits", lambda p: jnn.diagnostics.noise_scale(p, X, LABELS, loss="cross_entropy")
    ),
    "layer_singular_values": Call(
        "plain", lambda p: jnn.diagnostics.layer_singular_values(p, EXAMPLE)
    ),
    "mean_squared_singular_values": Call(
        "plain", lambda p: jnn.diagnostics.mean_squared_singular_values(p, X)
    ),
    "log_singular_values": Call(
        "residual", lambda p: jnn.diagnostics.log_singular_values(p, EXAMPLE)
    ),
    "lyapunov_exponents": Call("plain", lambda p: jnn.diagnostics.lyapunov_exponents(p, EXAMPLE)),
    "sensitivity_map": Call("plain", lambda p: jnn.diagnostics.sensitivity_map(p, EXAMPLE)),
    "top_eigenvalues": Call("plain", lambda p: jnn.diagnostics.top_eigenvalues(p, X, Y, k=2)),
    "trace": Call("plain", lambda p: jnn.diagnostics.trace(p, X, Y, samples=4)),
    "empirical_ntk": Call("residual", lambda p: jnn.diagnostics.empirical_ntk(p, FEW)),
    # what is kept
    "save and load": Call("plain", lambda p: _saved(p)),
    "save and load, many": Call("plain", lambda p: _saved(jax.tree.map(lambda a: a[None], p))),
}


def _three(params):
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf, leaf]), params)


def _folds(params):
    return jnn.cross_validate(
        _three(params),
        (X, Y),
        3,
        standardize="xy",
        penalty=jnn.penalties.l2(np.array([0.0, 0.1, 0.2])),
        epochs=2,
        batch_size=5,
        progress=False,
    )


def _many(params, **options):
    rates = np.array([1e-3, 2e-3, 4e-3])
    return jnn.fit_many(
        _three(params),
        (X, Y),
        learning_rate=rates,
        epochs=2,
        batch_size=5,
        progress=False,
        **options,
    )


def _read(fits):
    table = {name: column for name, column in fits.table().items() if name != "stopped"}
    return table, fits.predict(X), len(str(fits)) > 0


def _several(params):
    first, *_, last = jnn.sizes(params)
    layers = [(np.full((2, first), 0.1), np.zeros(2)), (np.full((last, 2), 0.2), np.zeros(last))]
    dtype = params[0].w.dtype
    other = jnn.from_layers([(w.astype(dtype), b.astype(dtype)) for w, b in layers])
    stop = jnn.Stop(target=np.array([1e-9, 1e-8, 1e-7]))
    with tempfile.TemporaryDirectory() as folder:
        for epochs in (1, 2):
            fits = jnn.fit_many(
                [params, other, params], (X, Y), epochs=epochs, stop=stop, progress=False,
                clip_norm=np.array([0.5, 1.0, 2.0]), checkpoint=folder,
            )  # fmt: skip
        return fits.params, fits.history


def _resumed(params):
    with tempfile.TemporaryDirectory() as folder:
        for epochs in (1, 2):
            fitted = jnn.fit(params, (X, Y), epochs=epochs, checkpoint=f"{folder}/run")
        return fitted.params


def _saved(params):
    with tempfile.TemporaryDirectory() as folder:
        jnn.save(f"{folder}/net.safetensors", params)
        return jnn.load(f"{folder}/net.safetensors")


def _start(init, activation="tanh", **options):
    return lambda: jnn.init_network_params(
        [2, 4, 4, 4, 1], jax.random.key(0), activation=activation, init=init, **options
    )


STARTS = {
    **{f"init {name}": _start(name) for name in jnn.INITIALIZERS
       if name not in ("fixup", "rezero", "looks_linear")},
    "init fixup": _start("fixup", "silu", residual=True),
    "init rezero": _start("rezero", "gelu", residual=True),
    "init looks_linear": _start("looks_linear", "relu"),
    "init critical, own": _start("critical", bent),
    "init critical, gelu": _start("critical", "gelu"),
    "init of jax.nn": _start(jax.nn.initializers.he_normal()),
}  # fmt: skip


def _deep(backprop):
    def layer(p, x, s):
        return jnp.tanh(p @ x + s)

    def loss(p):
        return jnp.sum(jnn.deep(layer, backprop=backprop)(p, jnp.ones(3), 0.5) ** 2)

    return lambda: jax.grad(loss)(0.1 * jnp.ones((40, 3, 3)))


def _activations():
    z = np.linspace(-2, 2, 7, dtype=np.float32)
    return {
        name: [np.asarray(f(z)) for f in (h.value, h.slope)] for name, h in jnn.ACTIVATIONS.items()
    }


def _losses():
    p, y = jnp.array([[0.2], [0.7]]), jnp.array([[0.0], [1.0]])
    every = [*jnn.LOSSES.values(), jnn.losses.quantile(0.3)]
    several = [loss for loss in every if loss.takes != "a distribution"]
    return [
        float(value)
        for loss in several
        for value in (
            jnn.losses.mean_loss(loss, p, y),
            jnp.sum(jax.grad(lambda p, loss=loss: jnn.losses.mean_loss(loss, p, y, y[:, 0]))(p)),
        )
    ]


def _metrics():
    p = jnp.asarray(np.random.default_rng(0).standard_normal((N, 7)), jnp.float32)
    columns = {name: jnn.metrics.resolve(name) for name in ("accuracy", "top_5_accuracy")}
    return {name: float(metric(p, jnp.asarray(LABELS), None)) for name, metric in columns.items()}


def _scaled():
    s = jnn.data.standardization(X, weights=WEIGHTS)
    z = jnn.data.standardize(s, jnp.asarray(X))
    return z, jnn.data.unstandardize(s, z), jax.jit(jnn.data.standardize)(s, X)


def _figures():
    f, depths = jnn.figures, np.arange(1, 5)
    curve = jnp.asarray(np.exp(-depths), jnp.float32)
    every = [
        f.curves(X[:, 0], {"net": Y}, data=(X[:, 0], Y)),
        f.losses({"loss": curve}),
        f.convergence({"adam": (curve, 1.0)}),
        f.errors_by_depth(depths, curve),
        f.gradients_by_depth(curve),
        f.correlations_by_depth({"measured": curve}),
        f.jacobian_spectrum(curve),
        f.sensitivity(jnp.eye(4)),
        f.matrix(jnp.eye(4)),
        f.confusion_matrix(np.eye(2, dtype=int)),
        f.images(jnp.ones((2, 3, 3))),
        f.network(NETWORKS["plain"]()),
        f.hidden_units(jnn.from_layers([(1.0, 0.0), (2.0, 0.5)]), X[:, :1]),
        f.residuals(X[:, 0], {"net": Y}),
        f.predicted(Y, {"net": Y}),
        f.training(X[:, 0], jnp.stack([Y, Y]), data=(X[:, 0], Y)),
        f.decision_boundary(lambda x: x[:, 0] > 0, X, X[:, 0] > 0),
        f.phase_diagram(depths, depths, np.ones((4, 4))),
        f.trainability(depths, depths, np.ones((4, 4))),
        f.fan({"loss": jnp.stack([curve, curve])}),
        f.heat_map({"depth": depths, "loss": curve}, "depth", "depth", "loss"),
        f.descent(depths, depths, jnp.ones((4, 4)), {"path": jnp.ones((2, 2))}),
        f.ensemble(depths, (curve, curve), data=(depths, curve)),
    ]
    return len(every)


def _theory():
    point = {"sigma_w2": 1.5, "sigma_b2": 0.1}
    every = [
        mean_field.length_map(1.0, **point),
        mean_field.correlation_map(0.5, bent, **point),
        mean_field.length("gelu", **point),
        mean_field.through_depth(3, **point),
        mean_field.limits(**point),
        mean_field.signals(3, "relu", **point),
        mean_field.critical(0.1),
        mean_field.critical_point(),
        mean_field.phase_diagram(points=3),
        theory.gaussian.moments("softplus", 1.0),
        theory.isometry.moments(2, 3, **point),
        theory.isometry.variance(3, **point),
        theory.isometry.largest_singular_value(3, **point),
        theory.isometry.spectrum(3, points=5, **point),
        theory.isometry.linear_moments(3, 3),
        theory.kernels.infinite_width(X[:3], hidden=2, activation="gelu", **point),
        theory.linear.learning_curve(1.0, 2.0, 0.1),
        theory.linear.learning_time(1.0, 2.0, 0.1),
        theory.linear.chain_curvature(1.0, 1.0, 3),
        theory.finite_width.relu_law([2, 4, 4]),
        theory.finite_width.dead_probability([4, 4]),
        theory.finite_width.born_dead([2, 4, 1]),
        theory.width_one.fixed_points(5.0, -2.0),
        theory.width_one.gradient_fall(),
        theory.width_one.last_depth(np.float32),
        theory.width_one.log_gradient_bound([1.0, 2.0]),
        theory.approximation.minimum_width(2, 1),
        theory.approximation.monotone_floor(X[:, 0], Y[:, 0]),
    ]
    return len(every)


def _estimator(Estimator, y=LABELS, **options):
    """The weights of an estimator in scikit-learn's manner, and what it predicts."""

    def call():
        options.setdefault("hidden_layer_sizes", (3,))
        network = Estimator(max_iter=2, random_state=0, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(X.astype(float), y, sample_weight=WEIGHTS)
        return [*network.coefs_, *network.intercepts_, network.predict(X)]

    return call


WITHOUT_PARAMS: dict[str, Callable[[], Any]] = {
    **STARTS,
    "init, own activation": NETWORKS["own"],
    "init, softmax": NETWORKS["softmax"],
    "from_layers": lambda: jnn.from_layers([(np.ones((3, 2)), np.ones(3)), ([[1.0] * 3], [0.0])]),
    "deep, substitution": _deep("substitution"),
    "deep, parallel": _deep("parallel"),
    "deep, autodiff": _deep("autodiff"),
    "activations": _activations,
    "losses": _losses,
    "metrics": _metrics,
    "classification_report": lambda: str(
        jnn.classification_report(LABELS, jnp.eye(3)[LABELS], weights=WEIGHTS)
    ),
    "data.one_hot": lambda: jnn.data.one_hot(LABELS),
    "data.polynomial_features": lambda: jnn.polynomial_features(X, 2),
    "data.class_weights": lambda: jnn.data.class_weights(LABELS),
    "data.standardize": _scaled,
    "data.split": lambda: jnn.data.split(
        [X, jnp.asarray(LABELS)], (0.5, 0.5), jax.random.key(0), stratify=LABELS
    ),
    "data.folds": lambda: jnn.data.folds(N, 3, jax.random.key(0), stratify=LABELS),
    "grid": lambda: jnn.grid(learning_rate=[0.1, 0.2], seed=range(3)),
    "data.host_generator": lambda: jnn.data.host_generator(jax.random.key(0)).random(3),
    "data, problems": lambda: [
        jnn.data.ripple(jax.random.key(0), 5), jnn.data.ten_features(jax.random.key(0), 5),
        jnn.data.line(5), jnn.data.logarithm(5),
    ],
    "sklearn, adam": _estimator(MLPClassifier),
    "sklearn, sgd": _estimator(
        MLPRegressor, np.c_[Y, Y], solver="sgd", batch_size=5, learning_rate="adaptive",
        early_stopping=True, validation_fraction=0.3,
    ),
    "sklearn, counts": _estimator(MLPRegressor, np.exp(Y[:, 0]), loss="poisson"),
    "sklearn, lbfgs": _estimator(MLPClassifier, LABELS > 0, solver="lbfgs", activation="tanh"),
    "sklearn, terms": _estimator(
        MLPClassifier, dropout=0.3, l1_ratio=0.5, label_smoothing=0.1, clip_norm=0.1,
        class_weight="balanced", learning_rate="cosine", standardize=True, batch_size=5,
        activation="gelu",
    ),
    "sklearn, a scorer": _estimator(
        MLPClassifier, LABELS > 0, early_stopping=True, scoring="neg_log_loss",
        validation_fraction=0.3,
    ),
    "sklearn, quantiles": _estimator(
        MLPRegressor, Y[:, 0], loss="quantile", quantile=[0.1, 0.9], solver="lamb",
    ),
    "sklearn, second order": _estimator(MLPRegressor, Y[:, 0], solver="levenberg_marquardt"),
    "theory": _theory,
    "figures": _figures,
}  # fmt: skip

CALLS: dict[str, Callable[[], Any]] = {
    **{
        name: lambda call=call: call.of(NETWORKS[call.network]())
        for name, call in OF_PARAMS.items()
    },
    **WITHOUT_PARAMS,
}


def numbers(result: Any) -> list[np.ndarray]:
    """All numbers of a result, on the host."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result) if not isinstance(leaf, str)]
