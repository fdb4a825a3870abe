"""A run of several processes on one mesh: each runs the same program, so they must do the same.

What depends on a clock, a user or a file is agreed upon here. Where a mesh lies in one process, or
there is none, a process agrees with itself.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jnn import callers, meshes
from jnn.checks import Real
from jnn.data.rows import Rows
from jnn.training.options import Knobs
from jnn.training.state import State


def several(mesh: Mesh | None) -> bool:
    """Whether devices of other processes are among those of the mesh.

    >>> several(jax.make_mesh((1,), ("rows",)))
    False
    """
    return mesh is not None and len({device.process_index for device in mesh.devices.flat}) > 1


def is_first(mesh: Mesh | None) -> bool:
    """Whether this process is the one that decides, shows and writes."""
    return not several(mesh) or jax.process_index() == 0


def of_all(mesh: Mesh | None, *numbers: Real) -> np.ndarray:
    """The numbers that each process says, (processes, numbers).

    >>> of_all(None, 1, 2)
    array([[1, 2]])
    """
    said = np.array(numbers)
    return multihost_utils.process_allgather(said) if several(mesh) else said[None]


def of_first(mesh: Mesh | None, number: int) -> int:
    """What the first process says."""
    return int(of_all(mesh, number)[0, 0])


def most(mesh: Mesh | None, number: int) -> int:
    """The most that one of the processes says."""
    return int(of_all(mesh, number).max())


def check_same(mesh: Mesh | None, number: int, what: str) -> None:
    """Raise where processes do not say the same.

    Raises:
      ValueError: they differ; what it is, and what each says.

    >>> check_same(None, 3, "epochs of the checkpoint")
    """
    said = of_all(mesh, number)[:, 0].tolist()
    if len(set(said)) > 1:
        each = ", ".join(f"process {i} has {one}" for i, one in enumerate(said))
        raise ValueError(f"processes differ in their {what}: {each}")


def asked(
    mesh: Mesh | None, callback: Callable[..., Any] | None, result: Callable[[], Any]
) -> bool:
    """Whether a function of progress, called at the first process alone, asks for an end.

    >>> asked(None, lambda fit: fit > 2, lambda: 3)
    True
    """
    if callback is None:
        return False
    reached = result()  # by all: it may be computed
    answer = callback(reached) if is_first(mesh) else None
    return bool(of_first(mesh, isinstance(answer, (bool, np.bool_)) and bool(answer)))


_TALK_SECONDS = 1e-3  # of an all-reduce over a network; over loopback some milliseconds
# what JAX says, in errors of several kinds
_SILENCE = ("Gloo", "Connection reset", "closed by peer", "heartbeat", "UNAVAILABLE")


@contextmanager
def answering(mesh: Mesh | None) -> Iterator[None]:
    """Say which other processes no longer answer, where a computation with them fails.

    Raises:
      RuntimeError: one of them is gone.

    >>> with answering(None):
    ...     pass
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        if not (several(mesh) and any(word in str(error) for word in _SILENCE)):
            raise
        here = jax.process_index()
        others = [i for i in range(jax.process_count()) if i != here]
        which = f"process {others[0]}" if len(others) == 1 else f"one of the processes {others}"
        raise RuntimeError(
            f"{which} is gone: process {here} got no answer. Start all of them again; with "
            "checkpoint= a run goes on from its last file"
        ) from error


def warn_of_small_steps(mesh: Mesh | None, seconds: Real) -> None:
    """Say, at the first process, that a step is over before its gradients have been added up.

    >>> warn_of_small_steps(None, 1e-6)
    """
    if several(mesh) and is_first(mesh) and seconds < _TALK_SECONDS:
        callers.warn(
            f"a step of this network takes one process about {1e6 * seconds:.0f} µs, less than the "
            "talk between processes: a single process is faster, and fit_many(executor=) trains "
            "many networks on all of them",
            UserWarning,
        )


def placed(mesh: Mesh, state: State, knobs: Knobs, done: int) -> tuple[State, Knobs]:
    """State and numbers of a run on every device of the mesh, after so many epochs.

    Raises:
      ValueError: processes have read different checkpoints.
    """
    check_same(mesh, done, "epochs found in the checkpoint's directory")

    def put(leaf: Any) -> Any:  # numbers of Python's fit every array's dtype
        return meshes.put(mesh, leaf) if isinstance(leaf, Array) else leaf

    return meshes.put(mesh, state), jax.tree.map(put, knobs)


def rows_a_device(mesh: Mesh | None) -> int:
    """What the length of a batch must be a multiple of, to be spread: the devices of this process.

    >>> rows_a_device(None)
    1
    """
    if mesh is None:
        return 1
    along = mesh.devices.reshape(mesh.devices.shape[0], -1)[:, 0]
    return sum(device.process_index == jax.process_index() for device in along)


def blocks(
    mesh: Mesh | None, own: Iterator[tuple[Rows, int]], given_up: Callable[[], bool]
) -> Iterator[tuple[Rows, int]]:
    """The blocks of a stream on the mesh: a batch is what all processes' batches are together.

    Raises:
      ValueError: the streams do not give as many batches, of as many rows.
    """
    if mesh is None:
        for block, count in own:
            yield jax.device_put(block), count
        return
    place = NamedSharding(mesh, PartitionSpec(None, meshes.rows_axis(mesh)))
    while True:
        block, count = next(own, (None, 0))
        shape = (0, 0) if block is None else block.x.shape[:2]
        said = of_all(mesh, count, *shape, given_up())
        if said[:, 3].any():
            return
        if (said[:, :3] != said[0, :3]).any():
            each = ", ".join(f"process {i}: {a} of {b}" for i, (a, _, b, _) in enumerate(said))
            raise ValueError(
                f"streams of processes give different numbers of batches or rows, {each} rows: "
                "give as many everywhere, as by jnn.Stream(…, steps_per_epoch=…)"
            )
        if block is None:
            return

        def put(array: np.ndarray) -> Any:
            return jax.make_array_from_process_local_data(place, array)

        yield jax.tree.map(put, block), count
