"""Members of one structure: their states on the host, and the one program that trains them."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jnn import memory, meshes
from jnn.checks import Thing
from jnn.many import compiled
from jnn.many.compiled import Own
from jnn.many.sources import Sources
from jnn.precision import wide
from jnn.training.options import Knobs, Settings
from jnn.training.packing import default_device
from jnn.training.state import State, unpacked, with_best
from jnn.training.stopping import Reason


@dataclasses.dataclass
class Part:
    """The members of one structure in a call of `fit_many`.

    Args:
      places: (m,), which of all members they are.
      settings: what their program is made for.
      names: of the columns of their history.
      states, knobs: (m, …) a leaf, on the host; a key that all share as it is.
      group: how many members one call of the program trains.
      in_turn: one after the other, not abreast.
    """

    places: np.ndarray
    settings: Settings
    names: list[str]
    states: State
    knobs: Knobs
    group: int
    in_turn: bool
    # futures of the compiled one, by device; None: the default device
    programs: dict[Any, Any] = dataclasses.field(default_factory=dict)
    compile_seconds: float = 0.0
    compiled_at: float = np.inf
    # groups and what they did in some epochs, one after the other
    history: list[tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=list)

    def left(self, sources: Sources) -> list[np.ndarray]:
        """Those that are not done, in groups of as many steps an epoch; as places in this part."""
        left = np.flatnonzero(self.states.reason == int(Reason.RUNNING))
        steps = sources.steps_of(self.places[left])
        alike = [left[steps == count] for count in np.unique(steps)]
        return [some[i : i + self.group] for some in alike for i in range(0, len(some), self.group)]

    def arguments(
        self, group: np.ndarray, sources: Sources, own: Own, order: Any, epochs: int
    ) -> list[Any]:
        """What the program takes of a group; copies of its last member, done ones, fill it up.

        Args:
          group: places within this part.
          sources, own: rows, and what each member has of its own.
          order: of visits: for all, or with a leading axis for each in the group.
          epochs: how many.
        """
        filled = np.minimum(np.arange(self.group), len(group) - 1)
        members = group[filled]
        together = _slice_of(members)

        def of_each(tree: Any, index: Any) -> Any:
            return jax.tree.map(lambda leaf: leaf[index], tree)

        key = self.knobs.key
        knobs = of_each(self.knobs._replace(key=None), together)
        knobs = knobs._replace(key=key[members] if own.key else key)
        *rows, n = sources.taken(self.places[members])
        steps = sources.steps_of(self.places[group])[0]
        order = of_each(order, filled) if own.order else order
        # integers that no switch of JAX widens
        integers = map(np.int32, (n, steps, epochs))
        states = of_each(self.states, together)
        if len(group) < self.group:
            states.reason[len(group) :] = Reason.HALVED
        return [states, knobs, *rows, order, *integers]

    def traced(
        self, arguments: list[Any], sources: Sources, rows: int, own: Own, device: Any
    ) -> Callable[[], Any]:
        """What compiles the program, for a thread; it is traced here: threads have own switches."""
        start = time.perf_counter()
        *others, epochs = arguments if device is None else jax.device_put(arguments, device)
        alone = None if device is None else Mesh(np.array([device]), ("members",))
        # whatever mesh is the current one
        with meshes.current(alone), memory.uncollected(), jax.disable_jit(False):
            shape = (rows, len(self.names))
            lowered = compiled.on(platform_of(device)).lower(
                self.settings, *others, sources.length, shape, own, self.in_turn, epochs
            )
        self.compile_seconds = time.perf_counter() - start

        def compiled_now() -> Any:
            start = time.perf_counter()
            program = lowered.compile()
            self.compiled_at = time.perf_counter()
            self.compile_seconds += self.compiled_at - start
            return program

        return compiled_now

    def take_back(self, group: np.ndarray, states: State, history: np.ndarray) -> None:
        """Keep what a group has become, and what it did: (group, epochs, names)."""
        before = self.states.epoch[group]
        jax.tree.map(partial(_put, _slice_of(group), len(group)), self.states, states)
        ran = self.states.epoch[group] - before
        history = history[: len(group)].copy()
        history[np.arange(history.shape[1]) >= ran[:, None]] = np.nan
        self.history.append((group, history))

    def networks(self) -> tuple[Any, Any, Any]:
        """The last parameters, the best, and the optimizer's states, as networks'."""
        states = with_best(self.states)
        found = (states.params, states.best, states.optimizer)
        settings = self.settings
        if wide(settings.dtype) != settings.dtype:
            return jax.device_get(_unpacked(settings, found))
        if settings.packing is None:
            return found
        params, best, optimizer = map(settings.packing.restore_state, found)
        return params, best, optimizer

    def table(self) -> np.ndarray:
        """(m, epochs, names), NaN after a member's last epoch."""
        shape = (len(self.places), int(self.states.epoch.max(initial=0)), len(self.names))
        table = np.full(shape, np.nan, self.states.memory.dtype)
        at = np.zeros(len(self.places), int)
        for group, history in self.history:
            epochs = history.shape[1]
            there = table[:, at[group[0]] :][:, :epochs]  # of all who are left it is the same
            there[group] = history[:, : there.shape[1]]  # NaN after a member's last epoch
            at[group] += epochs
        return table


