"""scripts/trainability, small: its triangular system against JAX's gradients; what it prints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import trainability


@pytest.mark.parametrize("depth", [0, 1, 3, 5])
def test_back_substitution_written_out_is_gradient_descent(depth, x64):
    p = trainability.start(jax.random.key(0), 1.7, (6, trainability.WIDTH, 5, 4))
    x = jax.random.normal(jax.random.key(1), (6, 7))
    y = jax.nn.one_hot(jnp.arange(7) % 4, 4).T

    def loss(p):
        x_l = jnp.tanh(p["first"] @ x + p["first_b"])
        for l in range(depth):
            x_l = jnp.tanh(p["w"][l] @ x_l + p["b"][l])
        logits = p["readout"] @ x_l + p["readout_b"]
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(logits, axis=0), 0))

    moved = jax.jit(trainability.step)(p, depth, x, y, 0.3)
    for name, gradient in jax.jit(jax.grad(loss))(p).items():
        expected = p[name] - 0.3 * gradient
        np.testing.assert_allclose(moved[name], expected, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_a_small_map(tmp_path, capsys, monkeypatch, as_a_user):
    monkeypatch.setattr(trainability.figures, "save", lambda figure, path: [path])
    arguments = ["--steps", "60", "--depths", "2", "5", "--points", "3", "--out", str(tmp_path)]
    assert trainability.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "6 networks in one program" in printed
    lines = printed.splitlines()
    rows = [line.split("|")[1].split() for line in lines if line.strip().startswith(("2 |", "5 |"))]
    assert all(float(cell) > 50 for row in rows for cell in row)  # shallow ones learn
    assert next(line for line in lines if "6 ξ_c" in line).split()[-3:] == ["22", "71", "42"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--steps", "-3"], "'-3' is not a number of steps: give a whole number from 1"),
        (["--depths", "0"], "'0' is not a depth: give a whole number from 1 to 10000"),
        (["--points", "0"], "'0' is not a number of points: give a whole number from 1 to 1000"),
        (["--seed", "-1"], "'-1' is not a seed"),
        (["--out", trainability.__file__], "trainability.py is a file, not a directory"),
        (["--record"], "unrecognized arguments: --record"),
    ],
)
def test_a_bad_value_gets_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        trainability.main(arguments)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == ""
    assert err.startswith("trainability: ")
    assert err.count("\n") == 1
    assert named in err
