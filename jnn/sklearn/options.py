"""What an estimator's own keywords, those beyond scikit-learn's, ask of the program."""

from numbers import Integral, Real
from typing import Any

import jax
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from jnn import losses
from jnn.activations import ACTIVATIONS
from jnn.checks import Thing, number
from jnn.sklearn.devices import FLOAT32
from jnn.sklearn.solvers import Numbers
from jnn.sklearn.terms import COSINE, QUANTILE, Terms
from jnn.sklearn.transformations import NAMES, needs_squares, rule_of, sees_all_rows

# scikit-learn's losses, each with an output of its own, in `objectives`
OF_OUTPUTS = ("log_loss", "squared_error", "poisson")
OF_NUMBERS = OF_OUTPUTS[1:]
# by which predictions are numbers
LOSSES = [name for name, loss in losses.LOSSES.items() if loss.takes is None]

FULL = "full"  # warm_start that keeps the optimizer's moments

# of keywords that scikit-learn lacks, or of which it allows less
CONSTRAINTS: dict[str, list[Any]] = {
    "activation": [StrOptions({"logistic", *ACTIVATIONS}), callable],
    "solver": [StrOptions(NAMES), HasMethods(["init", "update"])],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", COSINE}), callable],
    "warm_start": ["boolean", StrOptions({FULL})],
    "scoring": [str, callable, None],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "standardize": ["boolean"],
    "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
    "progress": ["boolean"],
    "dtype": [StrOptions({FLOAT32}), None],
    "device": [str, jax.Device, None],
    "n_ensemble": [Interval(Integral, 1, None, closed="left")],
}


def keep(estimator: Thing, values: dict[str, Any]) -> None:
    """What `__init__` does, of its `locals()`: every parameter becomes the attribute of its name.

    >>> from types import SimpleNamespace
    >>> keep(estimator := SimpleNamespace(), {"self": None, "alpha": 0.1})
    >>> estimator
    namespace(alpha=0.1)
    """
    names = values.keys() - {"self", "__class__"}
    vars(estimator).update((name, value) for name, value in values.items() if name in names)


def terms_of(estimator: Thing) -> Terms:
    """What shapes the program."""
    rate = estimator.learning_rate
    return Terms(
        loss=_loss(estimator.loss),
        schedule=rate if rate == COSINE or callable(rate) else None,
        dropout=estimator.dropout > 0,
        l1=estimator.l1_ratio > 0,
        smoothing=getattr(estimator, "label_smoothing", 0) > 0,
        clip=estimator.clip_norm is not None,
    )


def _loss(loss: Thing) -> Thing:
    if isinstance(loss, str) and loss in OF_OUTPUTS:
        return None
    return loss if loss == QUANTILE else losses.resolve(loss)


def current(estimator: Thing, numbers: Numbers, steps: int) -> Numbers:
    """The numbers with those that every call reads anew; `steps` are those of an epoch."""
    return numbers._replace(
        alpha=estimator.alpha,
        tol=estimator.tol,
        patience=estimator.n_iter_no_change,
        dropout=estimator.dropout,
        l1_ratio=estimator.l1_ratio,
        smoothing=getattr(estimator, "label_smoothing", 0),
        clip_norm=estimator.clip_norm or 0,
        horizon=estimator.max_iter * steps,
        levels=levels_of(estimator),
    )


def levels_of(estimator: Thing) -> tuple[float, ...]:
    """The quantiles to predict, one an output; none where the loss is another."""
    if estimator.loss != QUANTILE:
        return ()
    levels = estimator.quantile
    levels = list(levels) if hasattr(levels, "__iter__") else [levels]
    return tuple(number("quantile", level, above=0, below=1) for level in levels)


def renewed(estimator: Thing, new: Thing) -> Thing:
    """The optimizer, with the moments of the one before where warm_start="full" keeps them."""
    old = getattr(estimator, "_optimizer", None)
    if estimator.warm_start != FULL or old is None or old.solver != new.solver:
        return new
    same_rate = old.numbers.learning_rate == new.numbers.learning_rate
    return new._replace(
        numbers=new.numbers._replace(seed=old.numbers.seed, first=old.updates),
        moments=old.moments,
        updates=old.updates,
        learning_rate=old.learning_rate if same_rate else new.learning_rate,
    )


def check(estimator: Thing, *, incremental: bool) -> None:
    """Raise where keywords do not go together.

    Args:
      estimator: whose parameters are valid one by one.
      incremental: whether this is `partial_fit`.
    Raises:
      ValueError: they do not.
    """
    _check_solver(estimator)
    if estimator.scoring is not None and not estimator.early_stopping:
        raise ValueError(
            f"scoring is {estimator.scoring!r}, which is what early stopping looks at, but "
            "early_stopping is False: set early_stopping=True"
        )
    if incremental and getattr(estimator, "class_weight", None) == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all rows, which partial_fit does not see: give "
            "class_weight the weights themselves, compute_class_weight('balanced', classes=…, y=…)"
        )


def _check_solver(estimator: Thing) -> None:
    solver = estimator.solver
    if solver == "lbfgs" or sees_all_rows(solver):
        asked = {
            "dropout": estimator.dropout > 0,
            "l1_ratio": estimator.l1_ratio > 0,
            "clip_norm": estimator.clip_norm is not None,
        }
        for name, is_asked in asked.items():
            if is_asked:
                raise ValueError(
                    f"{name} is {getattr(estimator, name)!r}, but solver={solver!r} needs a smooth "
                    f"loss that is the same at every call: take solver='adam', or leave {name} out"
                )
    if needs_squares(solver) and estimator.loss != "squared_error":
        raise ValueError(
            f"solver={solver!r} minimises sums of squares, loss='squared_error'; got loss "
            f"{estimator.loss!r}"
        )
    rule = rule_of(solver)
    own = rule is not None and rule.rate is None
    if own and estimator.learning_rate != "constant":
        raise ValueError(
            f"learning_rate is {estimator.learning_rate!r}, but this solver has a rate of its own: "
            "put the schedule into it, optax.adam(schedule)"
        )
