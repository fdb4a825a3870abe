"""Stacks built by hand: every function that takes parameters refuses what is no network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jnn
from jnn.structure import as_arrays, check_params

X = np.ones((4, 3), np.float32)
Y = np.ones((4, 2), np.float32)


def ones(*shape, dtype=jnp.float32):
    return jnp.ones(shape, dtype)


def stack(w=(1, 2, 3), b=(1, 2), activation="tanh", residual=False, dtype=jnp.float32):
    return jnn.Stack(ones(*w, dtype=dtype), ones(*b, dtype=dtype), activation, residual)


def changed(**fields):
    """A square stack with fields of any kind, past the checks of types that the tests have on."""
    made = stack((1, 3, 3), (1, 3))
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


SQUARE = stack((1, 3, 3), (1, 3))
READOUT = stack(activation="identity")

# what is refused: (parameters, kind of error, what the message says)
NO_NETWORK = {
    "a list": ([READOUT], TypeError, "must be a tuple of stacks"),
    "b one short": ((stack(b=(1, 1)),), ValueError, r"stack 0 has w \(1, 2, 3\) and b \(1, 1\)"),
    "b without depth": ((stack(b=(2,)),), ValueError, "expected w .* and b"),
    "b deeper": ((stack(b=(3, 2)),), ValueError, "stack 0 has w .* and b"),
    "b transposed": ((SQUARE, stack(b=(2, 1))), ValueError, "stack 1 has w .* and b"),
    "w of one layer": ((stack((2, 3), (2,)),), ValueError, r"stack 0 has w \(2, 3\)"),
    "an ensemble": (
        (stack((5, 1, 2, 3), (5, 1, 2)),),
        ValueError,
        "go to fit_many, or under jax.vmap",
    ),
    "no depth": ((stack((0, 3, 3), (0, 3)), READOUT), ValueError, "stack 0 .* at least 1"),
    "no width": ((stack((1, 0, 3), (1, 0)),), ValueError, "stack 0 .* at least 1"),
    "deep, not square": ((stack((2, 2, 3), (2, 2)),), ValueError, "takes 3 values and gives 2"),
    "residual, not square": ((stack(residual=True),), ValueError, "takes 3 values and gives 2"),
    "no chain": ((READOUT, READOUT), ValueError, "stack 0 gives 2 values, stack 1 takes 3"),
    "integers": ((stack(dtype=int),), TypeError, "stack 0 holds int32; .* floats?|be of float16"),
    "booleans": ((stack(dtype=bool),), TypeError, "stack 0 holds bool"),
    "complex": ((SQUARE, stack(dtype=complex)), TypeError, "stack 1 holds complex64"),
    "8 bits": ((stack(dtype=jnp.float8_e4m3fn),), TypeError, "stack 0 holds float8_e4m3fn"),
    "byte order": (
        (jnn.Stack(np.ones((1, 2, 3), ">f4"), np.ones((1, 2), ">f4")),),
        TypeError,
        "stack 0 holds >f4",
    ),
    "objects": (
        (jnn.Stack(np.ones((1, 2, 3), object), np.ones((1, 2), object)),),
        TypeError,
        "stack 0 holds object",
    ),
    "masked": (
        (jnn.Stack(np.ma.ones((1, 2, 3), "f4"), np.ones((1, 2), "f4")),),
        TypeError,
        "stack 0 holds a numpy.ma.MaskedArray",
    ),
    "lists": ((jnn.Stack([[[1.0] * 3] * 2], [[1.0] * 2]),), TypeError, "of type list .* lists"),
    "nothing": ((jnn.Stack(None, None),), TypeError, "NoneType"),
    "shapes": (
        (jax.eval_shape(lambda: READOUT),),
        TypeError,
        "holds a jax.*ShapeDtypeStruct",
    ),
    "dtypes of w and b": (
        (jnn.Stack(ones(1, 2, 3), ones(1, 2, dtype=jnp.bfloat16)),),
        ValueError,
        "stack 0 has w of float32 and b of bfloat16; all must be of one",
    ),
    "dtypes of stacks": (
        (SQUARE, stack(dtype=jnp.float16)),
        ValueError,
        "stack 0 is of float32 and stack 1 of float16; all must be of one",
    ),
    "activation unknown": ((stack(activation="tanhh"),), ValueError, "unknown activation 'tanhh'"),
    "activation of no kind": ((changed(activation=3),), TypeError, "activation of stack 0 is 3"),
    "activations": ((changed(activation=["tanh"]),), TypeError, "activation of stack 0"),
    "activation that mixes": (
        (stack(activation=jax.nn.softmax),),
        ValueError,
        "must act on each entry by itself",
    ),
    "softmax inside": (
        (stack((1, 3, 3), (1, 3), "softmax"), READOUT),
        ValueError,
        "stack 0 .* mixes entries",
    ),
    "softmax and its input": (  # softmax(z + x), or softmax(z) + x?
        (stack((1, 3, 3), (1, 3), "softmax", residual=True),),
        ValueError,
        "stack 0 .* mixes entries",
    ),
    "residual of no kind": ((changed(residual=1),), TypeError, "residual of stack"),
}

TAKES_PARAMS = {
    "predict": lambda p: jnn.predict(p, X),
    "forward": lambda p: jnn.forward(p, X[0]),
    "hidden_states": lambda p: jnn.hidden_states(p, X[0]),
    "forward_pass": lambda p: jnn.forward_pass(p, X[0]),
    "linear_system": lambda p: jnn.linear_system(p, X[0]),
    "solve_states": lambda p: jnn.solve_states(p, X),
    "crosscheck": lambda p: jnn.crosscheck(p, X[0], Y[0]),
    "fit": lambda p: jnn.fit(p, (X, Y), epochs=1),
    "evaluate": lambda p: jnn.evaluate(p, (X, Y), "mse"),
    "solve_readout": lambda p: jnn.solve_readout(p, (X, Y)),
    "lsuv": lambda p: jnn.lsuv(p, X),
    "diagnose": lambda p: jnn.diagnose(p, X, Y),
    "statistics": lambda p: jnn.diagnostics.statistics(p, X),
    "variances": lambda p: jnn.diagnostics.variances(p),
    "correlations": lambda p: jnn.diagnostics.correlations(p, X[0], X[1]),
    "gradient_norms": lambda p: jnn.diagnostics.gradient_norms(p, X, Y),
    "output_norms": lambda p: jnn.diagnostics.output_norms(p, X),
    "lyapunov_exponents": lambda p: jnn.diagnostics.lyapunov_exponents(p, X[0]),
    "top_eigenvalues": lambda p: jnn.diagnostics.top_eigenvalues(p, X, Y),
    "empirical_ntk": lambda p: jnn.diagnostics.empirical_ntk(p, X),
    "save": lambda p: jnn.save("nowhere/net", p),
    "probabilities": lambda p: jnn.probabilities(p, X),
    "jit": lambda p: jax.jit(lambda x: jnn.predict(p, x))(X),
}


@pytest.mark.parametrize("case", NO_NETWORK)
def test_what_is_no_network_is_refused(case, as_a_user):
    params, error, message = NO_NETWORK[case]
    with pytest.raises(error, match=message) as raised:
        check_params(params)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("case", ["b one short", "deep, not square", "integers", "an ensemble"])
@pytest.mark.parametrize("call", TAKES_PARAMS)
def test_every_function_of_a_network_refuses_it(call, case, as_a_user):
    if (call, case) == ("save", "an ensemble"):
        pytest.skip("stacked networks are kept as they are")
    params, error, message = NO_NETWORK[case]
    with pytest.raises(error, match=message):
        TAKES_PARAMS[call](params)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_floating_types_are_taken_and_read_only_or_mapped_memory(dtype, tmp_path, x64):
    w, b = (np.ones(shape, jnp.dtype(dtype)) for shape in ((1, 2, 3), (1, 2)))
    w.flags.writeable = False
    params = (
        jnn.Stack(
            w,
            b,
        ),
    )
    assert check_params(params) == (3, 2)
    assert as_arrays(params)[0].w.dtype == dtype
    mapped = np.memmap(tmp_path / "w", np.float32, "w+", shape=(1, 2, 3))
    assert check_params((jnn.Stack(mapped, np.ones((1, 2), np.float32)),)) == (3, 2)


def test_the_remedies_work():
    mixed = (jnn.Stack(ones(1, 2, 3), ones(1, 2, dtype=jnp.bfloat16)),)
    assert check_params(jax.tree.map(lambda a: jnp.asarray(a, float), mixed)) == (3, 2)
    integers = stack(dtype=int)
    made = jnn.Stack(integers.w.astype(float), integers.b.astype(float))
    assert jnn.predict((made,), X).shape == (4, 2)
    many = (stack((5, 1, 2, 3), (5, 1, 2)),)
    assert jax.vmap(jnn.predict, (0, None))(many, X).shape == (5, 4, 2)


def test_numpy_float64_goes_with_float32_where_x64_is_off():
    params = (jnn.Stack(ones(1, 2, 3), np.zeros((1, 2))),)
    assert jnn.predict(params, X).dtype == jnp.float32
    with jax.enable_x64(True), pytest.raises(ValueError, match="w of float32 and b of float64"):
        check_params(params)


def test_an_activation_of_traced_numbers_is_taken():
    """Whether it acts on entries alone cannot be seen then."""

    def output(slope):
        return jnn.predict((stack(activation=lambda z: slope * z),), X)

    np.testing.assert_allclose(jax.jit(output)(2.0), 8.0)


def test_deep_networks_are_looked_at_once():
    params = (stack((10_000, 3, 3), (10_000, 3)), READOUT)
    assert check_params(params) == (3,) * 10_001 + (2,)
    assert check_params(params) is check_params(params)
