"""Training: the whole run (epochs × minibatches) as one compiled program on the device.

The program takes the order in which the examples are visited as data and runs as many epochs as it is told to, so one
compilation serves every length of run, and the host may look in between (the progress bar does) without changing
a single number.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax

from jnn import losses, network, optimizers
from jnn.data import host_generator
from jnn.params import Params, check_params

_ORDER_ENTRIES = 2**18  # of the visiting order handed to the device at once: 1 MiB
_PROGRESS_SECONDS = 0.2  # how long the device runs between two updates of the progress bar


@dataclass(frozen=True)
class Fit:
    """What a training run leaves: parameters, history, timings. `print` it."""

    params: Params  # the last finite ones
    history: dict[str, np.ndarray]  # "loss": (epochs run,), the mean over each epoch's minibatches as they were visited
    compile_seconds: float
    run_seconds: float
    diverged: int | None  # the epoch (from 1) in which loss or parameters stopped being finite, or None

    def __str__(self) -> str:
        loss = self.history["loss"]
        ran = f"{len(loss)} epochs, loss {loss[0]:.4g} → {loss[-1]:.4g}" if len(loss) else "no epochs"
        stopped = f"; not finite in epoch {self.diverged}: stopped" if self.diverged else ""
        return f"{ran}{stopped} (compile {self.compile_seconds:.2f} s, run {self.run_seconds:.3f} s)"


def fit(
    params: Params,
    data: tuple[Any, Any],
    *,
    loss: str | Callable[..., Any] = "half_mse",
    optimizer: str | optax.GradientTransformation = "adam",
    learning_rate: float | optax.Schedule | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    key: Array | None = None,
    shuffle: bool = True,
    backprop: str = "auto",
    progress: bool | None = None,
) -> Fit:
    """Minimise a loss over data by minibatch gradient steps, the whole run compiled (and so not to be traced again).

        p ← p + update(∂ℓ/∂p),  ℓ the mean loss of a minibatch

    Args:
      params: where to start; they are not changed.
      data: (x, y) of shapes (n, n_0) and (n, n_N), or (n,) integer labels for "cross_entropy".
      loss: a name of `jnn.losses.LOSSES`, or a function of one example's (prediction, target).
      optimizer: a name of `jnn.optimizers.OPTIMIZERS`, or any optax transformation. Keep one transformation for several
        runs: a new one is compiled anew.
      learning_rate: of a named optimizer: a number, an optax schedule, or None for its usual rate.
      epochs: passes through the data.
      batch_size: examples a step, None is min(32, n); a last batch that is smaller counts as the smaller batch it is.
      key: of the shuffling; None is `jax.random.key(0)`.
      shuffle: visit the examples in a new order in every epoch; False visits them in the order of the data, always.
      backprop: how gradients are taken, as in `jnn.forward`.
      progress: show a progress bar; None shows it where standard error is a terminal or the code runs in a notebook.
    Raises:
      ValueError: shapes do not match, data are empty or not finite, a size or a name is impossible. Nothing has been
        computed then.
    Warns:
      RuntimeWarning: loss or parameters stopped being finite. The run ends there; the result names the epoch and holds
        the parameters from before it.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> start = jnn.init_network_params([1, 1], jax.random.key(0))
    >>> result = fit(start, (x, 2 * x + 1), optimizer=optax.sgd(0.1), batch_size=1, epochs=50)
    >>> bool(result.history["loss"][-1] < 1e-9)
    True
    """
    x, y = _check_data(params, data, loss)
    n = len(x)
    batch_size = min(32, n) if batch_size is None else batch_size
    for name, value, low, high in (("epochs", epochs, 0, None), ("batch_size", batch_size, 1, n)):
        _check_int(name, value, low, high)
    epochs, batch_size = int(epochs), int(batch_size)  # a NumPy integer would be another type to the compiler
    network.check_method(backprop)
    transformation = optimizers.resolve(optimizer, learning_rate)
    orders = host_generator(jax.random.key(0) if key is None else key)
    rows = max(1, _ORDER_ENTRIES // n)  # epochs whose order the program takes at once

    run = partial(
        _run,
        x=jnp.asarray(x),
        y=jnp.asarray(y),
        loss=loss,
        optimizer=transformation,
        size=batch_size,
        backprop=backprop,
    )
    order = np.tile(np.arange(n, dtype=np.int32), (rows, 1))
    state = transformation.init(params)  # pyright: ignore[reportArgumentType]  optax's type of a tree knows no dataclass
    start = time.perf_counter()
    jax.block_until_ready(run(params, state, order, 0))  # no epochs: compiles, or finds what was compiled before
    compiled = time.perf_counter()

    history, done, diverged, chunk = [], 0, None, 1
    with _progress_bar(epochs, progress) as bar:
        while done < epochs and diverged is None:
            count = min(rows, epochs - done, chunk if bar else epochs)
            if shuffle:
                order[:count] = orders.permuted(np.tile(np.arange(n, dtype=np.int32), (count, 1)), axis=1)
            before = time.perf_counter()
            params, state, epoch_losses, finite = run(params, state, order, count)
            ran = int(finite)
            history.append(np.asarray(epoch_losses)[: min(ran + 1, count)])
            diverged = done + ran + 1 if ran < count else None
            done += len(history[-1])
            if bar:
                bar.update(len(history[-1]))
                bar.set_postfix(loss=f"{history[-1][-1]:.4g}")
                rate = count / max(time.perf_counter() - before, 1e-6)
                chunk = max(1, min(4 * chunk, int(rate * _PROGRESS_SECONDS)))
    jax.block_until_ready(params)
    finished = time.perf_counter()
    if diverged is not None:
        warnings.warn(
            f"loss or parameters stopped being finite in epoch {diverged}: training ended there, with the parameters "
            "from before that epoch; try a smaller learning rate, or clip the gradient",
            RuntimeWarning,
            stacklevel=2,
        )
    losses_seen = np.concatenate(history) if history else np.zeros(0, np.float32)
    return Fit(params, {"loss": losses_seen}, compiled - start, finished - compiled, diverged)


@partial(jax.jit, static_argnames=("loss", "optimizer", "size", "backprop"))
def _run(
    params: Params,
    state: Any,
    order: Array,
    epochs: Array,
    x: Array,
    y: Array,
    loss: Any,
    optimizer: optax.GradientTransformation,
    size: int,
    backprop: str,
) -> tuple[Params, Any, Array, Array]:
    """Run the first `epochs` rows of `order`: parameters, optimiser state, losses, and how many epochs were finite."""
    rows, n = order.shape
    steps = -(-n // size)
    full = n % size == 0
    resolved = losses.resolve(loss)
    update = optax.with_extra_args_support(optimizer).update  # some line searches and schedules want the loss itself

    def step(carry: Any, batch: Any) -> Any:
        params, state, total = carry
        index, weights = batch

        def objective(params: Params) -> Array:
            prediction = network.batch_output(params, x[index], backprop)
            return losses.mean_loss(resolved, prediction, y[index], weights)

        value, gradient = jax.value_and_grad(objective)(params)
        updates, state = update(gradient, state, params, value=value, grad=gradient, value_fn=objective)
        examples = size if weights is None else jnp.sum(weights)
        return (optax.apply_updates(params, updates), state, total + examples * value), None

    def epoch(carry: Any) -> Any:
        i, params, state, means, _ = carry
        visits = order[i] if full else jnp.pad(order[i], (0, steps * size - n))
        # the last batch, where it is smaller, is filled with examples of weight zero
        weights = None if full else (jnp.arange(steps * size) < n).astype(jnp.float32).reshape(steps, size)
        (new_params, new_state, total), _ = lax.scan(
            step, (params, state, jnp.zeros((), means.dtype)), (visits.reshape(steps, size), weights)
        )
        finite = jnp.isfinite(total)
        for leaf in jax.tree.leaves(new_params):
            finite &= jnp.all(jnp.isfinite(leaf))
        params, state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), (new_params, new_state), (params, state)
        )
        return i + 1, params, state, means.at[i].set(total / n), finite

    means = jnp.zeros(rows, jnp.promote_types(params[0].w.dtype, jnp.float32))
    done, params, state, means, finite = lax.while_loop(
        lambda carry: (carry[0] < epochs) & carry[4], epoch, (0, params, state, means, jnp.array(True))
    )
    return params, state, means, jnp.where(finite, done, done - 1)


def _check_data(params: Params, data: Any, loss: Any) -> tuple[np.ndarray, np.ndarray]:
    """x and y as arrays of the parameters' dtype (labels stay integers), or an error that says what is wrong."""
    n_0, *_, n_N = check_params(params)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(params)):
        raise ValueError("params hold NaN or infinity before any step: draw them anew, or load a finite state")
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        length = f" of length {len(data)}" if isinstance(data, (tuple, list)) else ""
        raise ValueError(f"data must be a pair (x, y), got {type(data).__name__}{length}")
    each = losses.resolve(loss).each
    x, y = (np.asarray(a) for a in data)
    if x.ndim != 2 or x.shape[1] != n_0:
        hint = ": reshape it, x[:, None]" if x.ndim == 1 and n_0 == 1 else ""
        raise ValueError(f"x has shape {x.shape}; this network takes (n, {n_0}){hint}")
    if len(x) == 0:
        raise ValueError("the data are empty: x has no rows")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(f"x and y differ in length: x has {len(x)} rows, y has shape {y.shape}")
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind not in "biuf" and values.dtype != jnp.bfloat16:
            raise TypeError(f"{name} must hold numbers, got dtype {values.dtype}")
    dtype = params[0].w.dtype
    with np.errstate(over="ignore"):  # what overflows in the parameters' dtype is found next
        x, y = x.astype(dtype), y if y.ndim == 1 else y.astype(dtype)
    for name, values in (("x", x), ("y", y)):
        bad = ~np.isfinite(values)
        if bad.any():
            rows = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
            raise ValueError(
                f"{name} holds NaN or infinity (as {values.dtype}) in {len(rows)} of {len(values)} rows, "
                f"first in row {rows[0]}: remove or fill them"
            )
    losses.check_targets(loss, y, n_N)
    _check_loss(each, loss, n_N, y)
    return x, y


