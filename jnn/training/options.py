"""The options of a training run in one record, checked one by one and together."""

import dataclasses
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
import optax
from jax import Array

from jnn import checks, losses, meshes, optimizers
from jnn.checks import Real, Thing
from jnn.diagnostics.watch import check_watch
from jnn.files import cadence
from jnn.losses import LossLike
from jnn.metrics import by_name
from jnn.params import Params
from jnn.penalties import Penalty
from jnn.precision import wide
from jnn.training import dropout, residuals, stopping
from jnn.training.packing import Packing, pack
from jnn.training.stopping import LIMIT, Limits, Plateau, Stop
from jnn.triangular.method import AUTO, Method, check_method

Metrics: TypeAlias = Any  # names, losses or functions, one or several
Progress: TypeAlias = bool | Callable[..., Any] | None


# ---- what the compiled program is told ----


class Settings(NamedTuple):
    """What the program is made for; hashable, a static argument."""

    packing: Packing | None  # of small parameters in one vector; None keeps all as a tree
    loss: Any  # a name, a function of one example, or a `Loss`
    metrics: tuple[Any, ...]  # names or functions
    watch: tuple[str, ...]  # names of `diagnostics.WATCHES`
    optimizer: optax.GradientTransformation
    schedule: Callable[[Any], Any] | None  # the learning rate by step
    full_batch: bool  # whether the optimizer sees the same objective at every step
    least_squares: bool  # whether the optimizer wants the residuals
    size: int  # examples a step; 0: all, or as many as the batches of a stream hold
    method: Method
    dtype: np.dtype  # of the parameters; halves are updated in float32
    looks_back: bool  # whether rules look at the training loss: that after the epoch, then
    monitors: bool  # whether a loss is monitored: the best parameters are kept, then
    axis: str | None  # of the mesh, which the rows of a minibatch are spread along


class Knobs(NamedTuple):
    """Numbers that the program takes; None leaves out what they would act on."""

    rate: Any  # learning rate; None where a schedule or the optimizer has its own
    penalty: Any
    dropout: Any  # probability
    key: Any  # of the dropout masks
    clip: Any  # longer gradients are shortened to this length
    smoothing: Any  # ε of label smoothing
    limits: Limits
    mean_weight: Any = None  # of a stream's rows; None: of those so far