@partial(jax.jit, static_argnums=0)
def _unpacked(settings: Settings, found: Any) -> Any:
    return jax.vmap(partial(unpacked, settings))(found)


def _slice_of(places: np.ndarray) -> Any:
    """Places that follow one another as a slice, which is read without a copy."""
    first, last = int(places[0]), int(places[-1])
    in_a_row = last - first == len(places) - 1 and np.all(np.diff(places) == 1)
    return slice(first, last + 1) if in_a_row else places


def _put(group: Any, count: int, whole: np.ndarray, part: np.ndarray) -> None:
    whole[group] = part[:count]


def columns(parts: list[Part]) -> dict[str, np.ndarray]:
    """The history of all members: (M, epochs) a name, and (M, epochs, N) for what is watched."""
    members = sum(len(part.places) for part in parts)
    found: dict[str, np.ndarray] = {}
    tables = [part.table() for part in parts]
    epochs = max(table.shape[1] for table in tables)
    for name in dict.fromkeys(parts[0].names):
        watched = name in parts[0].settings.watch
        layers = max(part.names.count(name) for part in parts)
        column = np.full((members, epochs, layers), np.nan, tables[0].dtype)
        for part, table in zip(parts, tables, strict=True):
            at = [i for i, one in enumerate(part.names) if one == name]
            column[part.places, : table.shape[1], : len(at)] = table[:, :, at]
        found[name] = column if watched else column[:, :, 0]
    return found


def restore(parts: list[Part], history: dict[str, np.ndarray]) -> None:
    """Take up the history of an earlier session, as `columns` gave it."""
    for part in parts:
        found = []
        for name in dict.fromkeys(part.names):
            column = history[name][part.places]
            column = column.reshape(*column.shape[:2], -1)
            found.append(column[:, :, : part.names.count(name)])
        part.history = [(np.arange(len(part.places)), np.concatenate(found, axis=2))]


def platform_of(device: Any) -> str:
    """Of a device, None: the default one.

    >>> platform_of(None)
    'cpu'
    """
    return (default_device() if device is None else device).platform


def devices_of(mesh: Thing) -> list[Any]:
    """Where groups go in turn: along the first axis of a mesh; [None], the default, without one.

    Raises:
      TypeError: it is no mesh.
      ValueError: it holds devices of other processes.

    >>> devices_of(None), len(devices_of(jax.make_mesh((1,), ("members",))))
    ([None], 1)
    """
    if meshes.rows_axis(mesh) is None:
        return [None]
    if mesh.is_multi_process:
        raise ValueError("mesh holds devices of other processes: to train there give executor=")
    return list(mesh.devices.reshape(len(mesh.devices), -1)[:, 0])
