"""The classifier: what its targets, outputs and scores are."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import Tags, column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from jnn.checks import Data, Thing
from jnn.params import Params
from jnn.sklearn import devices, ensembles, labels, networks, options
from jnn.sklearn.base import BaseMLP


class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's classifier: the same parameters, attributes and numbers, compiled by JAX.

        xₗ = h(xₗ₋₁ Wₗ + bₗ),  p = softmax(x_{N−1} W_N + b_N)

    of several classes; of two, and of labels that do not exclude each other, p is the logistic
    function of each output. It minimises −Σ log p[class], averaged over rows.

    Args:
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
      class_weight: of rows, {class: weight}; "balanced" gives all classes the same sum.
      scoring: what early stopping looks at in place of accuracy or R²: "loss"; a name of
        `jnn.METRICS`; a scorer's name or a function (estimator, X, y), higher being better.
      dropout: the share of hidden units that are silent in a step.
      l1_ratio: ρ of the penalty α (ρ Σ|w| + ½ (1 − ρ) Σw²).
      label_smoothing: ε of the targets y (1 − ε) + ε/K.
      clip_norm: longer gradients are shortened to this length; None leaves them.
      standardize: X is standardised inside, by the weights of rows; a sparse X is only scaled.
        What `to_params` gives takes X as it comes.
      n_ensemble: so many networks of seeds drawn from random_state, in `estimators_`, whose
        probabilities are averaged.
      max_seconds: end after this time with the network reached.
      progress: show a bar.
      dtype: "float32" computes so whatever comes; None as the data are.
      device: a device of JAX or the name of a platform, "gpu"; None is the CPU. An accelerator
        computes in float32.

    Fitted attributes are scikit-learn's: `coefs_` and `intercepts_`, lists of NumPy's arrays (what
    is written there is what predicts and what `partial_fit` and `warm_start` go on from),
    `classes_`, `loss_`, `loss_curve_`, `best_loss_`, `n_iter_`, `t_`, `validation_scores_`,
    `best_validation_score_`, `n_layers_`, `n_outputs_`, `out_activation_`, `n_features_in_`,
    `feature_names_in_`. Beyond them: `validation_loss_curve_`, without the penalty, where rows are
    held out; `loss_curve_` with lbfgs, too; `scales_`; `estimators_`, `estimators_params_`.
    Source: scikit-learn, `sklearn.neural_network`; Kingma and Ba 2014 (adam); Glorot and Bengio
      2010 (weights); Byrd, Lu, Nocedal and Zhu 1995 (lbfgs).

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8,), solver="lbfgs", random_state=1).fit(X, y)
    >>> bool(network.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    class_weight: Thing
    loss: ClassVar[str] = "log_loss"

    def __init__(
        self,
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
        class_weight: Thing = None,
        scoring: Thing = None,
        dropout: Thing = 0.0,
        l1_ratio: Thing = 0.0,
        label_smoothing: Thing = 0.0,
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
    def from_params(cls, params: Params, *, classes: Thing = None, **parameters: Thing) -> Any:
        """The estimator that is this network, without a fit: it predicts, and can be trained on.

        Args:
          params: of jnn, ending in softmax or logits of each class, in the logistic function or its
            logit for the second of two, or in several logistic functions, of labels.
          classes: of the outputs, in ascending order; None for 0, 1, ….
          parameters: of the estimator, beyond layers and activation.
        Raises:
          ValueError: layers are residual or of several activations, or classes do not fit.
          TypeError: params are not a network.

        >>> params = jnn.init_network_params([4, 8, 3], jax.random.key(0))
        >>> network = MLPClassifier.from_params(params, classes=["a", "b", "c"])
        >>> network.predict_proba(np.ones((1, 4))).shape
        (1, 3)
        """
        found = cls(**networks.parameters_of(params), **parameters)
        found._label_binarizer, output = networks.labels_and_output(params, classes)
        found.classes_ = found._label_binarizer.classes_
        networks.put(found, params, output)
        return found

    def _output(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _validate_input(
        self, X: Data, y: Data, *, again: bool, reset: bool, held_out: bool = False
    ) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=devices.dtypes(self),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not (again and hasattr(self, "classes_")):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            labels.check_classes(
                self, unique_labels(y), all_of_them=self.warm_start and not held_out
            )
        return X, self._label_binarizer.transform(y).astype(bool)

    def _weights(self, y: np.ndarray, sample_weight: Data) -> Data:
        if self.class_weight is None:
            return sample_weight
        weights: Any = compute_sample_weight(self.class_weight, self._labels(y))
        return weights if sample_weight is None else sample_weight * weights

    def _labels(self, y: np.ndarray) -> np.ndarray:
        binarizer: Any = self._label_binarizer
        return binarizer.inverse_transform(super()._labels(y).astype(float))

    @available_if(lambda self: self._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Data, y: Data, sample_weight: Data = None, classes: Thing = None
    ) -> Any:
        """One epoch over these rows, from the network that is there on.

        Args:
          X: (n, n_features).
          y: (n,) or (n, n_labels).
          sample_weight: (n,), None for all ones.
          classes: all there will ever be; needed in the first call only.
        Returns:
          The estimator itself.
        Raises:
          AttributeError: the solver is lbfgs, which has no epochs.
          ValueError: the first call lacks classes, y has other ones, or early_stopping is on.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Data) -> np.ndarray:
        """The most probable class of each row, (n,), or the labels above ½, (n, n_labels)."""
        p = self.predict_proba(X) if ensembles.members(self) else self._outputs(X)
        binarizer: Any = self._label_binarizer
        if p.shape[1] > self.n_outputs_:  # of both of two classes
            p = p[:, 1:]
        return binarizer.inverse_transform(p.ravel() if self.n_outputs_ == 1 else p)

    def predict_proba(self, X: Data) -> np.ndarray:
        """The probability of each class, (n, n_classes), in the order of `classes_`.

        Labels that do not exclude each other, each by itself, have probabilities between 0 and 1,
        never those two: what would be rounded to 1 is the largest number below it.
        """
        if found := ensembles.members(self):
            return ensembles.averaged(found, "predict_proba", X)[0]
        p = self._outputs(X)
        if self.n_outputs_ == 1:
            return np.hstack([1 - p, p])
        if self.out_activation_ == "logistic":
            limits = np.finfo(p.dtype)
            np.clip(p, limits.tiny, 1 - limits.epsneg, out=p)
        return p

    def predict_log_proba(self, X: Data) -> np.ndarray:
        """The logarithms of `predict_proba`; of a probability that has underflowed it is −∞."""
        p = self.predict_proba(X)
        return np.log(p, out=p)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
