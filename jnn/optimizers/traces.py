"""What a traced program computes of each of its inputs, as numbers that can be compared.

Two programs that give an entry of their results the same number compute it by the same operations
from the same inputs, whatever the shapes: of operations that act entry by entry the shapes are left
out. So it can be told whether an optimizer does to a stack of layers what it does to the layers
one by one, before anything is computed.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from jnn.optimizers.layout import Place

# operations that act on each entry by itself
_ENTRYWISE = {
    "abs", "add", "and", "atan2", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "copy_p",
    "cos", "cosh", "div", "eq", "erf", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow",
    "is_finite", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg",
    "nextafter", "not", "or", "pow", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh",
    "sqrt", "square", "stop_gradient", "sub", "tan", "tanh", "xor",
}  # fmt: skip
# … that run another program
_CALLS = {
    "pjit", "jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"
}  # fmt: skip
# what of their parameters says how arrays lie, not what is computed
_OF_SHAPE = ("sharding", "out_sharding", "weak_type", "shape", "broadcast_dimensions")


class Value:
    """What is known of one value of a program.

    Args:
      number: what it is computed from, and how.
      layer: whose entries it holds; None for no layer's.
      sums: of a sum over all entries of some layers: how many layers of each number.
    """

    def __init__(
        self, number: int, layer: Place | None = None, sums: Counter[int] | None = None
    ) -> None:
        self.number = number
        self.layer = layer
        self.sums = sums


class Numbering:
    """Numbers for what is computed: the same for the same operation on the same numbers.

    Args:
      depths: of the stacks.
      known: the numbers so far, shared by the programs that are compared.
      stacked: whether a layer's arrays stand for all layers of their stack.
    """

    def __init__(self, depths: Sequence[int], known: dict[Any, int], *, stacked: bool) -> None:
        self.depths = depths
        self.known = known
        self.stacked = stacked

    def number(self, *what: Any) -> int:
        """The number of something hashable."""
        return self.known.setdefault(what, len(self.known))

    def results(self, closed: Any, inputs: list[Value]) -> list[int]:
        """The numbers of a program's results."""
        return [self._settled(value).number for value in self._run(closed, inputs)]

    def _run(self, closed: Any, inputs: list[Value]) -> list[Value]:
        jaxpr = closed.jaxpr
        of: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
        for variable, constant in zip(jaxpr.constvars, closed.consts, strict=True):
            of[variable] = Value(self._constant(constant))

        def read(atom: Any) -> Value:
            return Value(self._constant(atom.val)) if hasattr(atom, "val") else of[atom]

        for eqn in jaxpr.eqns:
            found = self._apply(eqn, [read(atom) for atom in eqn.invars])
            of.update(zip(eqn.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _constant(self, value: Any) -> int:
        array = np.asarray(value) if np.ndim(value) == 0 else None
        if array is None or array.dtype.kind not in "biuf":
            return self.number("constant", id(value))
        return self.number("constant", float(array))

    def _apply(self, eqn: Any, values: list[Value]) -> list[Value]:
        """What one operation makes of these values."""
        name = eqn.primitive.name
        inner = [eqn.params[key] for key in ("jaxpr", "call_jaxpr") if key in eqn.params]
        if name in _CALLS and inner and hasattr(inner[0], "consts"):
            return self._run(inner[0], values)
        if name == "broadcast_in_dim" and not eqn.invars[0].aval.shape:
            return [self._settled(values[0])]
        if name == "reduce_sum" and len(eqn.params["axes"]) == eqn.invars[0].aval.ndim:
            return [self._sum(values[0])]
        if name == "add" and any(value.sums is not None for value in values):
            return [self._added(values)]
        values = [self._settled(value) for value in values]
        layers = {value.layer for value in values} - {None}
        params = [(k, str(v)) for k, v in sorted(eqn.params.items()) if k not in _OF_SHAPE]
        shapes: Any = ()
        if name not in _ENTRYWISE:
            shapes = tuple(str(atom.aval) for atom in (*eqn.invars, *eqn.outvars))
        if len(layers) > 1:  # layers are mixed: like nothing else
            shapes = (shapes, len(self.known))
        number = self.number(name, *params, shapes, *(value.number for value in values))
        layer = layers.pop() if len(layers) == 1 else None
        return [Value(self.number("result", i, number), layer) for i in range(len(eqn.outvars))]

    def _sum(self, value: Value) -> Value:
        """Over all entries of a layer, or of a stack of them."""
        value = self._settled(value)
        if value.layer is None:
            return Value(self.number("sum", value.number))
        layers = self.depths[value.layer[0]] if self.stacked else 1
        return Value(-1, sums=Counter({value.number: layers}))

    def _added(self, values: list[Value]) -> Value:
        """Sums over layers are one sum, whatever their order."""
        zero = self._constant(0.0)
        total: Counter[int] = Counter()
        for value in values:
            if value.sums is not None:
                total += value.sums
            elif value.number != zero:
                total[value.number] += 1
        return Value(-1, sums=total)

    def _settled(self, value: Value) -> Value:
        """A sum that is used as a number."""
        if value.sums is None:
            return value
        return Value(self.number("sums", frozenset(value.sums.items())))
