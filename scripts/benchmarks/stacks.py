"""Equal layers stacked and scanned, in Equinox and in Flax NNX, as both documentations advise."""
# the libraries are extras of the benchmarks
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

Activation = Callable[[Any], Any]


def equinox_stack(h: Activation, width: int, keys: Any) -> Any:
    """A module of one's own: a stacked Linear for each of the keys, walked by lax.scan."""
    import equinox as eqx
    import jax

    class Layers(eqx.Module):
        linear: Any

        def __call__(self, x: Any) -> Any:
            arrays, rest = eqx.partition(self.linear, eqx.is_array)

            def layer(x: Any, arrays: Any) -> Any:
                return h(eqx.combine(arrays, rest)(x)), None

            return jax.lax.scan(layer, x, arrays)[0]

    return Layers(eqx.filter_vmap(lambda key: eqx.nn.Linear(width, width, key=key))(keys))


def flax_stack(h: Activation, width: int, depth: int, rngs: Any) -> Any:
    """A module whose `linear` are so many stacked Linears, walked by nnx.scan."""
    from flax import nnx

    class Layers(nnx.Module):
        def __init__(self, rngs: Any) -> None:
            @nnx.split_rngs(splits=depth)
            @nnx.vmap(in_axes=0, out_axes=0)
            def stacked(rngs: Any) -> Any:
                return nnx.Linear(width, width, rngs=rngs)

            self.linear = stacked(rngs)

        def __call__(self, x: Any) -> Any:
            @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
            def layers(x: Any, layer: Any) -> Any:
                return h(layer(x))

            return layers(x, self.linear)

    return Layers(rngs)