# ---- what `fit` is told ----


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """How to train: all that `fit` is told but parameters and data (its docstring explains them).

    What a run that is resumed must have in common with the one before is derived from the fields:
    all but those that are marked as a LIMIT.

    Raises:
      ValueError: an option is out of its range, or options do not go together.
      TypeError: an option is of the wrong kind.

    >>> Plan(optimizer="sgd", batch_size=10).learning_rate
    0.01
    """

    loss: LossLike = "half_mse"
    penalty: Penalty | Callable[[Params], Any] | None = None
    dropout_rate: Real = 0.0
    metrics: Metrics = ()
    watch: Any = ()
    optimizer: str | optax.GradientTransformation = "adam"
    optimizer_state: Any = dataclasses.field(default=None, metadata=LIMIT)  # part of the start
    learning_rate: Real | optax.Schedule | None = None
    plateau: Plateau | None = None
    clip_norm: Real | None = None
    batch_size: int | None = None
    shuffle: bool = True
    key: Array | None = None
    stop: Stop | None = None
    method: Method = AUTO
    epochs: int = dataclasses.field(default=100, metadata=LIMIT)
    patience: int | None = dataclasses.field(default=None, metadata=LIMIT)
    checkpoint: Any = dataclasses.field(default=None, metadata=LIMIT)
    progress: Progress = dataclasses.field(default=None, metadata=LIMIT)
    mesh: Any = dataclasses.field(default=None, metadata=LIMIT)

    def __post_init__(self) -> None:
        settle = partial(object.__setattr__, self)  # the class is frozen to others
        settle("method", check_method(self.method))
        loss = losses.resolve(self.loss)
        _one_each("the loss", {"label smoothing": loss.smoothing})
        settle("dropout_rate", dropout.check_rate(self.dropout_rate))
        settle("metrics", by_name.several(self.metrics))
        settle("watch", check_watch(self.watch))
        settle("epochs", checks.integer("epochs", self.epochs, 0))
        if self.patience is not None:
            settle("patience", checks.integer("patience", self.patience, 1))
        if self.batch_size is not None:
            settle("batch_size", checks.integer("batch_size", self.batch_size, 1))
        settle("shuffle", checks.flag("shuffle", self.shuffle))
        key = _default_key(jax.default_prng_impl.value) if self.key is None else self.key
        settle("key", checks.key(key))
        settle("stop", Stop() if self.stop is None else _record("stop", self.stop, Stop))
        if self.plateau is not None:
            _record("plateau", self.plateau, Plateau)
        if self.checkpoint is not None:
            settle("checkpoint", cadence.resolve(self.checkpoint))
        if not (self.progress is None or callable(self.progress)):
            what = "True, False, None, or a function of the Fit so far"
            if not isinstance(self.progress, (bool, np.bool_)):
                raise TypeError(f"progress is {self.progress!r}; it must be {what}")
        meshes.rows_axis(self.mesh)
        if self.rule.rate is not None:
            settle("learning_rate", self.rule.rate)
        if self.clip_norm is not None:
            settle("clip_norm", checks.number("clip_norm", self.clip_norm, above=0))
        self._check_together()

    def _check_together(self) -> None:
        """What goes with what."""
        if self.dropout_rate:
            dropout.check_dropout(self.method)
        if self.rule.least_squares:
            residuals.check_squares(self.loss, self.penalty, self.method)
        beside = [name for name in ("plateau", "clip_norm") if getattr(self, name) is not None]
        if self.rule.full_batch and beside:
            raise ValueError(
                f"{self.optimizer} finds the length of each step itself: leave "
                f"{' and '.join(beside)} out"
            )
        if self.rule.full_batch and self.dropout_rate:
            raise ValueError(
                f"{self.optimizer} compares the objective between steps, which dropout changes: "
                "leave one out"
            )

    @cached_property
    def rule(self) -> optimizers.Rule:
        """The optimizer as the program takes it."""
        return optimizers.resolve(self.optimizer, self.learning_rate)

    def __getstate__(self) -> dict[str, Any]:
        """To be pickled and copied: the fields, from which the rule, of closures, is made anew."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def limits(self) -> Limits:
        """When to stop, in numbers."""
        return stopping.limits(self.patience, self.stop or Stop(), self.plateau)

    @property
    def callback(self) -> Callable[..., Any] | None:
        """What is called with the result so far."""
        return self.progress if callable(self.progress) else None

    @property
    def bar(self) -> bool | None:
        """Whether a progress bar is shown; None: where somebody looks."""
        return None if callable(self.progress) or self.progress is None else bool(self.progress)

    @property
    def takes_weights(self) -> bool:
        """Whether examples of weight zero count for nothing in all that is recorded."""
        return not self.watch and all(map(by_name.takes_weights, self.metrics))

    def looks_back(self, validation: bool) -> bool:
        """Whether rules look at the training loss, with validation data or without."""
        stop = self.stop or Stop()
        of_monitored = (self.patience, self.plateau, stop.target, stop.min_improvement or None)
        asked = any(rule is not None for rule in of_monitored)
        of_training = (stop.tolerance, stop.gradient)
        return any(rule is not None for rule in of_training) or (asked and not validation)

    def settings(self, params: Params, size: int, validation: bool) -> Settings:
        """What the program of a network is made for, with steps of so many examples."""
        rule = self.rule
        return Settings(
            packing=None if rule.by_layer else pack(params, whole=rule.least_squares),
            loss=losses.plain(self.loss),
            metrics=self.metrics,
            watch=self.watch,
            optimizer=rule.of(params, wide(params[0].w.dtype)),
            schedule=rule.schedule,
            full_batch=rule.full_batch,
            least_squares=rule.least_squares,
            size=size,
            method=self.method,
            dtype=np.dtype(params[0].w.dtype),
            looks_back=self.looks_back(validation),
            monitors=validation or self.looks_back(validation),
            axis=meshes.rows_axis(self.mesh),
        )

    def knobs(self) -> Knobs:
        """The numbers that the program takes."""
        penalty: Any = self.penalty
        if penalty is not None and not isinstance(penalty, Penalty):
            penalty = jax.tree_util.Partial(penalty)
        dropped = bool(self.dropout_rate)
        return Knobs(
            rate=self.rule.rate,
            penalty=penalty,
            dropout=self.dropout_rate if dropped else None,
            key=self.key if dropped else None,
            clip=self.clip_norm,
            smoothing=losses.resolve(self.loss).smoothing,
            limits=self.limits,
        )


@cache
def _default_key(kind: str) -> Array:
    """Made once: a seed takes as long as ten steps of a small network."""
    return jax.random.key(0, impl=kind)


# ---- kinds ----


def _record(name: str, value: Thing, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}; it must be a jnn.{kind.__name__}(…)")
    _one_each(name, vars(value))
    return value


def _one_each(name: str, numbers: dict[str, Any]) -> None:
    """Refuse arrays, one number for each of many networks."""
    for field, number in numbers.items():
        if np.ndim(number):
            raise ValueError(
                f"{field} of {name} is an array of shape {np.shape(number)}: fit takes one number; "
                "jnn.fit_many takes arrays, one number for each of its members"
            )
