"""An optax transformation on a network does what it does on the list of layers, [(W_1, b_1), …].

Networks are kept as stacks of equal layers, and most optimizers act on each number by itself: to
them it is all one. Others act on an array, or look at it (trust ratios, factored moments,
orthogonalised updates, masks by dimension, labels by place): a layer is then one (W, b), of shapes
(n_out, n_in) and (n_out,). There are three ways to see to it, the first that is right is taken:

    stacks    the transformation as it is, on the parameters as they lie: entry by entry
    vmap      on each layer by itself, all layers of a stack at once
    list      on the list of layers: any transformation, with a program as long as the network

Which is right is told by tracing the transformation both ways (`traces`). States are kept as they
would be of the parameters: where a list of layers stood, there are stacks.
"""

import inspect
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jnn.checks import Tree
from jnn.optimizers.traces import Layer, Numbering, Value
from jnn.params import Params, Stack


class _Shape(NamedTuple):
    """A network's parameters without their numbers; hashable."""

    stacks: tuple[tuple[int, int, int, Any, bool], ...]  # depth, n_out, n_in, activation, residual
    dtype: np.dtype

    @property
    def depths(self) -> list[int]:
        return [depth for depth, *_ in self.stacks]

    @property
    def places(self) -> list[tuple[int, int]]:
        """(stack, layer of it) of every layer."""
        return [(s, l) for s, depth in enumerate(self.depths) for l in range(depth)]

    def params(self) -> Params:
        """Shapes and types in place of arrays."""
        return tuple(
            Stack(self._array(d, n_out, n_in), self._array(d, n_out), h, residual)
            for d, n_out, n_in, h, residual in self.stacks
        )

    def layer(self, s: int) -> tuple[Any, Any]:
        """One (W, b) of a stack."""
        _, n_out, n_in, *_ = self.stacks[s]
        return self._array(n_out, n_in), self._array(n_out)

    def layers(self) -> list[tuple[Any, Any]]:
        """All of them."""
        return [self.layer(s) for s, _ in self.places]

    def _array(self, *shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, self.dtype)


def on_layers(
    transformation: optax.GradientTransformation, params: Params, dtype: Any = None
) -> optax.GradientTransformationExtraArgs:
    """The transformation for a network's parameters, which does what it does on their layers.

    The same transformation and shapes give the same object.

    Args:
      transformation: of optax's kind.
      params: of the network.
      dtype: in which they are updated; None is their own.
    Raises:
      ValueError: the transformation cannot take the layers, or returns what does not fit to them.

    >>> params = jnn.from_layers([(2.0, 0.0), (3.0, 0.0)])
    >>> decay = optax.add_decayed_weights(0.1, lambda p: jax.tree.map(lambda a: a.ndim == 2, p))
    >>> rule = on_layers(decay, params)
    >>> updates, _ = rule.update(params, rule.init(params), params)
    >>> [float(w[0, 0]) for w, _ in jnn.layers(updates)]
    [2.2..., 3.3...]
    """
    stacks = tuple((*s.w.shape, s.activation, s.residual) for s in params)
    return _on_layers(transformation, _Shape(stacks, np.dtype(dtype or params[0].w.dtype)))


@lru_cache(maxsize=64)
def _on_layers(
    given: optax.GradientTransformation, shape: _Shape
) -> optax.GradientTransformationExtraArgs:
    layers = shape.layers()
    rule = _without_what_it_does_not_know(given, layers)
    try:
        of_list = _traced(rule, layers)
    except _ObjectiveAskedError:  # of all layers together, as a line search does
        return _by_list(rule, shape)
    except Exception as error:  # noqa: BLE001  whatever it is, it is said
        try:  # it may be made for the stacks: with a mask that is a tree like params
            _check_updates(_traced(rule, shape.params()), shape.params())
        except Exception:  # noqa: BLE001  then the first is what the user has to know
            raise ValueError(_refusal(error)) from error
        return rule
    _check_updates(of_list, layers)
    known: dict[Any, int] = {}
    numbers = _numbers(of_list, shape, shape.places, known)
    if numbers is not None and _as_stacks(rule, shape, numbers, known):
        return rule
    if numbers is not None and _each_by_itself(rule, shape, numbers, known):
        return _by_vmap(rule, shape)
    return _by_list(rule, shape)


