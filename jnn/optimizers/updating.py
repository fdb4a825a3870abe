"""One update of an optax transformation: what it is called with, and what it must return."""

import dataclasses
import inspect
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jnn.checks import Tree


class ObjectiveAskedError(Exception):
    """The transformation evaluates the objective at other parameters, as a line search does."""


class Update(NamedTuple):
    """An update as a program, with the shapes of what it takes and returns."""

    program: Any
    takes: tuple[Any, Any, Any, Any]  # gradient, state, params, the gradient once more
    returns: tuple[Any, Any]  # updates, state


def traced(rule: optax.GradientTransformationExtraArgs, params: Tree) -> Update:
    """The update of such parameters.

    Raises:
      ObjectiveAskedError: it evaluates the objective.
    """

    def update(gradient: Tree, state: Tree, params: Tree, again: Tree, value: Any) -> Any:
        objective = {"value": value, "grad": again, "value_fn": _objective}
        return rule.update(gradient, state, params, **objective)

    with jax.numpy_dtype_promotion("standard"):  # optax's own arithmetic is written for it
        takes = (params, jax.eval_shape(rule.init, params), params, params)
        value = jax.ShapeDtypeStruct((), jax.tree.leaves(params)[0].dtype)
        program, returns = jax.make_jaxpr(update, return_shape=True)(*takes, value)
    return Update(program, takes, returns)


def _objective(_: Any) -> Any:
    raise ObjectiveAskedError


def tolerant(
    given: optax.GradientTransformation, params: Tree
) -> optax.GradientTransformationExtraArgs:
    """The transformation, called with those named arguments alone that it takes.

    Its state is of numbers alone: a typed key in it, as of noise, is kept as its data.

    >>> import optax
    >>> sgd = tolerant(optax.sgd(0.1), [1.0])
    >>> [float(u) for u in sgd.update([2.0], sgd.init([1.0]), [1.0], value=3.0)[0]]
    [-0.2...]
    """
    rule = optax.with_extra_args_support(given)
    named = inspect.signature(rule.update).parameters.values()
    names = {p.name for p in named if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in named)
    try:
        takes_all = takes_all and bool(traced(rule, params))
    except TypeError as error:  # of one in a chain that is strict
        takes_all = "unexpected keyword" not in str(error)
    except Exception:  # noqa: BLE001  it is said where the update is needed
        pass

    def update(updates: Tree, state: Tree, params: Tree = None, **extra: Any) -> tuple[Tree, Tree]:
        known = {name: a for name, a in extra.items() if takes_all or name in names}
        if "grad_fn" in names:  # of sharpness-aware minimization; with the number of the call
            known["grad_fn"] = lambda p, *_: jax.grad(extra["value_fn"])(p)
        updates, state = rule.update(updates, _with_keys(state), params, **known)
        return updates, _without_keys(state)

    def init(params: Tree) -> Tree:
        return _without_keys(rule.init(params))

    return optax.GradientTransformationExtraArgs(init, update)


@partial(jax.tree_util.register_dataclass, data_fields=["data"], meta_fields=["impl"])
@dataclasses.dataclass(frozen=True)
class _Key:
    """A typed key as numbers, which NumPy, files and `jax.vmap` over members take."""

    data: Any
    impl: Any


def _without_keys(state: Tree) -> Tree:
    def numbers(leaf: Any) -> Any:
        if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return _Key(jax.random.key_data(leaf), jax.random.key_impl(leaf))
        return leaf

    return jax.tree.map(numbers, state)


def _with_keys(state: Tree) -> Tree:
    def key(leaf: Any) -> Any:
        if isinstance(leaf, _Key):
            return jax.random.wrap_key_data(leaf.data, impl=leaf.impl)
        return leaf

    return jax.tree.map(key, state, is_leaf=lambda leaf: isinstance(leaf, _Key))


def check(update: Update) -> None:
    """Raise where updates do not lie as the parameters do, or the state not as the one before."""
    _, state, params, _ = update.takes
    for what, expected, found in (
        ("updates", params, update.returns[0]),
        ("a state", state, update.returns[1]),
    ):
        trees = [jax.tree.structure(tree) for tree in (expected, found)]
        if trees[0] != trees[1]:
            raise ValueError(
                f"the optimizer returns {what} of another tree than "
                f"{'the parameters' if expected is params else 'that of init'}: expected "
                f"{_shown(trees[0])}, got {_shown(trees[1])}"
            )
        leaves = zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True)
        for before, after in leaves:
            if (before.shape, before.dtype) != (after.shape, after.dtype):
                raise ValueError(
                    f"the optimizer returns {what} of another shape or type: expected "
                    f"{before.dtype} {before.shape}, got {after.dtype} {after.shape}"
                )


def refusal(error: Exception) -> str:
    """Why a transformation could not be traced, in words."""
    in_python = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
    reason = "it must take the list of layers, [(W, b), …], or the parameters as they are"
    if isinstance(error, in_python):
        reason = (
            "it branches in Python on, or converts, what is known only when the run is under way: "
            "take jnp.where, jax.lax.cond or schedules of optax"
        )
    elif "fast" in str(error):
        reason = (
            "optax.lookahead keeps pairs of fast and slow parameters, which fit does not: give its "
            "inner optimizer"
        )
    return f"the optimizer cannot update this network: {reason} ({_shown(error)})"


def _shown(thing: Any) -> str:
    text = f"{type(thing).__name__}: {thing}" if isinstance(thing, Exception) else str(thing)
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:300]} …"
