"""The scripts of the laboratory, small: their triangular system against JAX's gradients, and what they print."""

import importlib.util
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"


def load(name):
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trainability():
    return load("trainability")


@pytest.mark.parametrize("depth", [0, 1, 3, 5])
def test_back_substitution_written_out_is_gradient_descent(trainability, depth, x64):
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
        np.testing.assert_allclose(moved[name], p[name] - 0.3 * gradient, atol=1e-12, err_msg=name)


@pytest.mark.slow
def test_a_small_map(trainability, tmp_path, capsys, monkeypatch, as_a_user):
    monkeypatch.setattr(trainability.figures, "save", lambda figure, path: [path])
    arguments = ["--steps", "60", "--depths", "2", "5", "--points", "3", "--out", str(tmp_path)]
    assert trainability.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "6 networks in one program" in printed
    rows = [line.split("|")[1].split() for line in printed.splitlines() if line.strip().startswith(("2 |", "5 |"))]
    assert all(float(cell) > 50 for row in rows for cell in row)  # shallow ones learn
    assert next(line for line in printed.splitlines() if "6 ξ_c" in line).split()[-3:] == ["22", "71", "42"]


@pytest.mark.slow
def test_a_small_table_of_starts(capsys, as_a_user):
    initializers = load("initializers")
    assert initializers.main(["--depths", "2", "--steps", "20", "--seeds", "2", "--activations", "gelu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("gelu")] == list(initializers.STARTS["gelu"])


@pytest.mark.slow
def test_the_start_decides_at_depth_100():
    """As the table in scripts/bench_results says of 400 layers."""
    initializers = load("initializers")
    glorot, critical = (
        initializers.losses("tanh", init, False, 100, 500, 2) for init in ("glorot_uniform", "critical_orthogonal")
    )
    assert np.max(critical) < 0.002
    assert np.min(glorot) > 5 * np.max(critical)