# ---- what is accepted ----


class _ObjectiveAskedError(Exception):
    """An optimizer evaluates the objective at other parameters."""


def _no_objective(*_: Any) -> Any:
    raise _ObjectiveAskedError


def _without_what_it_does_not_know(
    given: optax.GradientTransformation, layers: list[Any]
) -> optax.GradientTransformationExtraArgs:
    """The transformation, called with those named arguments alone that it takes."""
    rule = optax.with_extra_args_support(given)
    named = inspect.signature(rule.update).parameters.values()
    names = {p.name for p in named if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in named)
    if takes_all:
        try:
            _traced(rule, layers)
        except TypeError as error:  # one in a chain that is strict
            takes_all = "unexpected keyword" not in str(error)
        except Exception:  # noqa: BLE001  said where it is traced again
            pass

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        known = {name: a for name, a in extra.items() if takes_all or name in names}
        if "grad_fn" in names:  # of sharpness-aware minimization, the number of the call with it
            known["grad_fn"] = lambda p, *_: jax.grad(extra["value_fn"])(p)
        return rule.update(updates, state, params, **known)

    return optax.GradientTransformationExtraArgs(rule.init, update)


class _Traced(NamedTuple):
    """One update of an optimizer as a program, and what it takes and returns."""

    program: Any
    takes: tuple[Any, Any, Any, Any]  # gradient, state, params, the gradient once more
    returns: tuple[Any, Any]  # updates, state


def _traced(rule: optax.GradientTransformationExtraArgs, params: Tree) -> _Traced:
    state = jax.eval_shape(rule.init, params)

    def update(gradient: Tree, state: Tree, params: Tree, again: Tree, value: Any) -> Any:
        objective = {"value": value, "grad": again, "value_fn": _no_objective}
        return rule.update(gradient, state, params, **objective)

    value = jax.ShapeDtypeStruct((), jax.tree.leaves(params)[0].dtype)
    takes = (params, state, params, params)
    program, returns = jax.make_jaxpr(update, return_shape=True)(*takes, value)
    return _Traced(program, takes, returns)


def _check_updates(traced: _Traced, params: Tree) -> None:
    """Raise where updates do not lie as the parameters do, or a state not as the one before."""
    _, state, _, _ = traced.takes
    pairs = (("updates", params, traced.returns[0]), ("its state", state, traced.returns[1]))
    for what, expected, found in pairs:
        if jax.tree.structure(expected) != jax.tree.structure(found):
            raise ValueError(
                f"the optimizer returns {what} of another tree: expected "
                f"{_shown(jax.tree.structure(expected))}, got {_shown(jax.tree.structure(found))}"
            )
        leaves = zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True)
        for before, after in leaves:
            if (before.shape, before.dtype) != (after.shape, after.dtype):
                raise ValueError(
                    f"the optimizer returns {what} of another shape or type: expected "
                    f"{before.dtype} {before.shape}, got {after.dtype} {after.shape}"
                )


def _refusal(error: Exception) -> str:
    if isinstance(
        error, (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
    ):
        reason = (
            "it branches in Python on, or converts, what is known only when the run is under way; "
            "take jnp.where, jax.lax.cond or optax's schedules"
        )
    elif "fast" in str(error):
        reason = (
            "optax.lookahead keeps pairs of fast and slow parameters, which fit does not: give its "
            "inner optimizer"
        )
    else:
        reason = "an optimizer must take the list of layers [(W, b), …], or the parameters"
    return f"the optimizer cannot update this network: {reason} ({_shown(error)})"


def _shown(thing: Any) -> str:
    text = f"{type(thing).__name__}: {thing}" if isinstance(thing, Exception) else str(thing)
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]} …"


# ---- which way is right ----

_Address: TypeAlias = tuple[Any, ...]


