"""Who looks on while an estimator is fitted: a clock, a progress bar, scikit-learn's callbacks.

Callbacks came with scikit-learn 1.9; without them an estimator has no `set_callbacks`.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from jnn.checks import Data, Thing
from jnn.params import Params
from jnn.sklearn.conversion import layers_of
from jnn.training import progress

CallbackSupportMixin: Any
try:
    from sklearn import callback

    CallbackSupportMixin = callback.CallbackSupportMixin
    with_callbacks = callback.with_callbacks
except ImportError:
    # nothing, but a class of its own: `object` cannot stand before another base
    CallbackSupportMixin = type("CallbackSupportMixin", (), {})

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method itself."""
        return method


class Watch:
    """What looks on during one call of `fit`."""

    def __init__(self, estimator: Thing, X: Data, y: Data) -> None:
        self.estimator = estimator
        self.data = {"X": X, "y": y}
        seconds = estimator.max_seconds
        self.deadline = math.inf if seconds is None else time.monotonic() + seconds
        self.bar: Any = None
        # those who want to see every epoch, with the network that it has reached
        self.context: Any = None
        self.epoch: Any = None

    @property
    def late(self) -> bool:
        """Whether time is up."""
        return time.monotonic() > self.deadline

    @contextmanager
    def fit(self) -> Iterator[None]:
        """A whole fit, to callbacks."""
        if not getattr(self.estimator, "_skl_callbacks", None):
            yield
            return
        epochs = self.estimator.max_iter
        self.context = self.estimator._init_callback_context(max_subtasks=epochs)
        self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        yield
        self.context.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes={}
        )

    @contextmanager
    def epochs(self, count: int) -> Iterator[None]:
        """The epochs of a fit, or its iterations: at most so many."""
        with progress.bar(count, bool(self.estimator.progress)) as self.bar:
            self._begin()
            yield

    def step(self) -> None:
        """One of them is over."""
        if self.bar is not None:
            self.bar.update(1)

    def reached(self, params: Params) -> bool:
        """One of them is over, to callbacks; whether one of them wants the fit to end."""
        if self.epoch is None:
            return False

        def attributes() -> dict[str, Any]:
            coefs, intercepts = layers_of(jax.device_get(params))
            return {"coefs_": coefs, "intercepts_": intercepts}

        ends = self.epoch.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=attributes
        )
        self.begun += 1
        self._begin()
        return bool(ends)

    begun = 0

    def _begin(self) -> None:
        """The next epoch, unless it was the last."""
        self.epoch = None
        if self.context is not None and self.begun < self.estimator.max_iter:
            self.epoch = self.context.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
