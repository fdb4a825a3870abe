"""Explicit meshes: what lies on one is computed as on an automatic one.

Arrays on a mesh of `jax.sharding.AxisType.Explicit` carry in their types how they are spread, and
JAX refuses an operation whose result could be spread in several ways: writing a layer into an array
of all, or taking rows by a shuffled index. Inside of jnn the compiler chooses; at its edges the
types are exact again.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import jax
from jax import Array, lax
from jax.core import Tracer
from jax.sharding import (
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
    get_abstract_mesh,
    reshard,
    use_abstract_mesh,
)

R = TypeVar("R")
T = TypeVar("T")


# ---- a mesh that is asked for ----


def rows_axis(mesh: Any) -> str | None:
    """The axis that rows and members are spread along, the first; None where there is no mesh.

    Raises:
      TypeError: it is no mesh.
      ValueError: devices of some other processes are in it, but not of all.

    >>> rows_axis(jax.make_mesh((1,), ("rows",)))
    'rows'
    """
    if mesh is None:
        return None
    if not isinstance(mesh, Mesh) or not mesh.axis_names:
        raise TypeError(
            f"mesh is {mesh!r}; it must be a jax.sharding.Mesh, as of jax.make_mesh((8,), "
            '("rows",)), whose first axis rows or members are spread along'
        )
    processes = {device.process_index for device in mesh.devices.flat}
    if processes not in ({jax.process_index()}, set(range(jax.process_count()))):
        raise ValueError(
            f"mesh holds devices of processes {sorted(processes)} of {jax.process_count()}; it "
            "must hold some of every process, or of this one alone"
        )
    return mesh.axis_names[0]


def current(mesh: Mesh | None) -> AbstractContextManager[Any]:
    """The mesh as the current one; nothing where there is none."""
    return nullcontext() if mesh is None else jax.set_mesh(mesh)


def put(mesh: Mesh | None, tree: T, *axes: str | None) -> T:
    """Arrays on the mesh, each device has them as a whole but for the axes that are named.

    >>> put(None, np.ones(2)).shape
    (2,)
    """
    return jax.device_put(tree, None if mesh is None else NamedSharding(mesh, PartitionSpec(*axes)))


def spread(axis: str | None, tree: T) -> T:
    """In a program: rows are spread along an axis of the current mesh, if there is one."""
    return _constrained(axis, tree, PartitionSpec(axis))


def whole(axis: str | None, tree: T) -> T:
    """In a program: every device has all, where rows are spread along an axis."""
    return _constrained(axis, tree, PartitionSpec())


def _constrained(axis: str | None, tree: T, spec: PartitionSpec) -> T:
    if axis is None:
        return tree
    return jax.tree.map(lambda leaf: lax.with_sharding_constraint(leaf, spec), tree)


# ---- meshes that arrays lie on ----


def replicated(*_: Any) -> PartitionSpec:
    """Of results that every device has as a whole."""
    return PartitionSpec()


def rows_of(x: Any) -> PartitionSpec:
    """Of results whose rows lie where those of x do.

    >>> rows_of(jnp.ones((2, 3))) == jax.sharding.PartitionSpec(None)
    True
    """
    return PartitionSpec(jax.typeof(x).sharding.spec[0])


def same(tree: Any) -> Any:
    """Of results that lie as a tree of arrays does.

    >>> same({"a": jnp.ones(2)}) == {"a": jax.sharding.PartitionSpec(None)}
    True
    """
    return jax.tree.map(lambda leaf: jax.typeof(leaf).sharding.spec, tree)


def entered(tree: Any) -> AbstractContextManager[Any]:
    """The explicit mesh that arrays lie on as the current one, where none is set.

    JAX asks for it where a program makes arrays and takes none.

    >>> with entered(jnp.ones(2)):
    ...     jnp.zeros(2).sum().item()
    0.0
    """
    arrays = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, Array)]
    placed = [array.sharding for array in arrays if not isinstance(array, Tracer)]
    meshes = [one.mesh for one in placed if isinstance(one, NamedSharding)]
    explicit = [
        mesh for mesh in meshes if isinstance(mesh, Mesh) and AxisType.Explicit in mesh.axis_types
    ]
    if not explicit or not get_abstract_mesh().empty:
        return nullcontext()
    return jax.set_mesh(explicit[0])


def compiled(
    f: Callable[..., R],
    *,
    static: str | tuple[str, ...] = (),
    inline: bool = False,
    spread: Callable[..., Any] = replicated,
) -> Callable[..., R]:
    """`jax.jit`, with all axes of an explicit mesh left to the compiler.

    Args:
      f, static, inline: as `jax.jit` takes them.
      spread: how the results are spread, from f's positional arguments: specs, a prefix of them.

    >>> float(compiled(jnp.sum)(jnp.ones(3)))
    3.0
    """
    # compiled by itself: else an eager derivative takes its operations out of the mesh's context
    freely = jax.jit(f, static_argnames=static)

    @wraps(f)
    def call(*args: Any, **options: Any) -> R:
        mesh = _explicit_mesh((args, options))
        if mesh is None:
            return f(*args, **options)
        axes = zip(mesh.axis_names, mesh.axis_types, strict=True)
        freed = {axis: AxisType.Auto for axis, kind in axes if kind is AxisType.Explicit}
        results = spread(*args)
        with use_abstract_mesh(mesh.update_axis_types(freed)):
            args, options = jax.tree.map(_released, (args, options))
            found = freely(*args, **options)
        with use_abstract_mesh(mesh):
            return reshard(found, results)

    return jax.jit(call, static_argnames=static, inline=inline)


def _released(leaf: Any) -> Any:
    return reshard(leaf, PartitionSpec()) if isinstance(leaf, Array) else leaf


def _explicit_mesh(args: Any) -> Any:
    """The mesh with explicit axes that one of the arrays lies on, or None."""
    arrays = [leaf for leaf in jax.tree.leaves(args) if isinstance(leaf, Array)]
    meshes = [jax.typeof(array).sharding.mesh for array in arrays]
    return next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)
