"""The regressor: what its targets, outputs and scores are."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from jnn.checks import Data, Thing
from jnn.data.rows import Rows
from jnn.losses import Loss
from jnn.params import Params
from jnn.sklearn import devices, ensembles, networks, options, scaled
from jnn.sklearn.base import BaseMLP
from jnn.sklearn.terms import QUANTILE


class MLPRegressor(RegressorMixin, BaseMLP):
    """scikit-learn's regressor: the same parameters, attributes and numbers, compiled by JAX.

        xₗ = h(xₗ₋₁ Wₗ + bₗ),  ŷ = x_{N−1} W_N + b_N  or its exponential

    Args:
      loss: "squared_error", ½(ŷ − y)² averaged over outputs; "poisson", half the deviance of
        counts y ≥ 0, y log(y/ŷ) − y + ŷ, whose ŷ is the exponential of the output; "quantile", the
        pinball loss; "half_mse", "mse", "mae", "rmse", "huber", "log_cosh" of `jnn.LOSSES`, a
        `Loss`, or a function of one row's (ŷ, y).
      hidden_layer_sizes: the width of each hidden layer.
      activation: of the hidden layers, "identity", "logistic", "tanh", "relu", any other of
        `jnn.ACTIVATIONS`, or an elementwise function.
      solver: "adam", "sgd" or "lbfgs", as scikit-learn has them; any other name of
        `jnn.OPTIMIZERS`, whose rate is learning_rate_init; or an optax transformation.
      alpha: α of the penalty ½ α Σw² / Σ weights of the rows at hand; "held-out" is the recipe of
        `recommended()`, which standardises, finds α's and averages eight networks.
      batch_size: rows of a minibatch; "auto" is min(200, n).
      learning_rate: of sgd and what scikit-learn lacks: "constant"; "invscaling",
        η = η₀/(t + 1)^power_t after t rows; "adaptive", divided by 5 whenever progress stalls,
        until it is at most 1e-6. Of adam, too: "cosine", ½ η₀ (1 + cos πt/T), 0 after T = max_iter
        epochs; or an optax schedule.
      learning_rate_init: η₀.
      power_t: the exponent of "invscaling".
      max_iter: the most epochs, or iterations of lbfgs.
      shuffle: whether each epoch visits the rows in a new order.
      random_state: a seed or generator of weights, validation split and orders, drawn in
        scikit-learn's sequence.
      tol: an epoch is progress if the loss falls below the least so far minus tol (with
        early_stopping: if the score reaches the highest plus tol); of lbfgs the largest entry
        of the gradient.
      verbose: print each epoch.
      warm_start: go on from the network that is there; "full" keeps the optimizer's moments, too.
      momentum, nesterovs_momentum: of sgd.
      early_stopping: hold rows out, judge by their score, and end with the best weights.
      validation_fraction: the share of rows that is held out.
      beta_1, beta_2, epsilon: of adam.
      n_iter_no_change: stop after more epochs than this without progress.
      max_fun: the most calls of the loss in lbfgs.
      quantile: level or levels of loss="quantile"; several are columns of predictions.
      scoring: what early stopping looks at in place of accuracy or R²: "loss"; a name of
        `jnn.METRICS`; a scorer's name or a function (estimator, X, y), higher being better.
      dropout: the share of hidden units that are silent in a step.
      l1_ratio: ρ of the penalty α (ρ Σ|w| + ½ (1 − ρ) Σw²).
      clip_norm: longer gradients are shortened to this length; None leaves them.
      standardize: X is standardised inside, by the weights of rows, and so is y unless loss is
        "poisson"; a sparse X is only scaled. What `to_params` gives takes X as it comes.
      n_ensemble: so many networks of seeds drawn from random_state, in `estimators_`, whose
        predictions are averaged.
      max_seconds: end after this time with the network reached.
      progress: show a bar.
      dtype: "float32" computes so whatever comes; None as the data are.
      device: a device of JAX or the name of a platform, "gpu"; None is the CPU. An accelerator
        computes in float32.

    Fitted attributes are scikit-learn's, as in `MLPClassifier`, without `classes_`. Three things
    are better: there is no `partial_fit` with lbfgs; with lbfgs and several outputs loss and
    gradient are those of one function; "poisson" refuses y < 0.
    Source: scikit-learn, `sklearn.neural_network`; Kingma and Ba 2014 (adam); Glorot and Bengio
      2010 (weights); Byrd, Lu, Nocedal and Zhu 1995 (lbfgs).

    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=1)
    >>> bool(network.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({*options.OF_NUMBERS, QUANTILE, *options.LOSSES}), Loss, callable],
        "quantile": ["array-like", Interval(Real, 0, 1, closed="neither")],
    }

    loss: Thing
    quantile: Thing

    def __init__(
        self,
        loss: Thing = "squared_error",
        hidden_layer_sizes: Thing = (100,),
        activation: Thing = "relu",
        *,
        solver: Thing = "adam",
        alpha: Thing = 0.0001,
        batch_size: Thing = "auto",
        learning_rate: Thing = "constant",
        learning_rate_init: Thing = 0.001,
        power_t: Thing = 0.5,
        max_iter: Thing = 200,
        shuffle: Thing = True,
        random_state: Thing = None,
        tol: Thing = 1e-4,
        verbose: Thing = False,
        warm_start: Thing = False,
        momentum: Thing = 0.9,
        nesterovs_momentum: Thing = True,
        early_stopping: Thing = False,
        validation_fraction: Thing = 0.1,
        beta_1: Thing = 0.9,
        beta_2: Thing = 0.999,
        epsilon: Thing = 1e-8,
        n_iter_no_change: Thing = 10,
        max_fun: Thing = 15000,
        quantile: Thing = 0.5,
        scoring: Thing = None,
        dropout: Thing = 0.0,
        l1_ratio: Thing = 0.0,
        clip_norm: Thing = None,
        standardize: Thing = False,
        n_ensemble: Thing = 1,
        max_seconds: Thing = None,
        progress: Thing = False,
        dtype: Thing = None,
        device: Thing = None,
    ) -> None:
        options.keep(self, locals())

    @classmethod
    def from_params(cls, params: Params, **parameters: Thing) -> Any:
        """The estimator that is this network, without a fit: it predicts, and can be trained on.

        Args:
          params: of jnn, ending in the identity, or in `jnp.exp` for loss="poisson".
          parameters: of the estimator, beyond hidden_layer_sizes and activation.
        Raises:
          ValueError: layers are residual or of several activations, or it ends in another function.
          TypeError: params are not a network.

        >>> params = jnn.from_layers([([[2.0]], [1.0])])
        >>> MLPRegressor.from_params(params).predict(np.ones((1, 1)))
        array([3.])
        """
        output = networks.output_of_numbers(params)
        if output == "exp":
            parameters = {"loss": "poisson", **parameters}
        found = cls(**networks.parameters_of(params), **parameters)
        networks.put(found, params, output)
        return found

    def _output(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _validate_input(
        self, X: Data, y: Data, *, again: bool, reset: bool, held_out: bool = False
    ) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=devices.dtypes(self),
            reset=reset,
        )
        del again, held_out  # numbers have no classes that could be new
        if self.loss == "poisson" and (least := y.min()) < 0:
            raise ValueError(
                f"y has entries below 0, the least of them {least}; loss='poisson' is for counts "
                "and rates, y >= 0: take loss='squared_error'"
            )
        levels = options.levels_of(self)
        if y.ndim == 2 and y.shape[1] > 1 and len(levels) > 1:
            raise ValueError(
                f"y has {y.shape[1]} columns and quantile {len(levels)} levels; of several targets "
                "one level can be predicted: fit an estimator for each column"
            )
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Data, y: Data, sample_weight: Data = None) -> Any:
        """One epoch over these rows, from the network that is there on.

        Args:
          X: (n, n_features).
          y: (n,) or (n, n_outputs).
          sample_weight: (n,), None for all ones.
        Returns:
          The estimator itself.
        Raises:
          AttributeError: the solver is lbfgs, which has no epochs.
          ValueError: early_stopping is on.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _scales(self, rows: Rows) -> scaled.Scales:
        return scaled.of(rows, targets=self.out_activation_ == "identity")

    def score(self, X: Data, y: Data, sample_weight: Data = None) -> float:
        """R², averaged over outputs; of loss="quantile" D² of the pinball loss, over levels, too.

        D² is 1 − Σ loss / that of the best constant. Source of D²: Koenker and Machado 1999.
        """
        levels = options.levels_of(self)
        if not levels:
            return super().score(X, y, sample_weight)
        p: Any = self.predict(X)
        each = p.T if len(levels) > 1 else [p]
        scores: list[Any] = [
            d2_pinball_score(y, of_level, alpha=level, sample_weight=sample_weight)
            for level, of_level in zip(levels, each, strict=True)
        ]
        return float(np.mean(scores))

    def predict(
        self, X: Data, return_std: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """ŷ of each row, (n,) or (n, n_outputs).

        Args:
          X: (n, n_features).
          return_std: whether the standard deviation of the members of an ensemble comes with it.
        Raises:
          ValueError: it is asked for of one network.
        """
        if found := ensembles.members(self):
            mean, deviation = ensembles.averaged(found, "predict", X)
            return (mean, deviation) if return_std else mean
        if return_std:
            raise ValueError("return_std is of several networks: fit with n_ensemble >= 2")
        y = self._outputs(X)
        return y.ravel() if self.n_outputs_ == 1 else y