def _is_pairs(tree: Any, n: int) -> bool:
    """Whether it is a list of n layers (w, b), whatever stands for w and b."""
    return (
        isinstance(tree, list)
        and len(tree) == n
        and all(isinstance(pair, tuple) and len(pair) == 2 for pair in tree)
    )


def _is_stacks(tree: Any) -> bool:
    return isinstance(tree, tuple) and bool(tree) and all(isinstance(s, Stack) for s in tree)


def _addresses(tree: Tree, places: list[tuple[int, int]]) -> list[tuple[_Address, Layer]]:
    """Of every number in a tree: which array it stands in, layers told apart by their stack."""
    n = len(places)
    parts = jax.tree.leaves(tree, is_leaf=lambda t: _is_pairs(t, n) or _is_stacks(t))
    found: list[tuple[_Address, Layer]] = []
    for j, entry in enumerate(parts):
        part = [(stack.w, stack.b) for stack in entry] if _is_stacks(entry) else entry
        if not _is_pairs(part, n):
            found.append(((j,), None))
            continue
        for place, pair in zip(places, part, strict=True):
            for k, half in enumerate(pair):
                leaves = range(len(jax.tree.leaves(half)))
                found += [((j, place[0], k, m), place) for m in leaves]
    return found


def _numbers(
    traced: _Traced,
    shape: _Shape,
    places: list[tuple[int, int]],
    known: dict[Any, int],
    *,
    stacked: bool = False,
) -> dict[_Address, int] | None:
    """What is computed of each array; None where layers of a stack differ."""
    numbering = Numbering(shape.depths, known, stacked=stacked)
    inputs = []
    for name, tree in zip(("gradient", "state", "params", "gradient"), traced.takes, strict=True):
        for address, layer in _addresses(tree, places):
            inputs.append(Value(numbering.number(name, *address), layer))
    inputs.append(Value(numbering.number("value")))
    results = numbering.results(traced.program, inputs)
    addresses = [
        (name, *address)
        for name, tree in zip(("updates", "state"), traced.returns, strict=True)
        for address, _ in _addresses(tree, places)
    ]
    found: dict[_Address, int] = {}
    for address, number in zip(addresses, results, strict=True):
        if found.setdefault(address, number) != number:
            return None
    return found


def _as_stacks(
    rule: optax.GradientTransformationExtraArgs,
    shape: _Shape,
    numbers: dict[_Address, int],
    known: dict[Any, int],
) -> bool:
    """Whether the stacks, taken as they are, are updated as the layers are."""
    try:
        traced = _traced(rule, shape.params())
    except Exception:  # noqa: BLE001  it takes layers alone
        return False
    places = [(s, 0) for s in range(len(shape.depths))]
    return _numbers(traced, shape, places, known, stacked=True) == numbers


def _each_by_itself(
    rule: optax.GradientTransformationExtraArgs,
    shape: _Shape,
    numbers: dict[_Address, int],
    known: dict[Any, int],
) -> bool:
    """Whether each layer is updated as a network of that layer alone would be."""
    together: dict[_Address, int] = {}
    for s in range(len(shape.depths)):
        try:
            traced = _traced(rule, [shape.layer(s)])
        except Exception:  # noqa: BLE001  it counts layers
            return False
        of_one = _numbers(traced, shape, [(s, 0)], known)
        if of_one is None:
            return False
        together |= of_one
    return together == numbers


# ---- the ways ----