def _check_loss(each: Any, loss: Any, n_N: int, y: np.ndarray) -> None:
    """Call the loss on shapes alone: a function that cannot be traced, or returns no numbers, is refused."""
    dtypes = jnp.float32, jax.dtypes.canonicalize_dtype(y.dtype)
    prediction, target = map(jax.ShapeDtypeStruct, ((n_N,), y.shape[1:]), dtypes)
    try:
        value = jax.eval_shape(each, prediction, target)
    except Exception as error:
        raise ValueError(f"loss {loss!r} could not be called on one prediction and target: {error!r}") from error
    if not (isinstance(value, jax.ShapeDtypeStruct) and jnp.issubdtype(value.dtype, jnp.floating) and value.size):
        raise ValueError(f"loss {loss!r} must return floating-point numbers for one example, got {value}")


def _check_int(name: str, value: Any, low: int, high: int | None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        allowed = f"from {low} to {high}, the number of examples" if high is not None else f"of at least {low}"
        raise ValueError(f"{name} is {value!r}; it must be an integer {allowed}")


@contextmanager
def _progress_bar(epochs: int, progress: bool | None) -> Iterator[Any]:
    """A tqdm bar over epochs, or None where it would be in the way."""
    if progress is None:
        # a notebook's shell runs in a kernel; that IPython is imported alone means nothing
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        progress = sys.stderr.isatty() or hasattr(shell, "kernel")
    if not progress or epochs == 0:
        yield None
        return
    with warnings.catch_warnings():
        from tqdm import TqdmWarning  # imported late: it is needed only where somebody looks

        # a notebook without ipywidgets gets a plain bar, and need not be told so
        warnings.filterwarnings("ignore", category=TqdmWarning)
        from tqdm.auto import tqdm

        bar = tqdm(total=epochs, unit="epoch")
    with bar:
        yield bar
