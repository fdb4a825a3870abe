"""Every public call under each of JAX's switches: it runs, and its numbers are the same.

A switch that people throw to find mistakes of their own must find none of jnn's.
"""

import inspect
import re
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from surroundings import calls
from surroundings.calls import CALLS, NETWORKS, OF_PARAMS, numbers

import jnn
import jnn.figures

SWITCHES = {
    "rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "dtype promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "NaN": lambda: jax.debug_nans(True),
    "infinity": lambda: jax.debug_infs(True),
    "no jit": jax.disable_jit,
    "x64": lambda: jax.enable_x64(True),
}
OPTAX_INFINITE = "optax's: the state of its line search begins with an infinite step"
NOT_OURS = {("infinity", call): OPTAX_INFINITE for call in ("fit, lbfgs", "fit, every optimizer")}

# as a rule one row a switch; --all runs every second of those that found most, and every sixth of
# the others; --exhaustive all
ALWAYS = ("predict",)
FOUND = ("rank promotion", "dtype promotion")


def cells():
    for switch in SWITCHES:
        for i, call in enumerate(CALLS):
            marks = []
            if call not in ALWAYS:
                marks.append("exhaustive" if i % (2 if switch in FOUND else 6) else "slow")
            marks = [getattr(pytest.mark, mark) for mark in marks]
            if (switch, call) in NOT_OURS:
                marks.append(pytest.mark.xfail(reason=NOT_OURS[switch, call], strict=True))
            yield pytest.param(switch, call, marks=marks)


@cache
def without_a_switch(call):
    return numbers(CALLS[call]())


@pytest.mark.parametrize(("switch", "call"), [*cells()])
def test_a_switch_of_jax_changes_no_number(switch, call, as_a_user):
    expected = without_a_switch(call)
    with SWITCHES[switch]():
        found = numbers(CALLS[call]())
    if switch == "x64":  # other random numbers are drawn
        assert [a.shape for a in found] == [a.shape for a in expected]
        return
    assert_close(found, expected)


@pytest.mark.parametrize("switch", ["jax_debug_nans", "jax_debug_infs", "jax_disable_jit"])
def test_a_switch_of_the_whole_process_reaches_no_thread(switch, as_a_user):
    """Set for good, it holds on threads as well; a context's holds on one alone."""
    rates = np.array([0.1, 1e30, 0.1])
    keys = jax.random.split(jax.random.key(0), 3)
    members = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(keys)
    x = np.linspace(-1, 1, 20)[:, None]
    options = {"optimizer": "sgd", "epochs": 3, "progress": False}
    jax.config.update(switch, True)
    try:
        with pytest.warns(RuntimeWarning, match="1 of 3 members diverged"):
            fits = jnn.fit_many(members, (x, x * x), learning_rate=rates, **options)
        folds = jnn.cross_validate(members, (x, x * x), 2, **options)
    finally:
        jax.config.update(switch, False)
    assert fits.stopped.tolist() == ["epochs", "diverged", "epochs"]
    assert np.isfinite(folds.history["loss"]).all()


def assert_close(found, expected):
    """To 1e-4 of the largest entry, or 4 roundings: without jit, sums are in another order."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        rtol, scale = 1e-4, 0.0
        if b.dtype.kind == "f":
            rtol = max(rtol, 4 * float(np.finfo(b.dtype).eps))
            scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1e-3))
        np.testing.assert_allclose(
            np.asarray(a, float), np.asarray(b, float), rtol=rtol, atol=rtol * scale
        )


@pytest.mark.parametrize("part", [jnn, jnn.diagnostics, jnn.data, jnn.figures], ids=str)
def test_every_public_function_has_a_row(part):
    rows = Path(calls.__file__).read_text()
    functions = [name for name, thing in vars(part).items() if inspect.isfunction(thing)]
    left_out = {"make_directory", "png_hint", "keep_compiled"}  # which move no arrays
    missing = [n for n in functions if not re.search(rf"\b{n}\b", rows) and n[0] != "_"]
    assert set(missing) <= left_out


# ---- x64 between two calls ----


@pytest.mark.parametrize(
    "call", [pytest.param(name, marks=() if name == "predict" else pytest.mark.slow)
             for name in OF_PARAMS if name != "fit, every optimizer"]
)  # fmt: skip
def test_x64_may_be_switched_on_between_two_calls(call):
    of, params = OF_PARAMS[call].of, NETWORKS[OF_PARAMS[call].network]()
    expected = numbers(of(params))
    with jax.enable_x64(True):
        found = numbers(of(params))
    assert_close(found, expected)
    assert [a.dtype for a in found if a.dtype.kind == "f"] == [
        b.dtype for b in expected if b.dtype.kind == "f"
    ]
    assert_close(numbers(of(params)), expected)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")  # JAX's word on it
@pytest.mark.parametrize("call", ["predict", pytest.param("fit", marks=pytest.mark.slow)])
def test_x64_may_be_switched_off_between_two_calls(call):
    of, network = OF_PARAMS[call].of, NETWORKS[OF_PARAMS[call].network]
    with jax.enable_x64(True):
        params = network()
        expected = numbers(of(params))
    assert_close(numbers(of(params)), expected)


# ---- precision ----


@pytest.mark.parametrize(
    "call",
    ["predict",
     *(pytest.param(name, marks=pytest.mark.slow)
       for name in ("fit, dropout", "fit, levenberg_marquardt", "evaluate", "gradient_norms",
                    "trace", "gradient", "gradient, parallel"))],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_strict_promotion_holds_in_other_dtypes(call, dtype):
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("strict"):
        params = NETWORKS[OF_PARAMS[call].network]()
        params = jax.tree.map(lambda a: a.astype(dtype), params)
        for array in numbers(OF_PARAMS[call].of(params)):
            assert np.isfinite(array.astype(float)).all()


# ---- transfers ----


@pytest.mark.parametrize(
    "call",
    [pytest.param(name, marks=() if name == "predict" else pytest.mark.slow)
     for name in OF_PARAMS if name != "fit, every optimizer"],
)  # fmt: skip
def test_no_transfer_is_implicit(call, monkeypatch):
    """Programs of a network move nothing; what works on the host moves what it means to."""
    params = NETWORKS[OF_PARAMS[call].network]()
    for name in ("X", "Y", "EXAMPLE", "OTHER", "FEW", "TARGET"):
        monkeypatch.setattr(calls, name, jnp.asarray(getattr(calls, name)))
    of = jax.jit(OF_PARAMS[call].of) if OF_PARAMS[call].traceable else OF_PARAMS[call].of
    with jax.transfer_guard("disallow"):
        of(params)