def _by_vmap(
    rule: optax.GradientTransformationExtraArgs, shape: _Shape
) -> optax.GradientTransformationExtraArgs:
    """Each layer by itself, the layers of a stack at once."""
    n = len(shape.places)
    state = jax.eval_shape(rule.init, shape.layers())
    entries, structure = jax.tree.flatten(state, is_leaf=lambda t: _is_pairs(t, n))
    mapped = [_is_pairs(entry, n) for entry in entries]

    def of_stack(entries: list[Any], s: int) -> list[Any]:
        """A stack's part of a state."""
        pairs = zip(entries, mapped, strict=True)
        return [[(e[s].w, e[s].b)] if each else e for e, each in pairs]

    def together(parts: list[list[Any]]) -> Any:
        """A state from those of the stacks; what belongs to no layer is the same in all."""
        entries = [
            tuple(
                Stack(*part[j][0], *stack[3:])
                for part, stack in zip(parts, shape.stacks, strict=True)
            )
            if each
            else jax.tree.map(lambda a: a[0], parts[0][j])
            for j, each in enumerate(mapped)
        ]
        return jax.tree.unflatten(structure, entries)

    def leaves_of(state: Any) -> list[Any]:
        return structure.flatten_up_to(state)

    def init(params: Params) -> Any:
        def one(w: Array, b: Array) -> list[Any]:
            return leaves_of_one(rule.init([(w, b)]))

        return together([jax.vmap(one)(stack.w, stack.b) for stack in params])

    def leaves_of_one(state: Any) -> list[Any]:
        return jax.tree.leaves(state, is_leaf=lambda t: _is_pairs(t, 1))

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        value, parts, changes = extra.get("value"), [], []
        entries = leaves_of(state)
        axes = [0 if each else None for each in mapped]
        for s, (gradient, stack) in enumerate(zip(updates, params, strict=True)):

            def one(g: Any, state: list[Any], p: Any) -> tuple[Any, list[Any]]:
                state = jax.tree.unflatten(of_one, state)
                change, state = rule.update([g], state, [p], value=value, grad=[g])
                return change[0], leaves_of_one(state)

            of_one = jax.tree.structure(
                jax.eval_shape(rule.init, [shape.layer(s)]), is_leaf=lambda t: _is_pairs(t, 1)
            )
            change, part = jax.vmap(one, (0, axes, 0))(
                (gradient.w, gradient.b), of_stack(entries, s), (stack.w, stack.b)
            )
            changes.append(Stack(*change, stack.activation, stack.residual))
            parts.append(part)
        return tuple(changes), together(parts)

    return optax.GradientTransformationExtraArgs(init, update)


def _by_list(
    rule: optax.GradientTransformationExtraArgs, shape: _Shape
) -> optax.GradientTransformationExtraArgs:
    """All layers as they are."""
    n = len(shape.places)

    def listed(tree: Tree) -> Tree:
        def one(part: Any) -> Any:
            if not _is_stacks(part):
                return part
            return [
                tuple(jax.tree.map(lambda a, l=l: a[l], half) for half in (part[s].w, part[s].b))
                for s, l in shape.places
            ]

        return jax.tree.map(one, tree, is_leaf=_is_stacks)

    def stacked(tree: Tree) -> Tree:
        def one(part: Any) -> Any:
            if not _is_pairs(part, n) or not alike(part):
                return part
            halves = ([pair[k] for pair in part] for k in (0, 1))
            w, b = ([], [])
            for of, half in zip((w, b), halves, strict=True):
                layers = iter(half)
                for depth in shape.depths:
                    of.append(jax.tree.map(lambda *a: jnp.stack(a), *islice(layers, depth)))
            return tuple(
                Stack(*arrays, *stack[3:])
                for *arrays, stack in zip(w, b, shape.stacks, strict=True)
            )

        return jax.tree.map(one, tree, is_leaf=lambda t: _is_pairs(t, n))

    def alike(pairs: list[Any]) -> bool:
        """Whether what stands for the layers of a stack can be stacked."""

        def kind(pair: Any) -> Any:
            shapes = [(jnp.shape(a), jnp.result_type(a)) for a in jax.tree.leaves(pair)]
            return jax.tree.structure(pair), shapes

        first = {s: kind(pair) for (s, l), pair in zip(shape.places, pairs, strict=True) if l == 0}
        return all(kind(p) == first[s] for (s, _), p in zip(shape.places, pairs, strict=True))

    def init(params: Params) -> Any:
        return stacked(rule.init(listed(params)))

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        if (f := extra.get("value_fn")) is not None:
            extra["value_fn"] = lambda p: f(stacked(p))
        if "grad" in extra:
            extra["grad"] = listed(extra["grad"])
        changes, state = rule.update(listed(updates), listed(state), listed(params), **extra)
        return stacked(changes), stacked(state)

    return optax.GradientTransformationExtraArgs(init, update)
