"""From an estimator to a network of jnn's and back, weight for weight, without a fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.preprocessing import LabelBinarizer

from jnn.activations import ActivationLike
from jnn.checks import Thing
from jnn.params import Params, hidden_and_readout
from jnn.sklearn import scaled
from jnn.sklearn.conversion import ACTIVATIONS, layers_of, params_of
from jnn.structure import check_params

# of the last layer, by scikit-learn's names and by jnn's
OUTPUTS: dict[str, ActivationLike] = {
    "identity": "identity",
    "logistic": "sigmoid",
    "softmax": "softmax",
    "exp": jnp.exp,
}
_NAMES = {value: name for name, value in ACTIVATIONS.items() if name != "sigmoid"}


def params_in(estimator: Thing) -> Params:
    """The network of a fitted estimator, of NumPy's arrays, its output's activation included."""
    output = OUTPUTS[estimator.out_activation_]
    layers = scaled.folded(estimator.scales_, estimator.coefs_, estimator.intercepts_)
    return params_of(*layers, estimator.activation, output)


def parameters_of(params: Params) -> dict[str, Any]:
    """What an estimator's parameters must be to be this network: hidden layers and activation.

    Raises:
      ValueError: it is a network that no estimator can be: residual, or with several activations.
      TypeError: it is not a network.

    >>> parameters_of(jnn.init_network_params([2, 8, 1], jax.random.key(0)))
    {'hidden_layer_sizes': (8,), 'activation': 'tanh'}
    """
    sizes = check_params(params)
    hidden, _ = hidden_and_readout(params)
    if any(stack.residual for stack in params):
        raise ValueError("the network is residual; an estimator's layers are plain")
    kinds = list(dict.fromkeys(stack.activation for stack in hidden if stack.depth))
    if len(kinds) > 1:
        raise ValueError(f"hidden layers have the activations {kinds}; an estimator has one")
    found: dict[str, Any] = {"hidden_layer_sizes": sizes[1:-1]}
    if kinds:
        [kind] = kinds
        found["activation"] = _NAMES[kind] if isinstance(kind, str) else kind
    return found


def put(estimator: Thing, params: Params, output: str) -> None:
    """A network into an estimator, which is fitted then; nothing is remembered of an optimizer."""
    sizes = check_params(params)
    estimator.n_features_in_ = sizes[0]
    estimator.n_outputs_ = sizes[-1]
    estimator.out_activation_ = output
    estimator.scales_ = None
    estimator._forget(len(sizes))
    estimator.coefs_, estimator.intercepts_ = layers_of(jax.device_get(params))


def output_of_numbers(params: Params) -> str:
    """The name of a regressor's output.

    Raises:
      ValueError: its values are not numbers or rates.
    """
    return _output(params, ("identity", "exp"), "a regressor")


def labels_and_output(params: Params, classes: Thing) -> tuple[LabelBinarizer, str]:
    """How classes stand for outputs, and the name of the output.

    Several logistic outputs are labels that do not exclude each other. A network that ends in
    logits is one of classes that do.

    Args:
      params: the network.
      classes: (n_classes,), ascending; None for 0, 1, ….
    Raises:
      ValueError: the network does not have an output for each class, or one of another kind.
    """
    n_out = params[-1].w.shape[1]
    by_themselves = n_out > 1 and params[-1].activation == OUTPUTS["logistic"]
    if by_themselves and classes is None:
        return LabelBinarizer().fit(np.eye(n_out, dtype=int)), "logistic"
    given = np.arange(max(n_out, 2)) if classes is None else np.asarray(classes)
    found = np.unique(given)
    if given.shape != found.shape or (given != found).any():
        raise ValueError(
            f"classes are {given.tolist()}; they must ascend, as an estimator's do, each of them "
            "once: sort them, and the rows of the network's last W and b with them"
        )
    expected = 1 if len(found) == 2 else len(found)
    if n_out != expected or by_themselves:
        raise ValueError(
            f"the network has {n_out} outputs that end in {params[-1].activation!r}; that of the "
            f"{len(found)} classes {found} must have {expected} (two classes have one, that of "
            "labels by themselves takes classes=None)"
        )
    suitable = "softmax" if n_out > 1 else "logistic"
    _output(params, ("identity", suitable), "a classifier of these classes")
    return LabelBinarizer().fit(found), suitable


def _output(params: Params, names: tuple[str, ...], what: str) -> str:
    last = params[-1].activation
    for name in names:
        if OUTPUTS[name] == last:
            return name
    allowed = ", ".join(repr(OUTPUTS[name]) for name in names)
    raise ValueError(f"the network ends in {last!r}; that of {what} ends in one of {allowed}")
