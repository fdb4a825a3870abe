"""The compiled training run of a network, by scikit-learn's definitions.

What shapes the program is in `Form`; everything else is numbers or data, and rows are filled up to
a few lengths, so that the folds of a search share one program. It differs from `jnn.fit`'s in its
definitions (the table of differences stands in the chapter's docstring), not in its network:
forward pass and derivative are the triangular chapter's.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jnn import activations
from jnn.checks import Thing
from jnn.data.rows import Rows, minibatch
from jnn.params import Params
from jnn.sklearn import terms as terms_
from jnn.sklearn.judging import judged
from jnn.sklearn.records import STOPPED, Epoch, Form, Memory, State
from jnn.sklearn.solvers import Numbers, unpacked
from jnn.sklearn.transformations import Searched, sees_all_rows, solver_of
from jnn.triangular.slices import put


def value_and_gradient(
    form: Form,
    numbers: Numbers,
    params: Params,
    rows: Rows,
    step: Thing = None,
    *,
    summed: bool = False,
) -> tuple[Array, Params]:
    """The loss of some rows and the gradient it is minimised by, both divided by Σ weights.

    `step`, the number of this one, is needed for dropout.
    scikit-learn averages squared errors over outputs in the loss and sums them in the gradient (its
    issue 8349), which a line search must not; with `summed` the two are of one function.
    """
    terms = form.terms
    objective = terms_.objective_of(form.output, terms, numbers)
    x, y, weights = rows
    total = jnp.sum(weights)
    shares = weights / total
    z, back = jax.vjp(lambda params: terms_.logits(terms, numbers, params, x, step), params)
    prediction = objective.predict(z)
    y = terms_.targets(form.output, terms, numbers, y.astype(z.dtype))
    if objective.canonical:
        slope = shares[:, None] * (prediction - y)
    else:
        slope = jax.grad(lambda z: objective.loss(y, objective.predict(z), shares))(z)
    (gradient,) = back(slope)
    strength = jnp.asarray(numbers.alpha, z.dtype) / total
    gradient = terms_.penalised(terms, numbers, gradient, params, strength)
    loss = objective.loss(y, prediction, shares)
    if summed and objective.averages:
        loss = loss * y.shape[1]
    return loss + terms_.penalty(terms, numbers, params, strength), gradient


def _run(
    form: Form,
    state: State,
    numbers: Any,
    data: Rows,
    validation: Rows | None,
    order: Any,
    n: Any,
    rows: int,
    epochs: Any,
) -> tuple[State, Array]:
    """Train for `epochs` epochs, or until there is no progress.

    Args:
      numbers: of `Numbers`, packed.
      data: n rows, and what they are filled up with, of weight 0.
      validation: rows, likewise.
      order: (rows, rows of data), the order in which epoch i visits the data, what fills up last;
        None where it is that of the data.
      n: how many rows count.
      rows: the most epochs of one call.
      epochs: how many of them.
    Returns:
      The state then, and (rows, columns of `Epoch`).
    """
    numbers = unpacked(numbers)
    solver = solver_of(form.solver)
    whole = sees_all_rows(form.solver)
    size = form.size or len(data.x)

    def epoch(carry: tuple[Array, State, Array]) -> tuple[Array, State, Array]:
        i, state, history = carry
        visits = None if order is None else order[i]
        memory = Memory(*state.memory)

        def step(j: Any, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            params, moments, total = carry
            batch, count = _minibatch(form, data, visits, n, j)
            t = memory.updates + j + 1
            loss, gradient = value_and_gradient(form, numbers, params, batch, t, summed=whole)
            rate = terms_.rate_of(form.terms, numbers, memory.rate, t)
            searched = Searched(
                loss,
                lambda p: value_and_gradient(form, numbers, p, batch, t, summed=whole)[0],
                lambda p: terms_.residuals(numbers, p, batch),
            )
            moments, change = solver.step(numbers, rate, t, moments, gradient, params, searched)
            total += loss.astype(total.dtype) * count
            return jax.tree.map(jnp.add, params, change), moments, total

        start = (state.params, state.moments, jnp.zeros((), state.memory.dtype))
        steps = -(-n // size)
        params, moments, total = lax.fori_loop(0, steps, step, start)
        memory = memory._replace(updates=memory.updates + steps, seen=memory.seen + n)
        state = State(params, moments, state.best, None)
        state, row = judged(form, numbers, state, memory, total / n, validation)
        return i + 1, state, put(history, row, i)

    def unfinished(carry: tuple[Array, State, Array]) -> Array:
        i, state, _ = carry
        return (i < epochs) & (Memory(*state.memory).event < STOPPED)

    history = jnp.zeros((rows, len(Epoch._fields)), state.memory.dtype)
    start: Any = (0, state, history)
    _, state, history = lax.while_loop(unfinished, epoch, start)
    return state, history


def _minibatch(form: Form, data: Rows, visits: Array | None, n: Any, j: Any) -> tuple[Rows, Any]:
    """Minibatch j and how many rows of it count; what fills up the last has weight 0."""
    size = form.size
    if size is None:
        return data, n
    first = j * size
    start = jnp.minimum(first, len(data.x) - size)
    rows = minibatch(data, visits, start, size)
    there = start + jnp.arange(size) >= first
    rows = rows._replace(weights=jnp.where(there, rows.weights, 0))
    return rows, jnp.minimum(size, n - first)


# For runs that are short beside a compilation. Of XLA's two ways to emit loops the older compiles
# in less than half the time, for programs that take up to a fifth longer to run; a tanh takes it
# 6 ns in place of 1. LLVM's first level of optimisation, in one piece, takes off another 30 %, and
# costs nothing that could be measured (level 0 does: three times the running time).
QUICKLY: dict[str, Any] = {
    "xla_backend_optimization_level": 1,
    "xla_cpu_parallel_codegen_split_count": 1,
}
if jax.__version_info__ < (0, 11):  # later ones know no other way than the new
    QUICKLY["xla_cpu_use_fusion_emitters"] = False
# in an epoch, from which on a program is compiled thoroughly, which takes a second more
_PRODUCTS = 2**29  # rows × parameters
_FUNCTION_VALUES = 2**16  # of activations that are computed by a series


def quickly(f: Callable[..., Any], static: tuple[str, ...]) -> Callable[..., Any]:
    """f, compiled quickly; thoroughly where XLA lacks an option: another version, or for a GPU."""
    quick = jax.jit(f, static_argnames=static, compiler_options=QUICKLY)
    thorough = jax.jit(f, static_argnames=static)

    @wraps(f)
    def call(*arguments: Any) -> Any:
        try:
            return quick(*arguments)
        except jax.errors.JaxRuntimeError as error:
            if "compile option" not in str(error):
                raise
            return thorough(*arguments)

    return call


_static = ("form", "rows")
_quick = quickly(_run, _static)
_thorough = jax.jit(_run, static_argnames=_static)


def run(form: Form, state: State, numbers: Any, data: Rows, *rest: Any) -> tuple[State, Array]:
    """`_run`, compiled as it pays.

    How depends on shapes alone, so that equal runs have equal bits.
    """
    products = len(data.x) * sum(leaf.size for leaf in jax.tree.leaves(state.params))
    values = len(data.x) * sum(
        stack.b.size
        for stack in state.params
        if activations.resolve(stack.activation).family not in ("affine", "relu")
    )
    thorough = products >= _PRODUCTS or values >= _FUNCTION_VALUES
    return (_thorough if thorough else _quick)(form, state, numbers, data, *rest)
