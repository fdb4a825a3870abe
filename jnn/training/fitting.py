"""Training: `fit`, the whole run compiled, with everything checked before anything is computed."""

from collections.abc import Callable
from typing import Any

import optax
from jax import Array

from jnn import callers, meshes
from jnn.checks import Real, Thing, Tree, renamed
from jnn.data.rows import Rows
from jnn.interrupts import Interrupt, interruptible
from jnn.losses import LossLike
from jnn.params import Params, sizes
from jnn.penalties import Penalty
from jnn.training import divergence, processes, steps
from jnn.training.epochs import over_rows, over_stream
from jnn.training.host import Run
from jnn.training.options import Metrics, Plan, Progress
from jnn.training.result import Fit
from jnn.training.sources import Sources, check_start, checked_sources, run_identity
from jnn.training.stopping import Plateau, Stop
from jnn.transfers import meant
from jnn.triangular.method import Method, check_method


@meant
@renamed(
    forward="backprop=jnn.Method(states=…)",
    states="backprop=jnn.Method(states=…)",
    checkpoint_every="backprop=jnn.Method(recompute_every=…)",
    recompute_every="backprop=jnn.Method(recompute_every=…)",
    compute_dtype="backprop=jnn.Method(dtype=…)",
    callback="progress=",
    label_smoothing='loss=jnn.losses.smoothed("cross_entropy", …)',
    class_weight="(x, y, jnn.data.class_weights(y, …)) as data",
    steps_per_epoch="jnn.Stream(batches, steps_per_epoch=…) as data",
    target="stop=jnn.Stop(target=…)",
    tolerance="stop=jnn.Stop(tolerance=…)",
    seconds="stop=jnn.Stop(seconds=…)",
    min_improvement="stop=jnn.Stop(min_improvement=…)",
)
def fit(
    params: Params,
    data: Thing,
    *,
    validation: Thing = None,
    loss: LossLike = "half_mse",
    penalty: Penalty | Callable[[Params], Any] | None = None,
    dropout_rate: Real = 0.0,
    metrics: Metrics = (),
    watch: Thing = (),
    optimizer: str | optax.GradientTransformation = "adam",
    optimizer_state: Tree = None,
    learning_rate: Real | optax.Schedule | None = None,
    plateau: Plateau | None = None,
    clip_norm: Real | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    key: Array | None = None,
    patience: int | None = None,
    stop: Stop | None = None,
    backprop: str | Method = "auto",
    checkpoint: Thing = None,
    progress: Progress = None,
    mesh: Thing = None,
) -> Fit:
    """Minimise a loss over data by minibatch gradient steps, the whole run compiled.

        p ← p + update(∂ℓ/∂p),    ℓ = Σ wᵢ ℓᵢ / (w̄ · examples of the minibatch) + penalty

    with w̄ the mean weight of all examples, so that ℓ is on average the weighted loss of all.

    Data and loss:
      params: where to start; they are not changed.
      data: (x, y) or (x, y, weights) of shapes (n, n_0), (n, n_N) and (n,), or (n,) integer labels
        y for a loss that takes them. Or a stream of such batches: an iterable that begins anew for
        every epoch, a function from the number of the epoch (from 0) to one, or a `jnn.Stream`; it
        is read ahead by a thread. (A list of batches goes as `lambda epoch: batches`: a list of two
        or three is (x, y) or (x, y, weights).)
      validation: what the run is judged by: (x, y) or (x, y, weights), or a fraction of data
        (stratified for classes: labels, one-hot rows, or 0 and 1 in one column).
      loss: a name of `jnn.LOSSES`, or a function of one example's (prediction, target); with label
        smoothing `jnn.losses.smoothed("cross_entropy", 0.1)`.
      penalty: `jnn.penalties.l1`, `l2`, `elastic_net`, or a function of the parameters.
      dropout_rate: of hidden units, in training.
      metrics: names of `jnn.METRICS`, losses or functions, recorded every epoch.
      watch: names of `jnn.diagnostics.WATCHES`, recorded for every layer after every epoch, on the
        first 256 training examples (of a stream: validation examples), as `history[name]` of shape
        (epochs, N).
    Steps:
      optimizer: a name of `jnn.OPTIMIZERS`, or any optax transformation: it does what it does on
        the list of layers, `jnn.layers(params)`. Keep one transformation for several runs: a new
        one is compiled anew, and stays in JAX's cache, as a new loss function does. "bfgs", "lbfgs"
        and "levenberg_marquardt" take all data at once.
      optimizer_state: the `optimizer_state` of an earlier result, to go on from; None begins anew.
      learning_rate: of a named optimizer: a number, an optax schedule, or None for its default.
      plateau: `jnn.Plateau`, cuts the learning rate where the monitored loss no longer falls.
      clip_norm: gradients longer than that are shortened to it.
      epochs: passes through the data.
      batch_size: examples a step, None is min(32, n); a smaller last batch is averaged over its
        own size.
      shuffle: visit the examples in a new order in every epoch; False visits them in the order of
        the data, always.
      key: of shuffling, dropout and the validation split; None is `jax.random.key(0)`.
      backprop: how gradients are taken, as in `jnn.forward`, or a whole `jnn.Method`, which also
        says how states are found, whether they are recomputed, and in what dtype to compute, such
        as `jnp.bfloat16` (losses, updates and parameters keep the parameters' own).
    Stopping, by the monitored loss after the epoch: that on the validation data, or else on the
    training data (which costs one more pass through them, of a stream as well):
      patience: epochs without improvement; the best parameters are then the result.
      stop: `jnn.Stop`: a target, a tolerance, a norm of the gradient, a time limit, and what counts
        as an improvement. Second-order methods also stop where no step lowers the loss any more.
        Ctrl-C stops, too, and what was reached is returned.
    Monitoring:
      progress: True shows a bar, None does where standard error is a terminal or the code runs in a
        notebook; or a function, called with the `Fit` so far some times a second or once an epoch,
        which stops the run by returning True.
      checkpoint: a directory, or a `jnn.Checkpoint`: the run is written there every 30 s and at its
        end, and goes on from there, to the same bits, when it is called again with the same data
        and settings; a stream between two epochs. Functions (losses, schedules, transformations,
        streams) are told apart by their names alone.
    Devices:
      mesh: as of `jax.make_mesh((8,), ("rows",))`: every minibatch is spread along its first axis,
        every device has the parameters. Rows that lie spread along that axis stay there, all
        others go to every device.
    Raises:
      ValueError: shapes do not match, data are empty or not finite, a size or a name is impossible,
        a checkpoint is another run's. Nothing has been computed then, but on a stream the batches
        before a wrong one have.
      TypeError: something is of the wrong kind.
    Warns:
      RuntimeWarning: the loss is not finite at the start, or loss or parameters stopped being
        finite. The run ends there; the result names the epoch and holds the parameters from before
        it.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> start = jnn.init_network_params([1, 1], jax.random.key(0))
    >>> result = fit(start, (x, 2 * x + 1), optimizer="sgd", learning_rate=0.1, batch_size=1)
    >>> bool(result.history["loss"][-1] < 1e-9)
    True
    """
    meshes.rows_axis(mesh)
    with interruptible() as interrupt, meshes.current(mesh):
        with interrupt.held():  # programs are made here
            params = check_start(params)
            plan = Plan(
                loss=loss, penalty=penalty, dropout_rate=dropout_rate, metrics=metrics, watch=watch,
                optimizer=optimizer, optimizer_state=optimizer_state, learning_rate=learning_rate,
                plateau=plateau, clip_norm=clip_norm,
                epochs=epochs, batch_size=batch_size, shuffle=shuffle, key=key,
                patience=patience, stop=stop, method=check_method(backprop),
                checkpoint=checkpoint, progress=progress, mesh=mesh,
            )  # fmt: skip
            sources = checked_sources(plan, params, data, validation)
            run = _begun(plan, params, sources, interrupt)
        with processes.answering(mesh):
            if isinstance(sources.train, Rows):
                over_rows(run, sources.train, sources.validation)
            else:
                over_stream(run, sources.train, sources.validation)
        result = run.result()
        if result.diverged:
            callers.warn(divergence.message(run, params, result.diverged))
    return result


def _begun(plan: Plan, params: Params, sources: Sources, interrupt: Interrupt) -> Run:
    """The run before its next epoch: the first, or the one after a checkpoint."""
    takes_all = isinstance(sources.train, Rows) and sources.size == len(sources.train.x)
    size = 0 if takes_all else sources.size
    settings = plan.settings(params, size, sources.validation is not None)
    names = steps.history_names(
        settings,
        plan.knobs(),
        depth=len(sizes(params)) - 1,
        training=isinstance(sources.train, Rows),
        validation=sources.validation is not None,
    )
    identity = {} if plan.checkpoint is None else run_identity(plan, params, sources)
    run = Run(plan, settings, params, names, identity, interrupt)
    run.resume()
    return run
