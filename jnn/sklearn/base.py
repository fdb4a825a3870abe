"""What the two estimators share: parameters, validation, fitting, warm starts, predictions."""

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jnn import checks
from jnn.checks import Data, Thing
from jnn.data.rows import Rows
from jnn.sklearn import (
    draws,
    ensembles,
    held_out,
    lbfgs,
    options,
    predictions,
    scaled,
    stochastic,
)
from jnn.sklearn.conversion import check_layers
from jnn.sklearn.exchange import Exchange
from jnn.sklearn.transformations import sees_all_rows
from jnn.sklearn.watching import CallbackSupportMixin, Watch, with_callbacks


class BaseMLP(Exchange, CallbackSupportMixin, BaseEstimator, ABC):
    """The estimators' common behaviour; each says what targets, outputs and scores are."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({held_out.HELD_OUT})],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        **options.CONSTRAINTS,
    }

    hidden_layer_sizes: Thing
    activation: Thing
    solver: Thing
    random_state: Thing
    alpha: Thing
    warm_start: Thing
    early_stopping: Thing
    n_ensemble: Thing
    standardize: Thing
    dtype: Thing
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    # ---- what each of the two says of itself ----

    @abstractmethod
    def _validate_input(
        self, X: Data, y: Data, *, again: bool, reset: bool, held_out: bool = False
    ) -> Any:
        """X and y, checked, y of one output as (n,); `again`: for the network that is there."""

    def _weights(self, y: np.ndarray, sample_weight: Data) -> Data:
        """The weights of rows, None for all ones."""
        del y
        return sample_weight

    def _scales(self, rows: Rows) -> scaled.Scales:
        """What rows are standardised by."""
        return scaled.of(rows, targets=False)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """y: (n, n_outputs) as the user gave it."""
        return y.ravel() if y.shape[1] == 1 else y

    @abstractmethod
    def _output(self) -> str:
        """The output's activation, a key of `objectives.OBJECTIVES`."""

    @classmethod
    def recommended(cls, **overrides: Thing) -> Any:
        """An estimator that is good without tuning, for data as they come.

        It is the class with hidden_layer_sizes=(64, 64), activation="silu", alpha="held-out" and
        learning_rate_init=0.01. Its `fit` standardises the columns of X, and of y in regression,
        judges penalties on held-out rows (`held_out_losses_` tells of each α the mean loss), trains
        eight networks to convergence with those that are not clearly worse than the best
        (`alphas_`), and leaves their average in `coefs_` and `intercepts_`: one network of eight
        times the width. Data frames with missing values or categories need a `ColumnTransformer`
        of `SimpleImputer` and `OneHotEncoder` before it.

        Args:
          overrides: parameters of the class. A number as alpha gives the plain estimator.
        Raises:
          TypeError: a parameter is unknown.
        """
        return cls(**{**held_out.PARAMETERS, **overrides})

    # ---- fitting ----

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Data,
        y: Data,
        sample_weight: Data = None,
        *,
        X_val: Data = None,
        y_val: Data = None,
        sample_weight_val: Data = None,
    ) -> Any:
        """Fit the network to all rows.

        Args:
          X: (n, n_features), an array, a sparse matrix or a data frame.
          y: (n,) or (n, n_outputs): class labels, label indicators or real numbers.
          sample_weight: (n,), None for all ones.
          X_val, y_val, sample_weight_val: rows to validate with, of which
            `validation_loss_curve_` records the loss after each epoch. With early_stopping they
            are what is judged, and all of X is trained on.
        Returns:
          The estimator itself.
        Raises:
          ValueError: a parameter or the data are not as described, or weights became infinite.
        """
        watch = Watch(self, X, y)
        with watch.fit():
            self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val), watch)
        return self

    def _fit(
        self,
        X: Data,
        y: Data,
        sample_weight: Data,
        apart: tuple[Data, Data, Data] = (None, None, None),
        watch: Watch | None = None,
        *,
        incremental: bool = False,
    ) -> "BaseMLP":
        hidden = self._hidden_sizes()
        options.check(self, incremental=incremental)
        if self.n_ensemble > 1:
            rows = X, y, sample_weight
            return ensembles.fit(self, rows, apart, incremental=incremental)
        again = bool(self.warm_start or incremental)
        first = not (again and hasattr(self, "coefs_"))
        X, y = self._validate_input(X, y, again=again, reset=first)
        if isinstance(self.alpha, str):
            held_out.check(self, X, sample_weight, apart, incremental=incremental)
        rows = self._rows(X, y, sample_weight)
        validation = self._validation(*apart)
        self.n_outputs_ = max(rows.y.shape[1], len(options.levels_of(self)))
        random = check_random_state(self.random_state)
        if first:
            self._initialize(random, [X.shape[1], *hidden, self.n_outputs_], X.dtype)
            self.scales_ = self._scales(rows) if self.standardize else None
        check_layers(self.coefs_, self.intercepts_, (X.shape[1], self.n_outputs_))
        watch = watch or Watch(self, X, y)
        if isinstance(self.alpha, str):
            held_out.fit(self, rows, random)
        elif self.solver == "lbfgs":
            lbfgs.fit(self, rows, validation, watch)
        else:
            stochastic.fit(self, rows, validation, random, watch, incremental=incremental)
        if not all(np.isfinite(a).all() for a in [*self.coefs_, *self.intercepts_]):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed: put a StandardScaler before the network, or "
                "lower learning_rate_init."
            )
        return self

    def _rows(self, X: Data, y: np.ndarray, sample_weight: Data) -> Rows:
        """Rows of checked X and y, and their weights."""
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        return Rows(X, y, self._weights(y, sample_weight))

    def _validation(self, X: Data, y: Data, sample_weight: Data) -> Rows | None:
        """The user's rows to validate with."""
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val go together: give both of them, or none")
        X, y = self._validate_input(X, y, again=True, reset=False, held_out=True)
        return self._rows(X, y, sample_weight)

    def _hidden_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = [*sizes] if hasattr(sizes, "__iter__") else [sizes]
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return [checks.integer("each entry of hidden_layer_sizes", size, 1) for size in sizes]

    def _initialize(self, random: np.random.RandomState, sizes: list[int], dtype: np.dtype) -> None:
        """A new network, and nothing remembered."""
        self.out_activation_ = self._output()
        self.coefs_, self.intercepts_ = draws.glorot(random, sizes, self.activation, dtype)
        self._forget(len(sizes))

    def _forget(self, n_layers: int) -> None:
        self.n_iter_ = 0
        self.t_ = 0
        self.validation_loss_curve_ = None
        self.n_layers_ = n_layers
        if self.solver == "lbfgs":
            return
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else np.inf

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs" or sees_all_rows(self.solver):
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    @property
    def history_(self) -> dict[str, np.ndarray]:
        """What was recorded, an entry an epoch: "loss", "validation_loss", "validation_score"."""
        columns = {
            "loss": self.loss_curve_,
            "validation_loss": self.validation_loss_curve_,
            "validation_score": getattr(self, "validation_scores_", None),
        }
        return {name: np.asarray(column) for name, column in columns.items() if column is not None}

    # ---- predictions ----

    def _outputs(self, X: Data) -> np.ndarray:
        """The network's outputs (n, n_outputs), by the weights that stand in the estimator."""
        check_is_fitted(self)
        dtype: Any = "numeric" if self.dtype is None else np.float32
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False, dtype=dtype)
        z = predictions.outputs(
            scaled.inputs(self.scales_, X),
            self.coefs_,
            self.intercepts_,
            self.activation,
            self.out_activation_,
        )
        return scaled.outputs(self.scales_, z)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
