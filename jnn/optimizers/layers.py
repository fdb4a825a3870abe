"""An optax transformation on a network does what it does on the list of layers, [(W_1, b_1), …].

Networks are kept as stacks of equal layers, and most optimizers act on each number by itself: to
them it is all one. Others act on an array, or look at it (trust ratios, factored moments,
orthogonalised updates, masks by dimension, labels by place): a layer is then one (W, b), of shapes
(n_out, n_in) and (n_out,). There are three ways to see to it, and the first that is right is taken:

    as it is     on the stacks: number by number, and by sums over all of them, as of a norm
    by stack     on each layer by itself, all layers of a stack at once
    by list      on the list of layers: right always, with a program as long as the network

Which is right is told by tracing the transformation in each way (`traces`). States lie as they
would for the parameters: where a list of layers stood, there are stacks.
"""

from functools import lru_cache
from typing import Any

import jax
import numpy as np
import optax

from jnn.checks import Tree
from jnn.optimizers import updating
from jnn.optimizers.layout import Layout, Place, addresses, is_stacks
from jnn.optimizers.traces import Numbering, Value
from jnn.optimizers.updating import ObjectiveAskedError, Update, traced
from jnn.params import Params

_Numbers = dict[tuple[Any, ...], int]  # of what is computed, by name and address


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

    >>> import optax
    >>> params = jnn.from_layers([(2.0, 0.5), (3.0, 0.5)])
    >>> decay = optax.add_decayed_weights(0.1, lambda p: jax.tree.map(lambda a: a.ndim == 2, p))
    >>> rule = on_layers(decay, params)
    >>> updates, _ = rule.update(params, rule.init(params), params)
    >>> [round(float(b[0]), 6) for _, b in jnn.layers(updates)]
    [0.5, 0.5]
    """
    stacks = tuple((*stack.w.shape, stack.activation, stack.residual) for stack in params)
    return _on_layers(transformation, Layout(stacks, np.dtype(dtype or params[0].w.dtype)))


@lru_cache(maxsize=64)
def _on_layers(
    given: optax.GradientTransformation, layout: Layout
) -> optax.GradientTransformationExtraArgs:
    rule = updating.tolerant(given, layout.layers())
    try:
        by_list = traced(rule, layout.layers())
    except ObjectiveAskedError:
        return _by_list(rule, layout)
    except Exception as error:  # noqa: BLE001  whatever it is, it is said
        try:  # it may be made for the stacks: with a mask that is a tree like params
            updating.check(traced(rule, layout.params()))
        except Exception:  # noqa: BLE001  the first error is what the user has to know
            raise ValueError(updating.refusal(error)) from error
        return rule
    updating.check(by_list)
    known: dict[Any, int] = {}
    wanted = _numbers(by_list, layout, layout.places, known)
    if wanted and _as_it_is(rule, layout, known) == wanted:
        return rule
    if wanted and _each_by_itself(rule, layout, known) == wanted:
        return _by_stack(rule, layout)
    return _by_list(rule, layout)


# ---- which way is right ----


def _numbers(
    update: Update,
    layout: Layout,
    places: list[Place],
    known: dict[Any, int],
    *,
    stacked: bool = False,
) -> _Numbers | None:
    """What an update computes of each array; None where the layers of a stack differ."""
    numbering = Numbering(layout.depths, known, stacked=stacked)
    inputs = [
        Value(numbering.number(name, *address), place)
        for name, tree in zip(("g", "state", "p", "g"), update.takes, strict=True)
        for address, place in addresses(tree, places)
    ]
    results = numbering.results(update.program, [*inputs, Value(numbering.number("value"))])
    outputs = [
        (name, *address)
        for name, tree in zip(("updates", "state"), update.returns, strict=True)
        for address, _ in addresses(tree, places)
    ]
    found: _Numbers = {}
    for output, number in zip(outputs, results, strict=True):
        if found.setdefault(output, number) != number:
            return None
    return found


def _as_it_is(
    rule: optax.GradientTransformationExtraArgs, layout: Layout, known: dict[Any, int]
) -> _Numbers | None:
    """What is computed where the transformation is given the stacks; None where it takes none."""
    try:
        update = traced(rule, layout.params())
    except Exception:  # noqa: BLE001  it is made for the list
        return None
    places = [(s, 0) for s in range(len(layout.depths))]
    return _numbers(update, layout, places, known, stacked=True)


def _each_by_itself(
    rule: optax.GradientTransformationExtraArgs, layout: Layout, known: dict[Any, int]
) -> _Numbers | None:
    """What is computed where it is given one layer; None where it takes all or none."""
    found: _Numbers = {}
    for s in range(len(layout.depths)):
        try:
            update = traced(rule, [layout.layer(s)])
        except Exception:  # noqa: BLE001  it looks for certain layers
            return None
        found |= _numbers(update, layout, [(s, 0)], known) or {}
    return found


# ---- the ways ----


def _by_stack(
    rule: optax.GradientTransformationExtraArgs, layout: Layout
) -> optax.GradientTransformationExtraArgs:
    """Each layer by itself, all layers of a stack at once."""
    stacks = range(len(layout.depths))

    def init(params: Tree) -> Tree:
        return layout.join([jax.vmap(rule.init)(layout.part(params, s)) for s in stacks])

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        def of_layer(g: Tree, state: Tree, p: Tree) -> tuple[Tree, Tree]:
            return rule.update(g, state, p, value=extra.get("value"), grad=g)

        axes = jax.tree.map(lambda a: 0 if is_stacks(a) else None, state, is_leaf=is_stacks)
        found = [
            jax.vmap(of_layer, (0, axes, 0))(*(layout.part(t, s) for t in (updates, state, params)))
            for s in stacks
        ]
        changes, states = zip(*found, strict=True)
        return layout.join(changes), layout.join(states)

    return optax.GradientTransformationExtraArgs(init, update)


def _by_list(
    rule: optax.GradientTransformationExtraArgs, layout: Layout
) -> optax.GradientTransformationExtraArgs:
    """All layers as they are."""

    def init(params: Tree) -> Tree:
        return layout.stacked(rule.init(layout.listed(params)))

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        if (f := extra.get("value_fn")) is not None:
            extra["value_fn"] = lambda p: f(layout.stacked(p))
        if "grad" in extra:
            extra["grad"] = layout.listed(extra["grad"])
        given = (layout.listed(tree) for tree in (updates, state, params))
        changes, state = rule.update(*given, **extra)
        return layout.stacked(changes), layout.stacked(state)

    return optax.GradientTransformationExtraArgs(init, update)
