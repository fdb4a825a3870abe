"""Reading and writing one layer of an array (depth, …), in a loop over the layers.

`jax.vmap` makes a gather and a scatter of a slice at a place that is not known beforehand, on a CPU
seven kernels a layer in place of two. Of networks abreast, (members, depth, …), a layer is a slice
as well, along the next axis: two primitives say so. All else they do as what they stand for.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Index = int | Array


def get(array: Array, l: Index, axis: int = 0) -> Array:
    """Layer l of an array (depth, …), or (…, depth, …) with its layers along `axis`.

    >>> get(jnp.arange(6).reshape(3, 2), 1).tolist()
    [2, 3]
    """
    return _get.bind(array, l, axis=axis)


def put(array: Array, value: Array, l: Index, axis: int = 0) -> Array:
    """The array with layer l replaced, in place once compiled; l counts from 0, as everywhere here.

    >>> put(jnp.zeros((2, 2)), jnp.ones(2), 1).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    return _put.bind(array, value, l, axis=axis)


def _primitive(name: str, plain: Callable[..., Array]) -> Primitive:
    """plain(*arrays, l, axis=…), linear in the arrays; of members abreast along the next axis."""
    one = Primitive(name)

    def of_members(
        operands: Sequence[Any], axes: Sequence[int | None], *, axis: int
    ) -> tuple[Array, int]:
        if axes[-1] is not None:  # each at a place of its own
            return jax.vmap(partial(plain, axis=axis), axes)(*operands), 0
        size = next(a.shape[at] for a, at in zip(operands, axes, strict=True) if at is not None)
        arrays = [
            batching.bdim_at_front(a, at, size)
            for a, at in zip(operands[:-1], axes[:-1], strict=True)
        ]
        return one.bind(*arrays, operands[-1], axis=axis + 1), 0

    def derivative(
        primals: Sequence[Any], tangents: Sequence[Any], *, axis: int
    ) -> tuple[Array, Array]:
        dots = map(ad.instantiate_zeros, tangents[:-1])
        return one.bind(*primals, axis=axis), plain(*dots, primals[-1], axis=axis)

    def of_shapes(*shapes: Any, axis: int) -> Any:
        return jax.make_jaxpr(partial(plain, axis=axis))(*shapes).out_avals[0]

    one.def_impl(jax.jit(plain, static_argnames="axis"))
    one.def_abstract_eval(of_shapes)
    batching.primitive_batchers[one] = of_members
    ad.primitive_jvps[one] = derivative
    mlir.register_lowering(one, mlir.lower_fun(plain, multiple_results=False))
    return one


_PLACE: Any = {"allow_negative_indices": False}  # or each is looked at, an operation more
_get = _primitive("layer", partial(lax.dynamic_index_in_dim, keepdims=False, **_PLACE))
_put = _primitive("with_layer", partial(lax.dynamic_update_index_in_dim, **_PLACE))
