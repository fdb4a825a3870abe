"""What measures asks for whole products, whatever the caller or an accelerator would take.

An accelerator rounds the factors of float32 products; a CPU does not, so that the programs are
read: every product in them must ask for the highest precision.
"""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from surroundings.calls import OF_PARAMS, Call, X, Y

import jnn
from jnn.data.rows import Rows
from jnn.diagnostics.watch import watch_layers

PRODUCT = re.compile(r"stablehlo\.dot_general.*")
MEASURING = {
    "crosscheck": OF_PARAMS["crosscheck"],
    "watch": Call(
        "plain",
        lambda p: watch_layers(
            tuple(jnn.diagnostics.WATCHES), p, Rows(jnp.asarray(X), jnp.asarray(Y), None), "mse"
        ),
    ),
    **{
        name: call
        for name, call in OF_PARAMS.items()
        if name == "diagnose" or hasattr(jnn.diagnostics, name)
    },
}
WITHOUT_PRODUCTS = {"variances"}


def products(folder: Path, call: Call) -> list[str]:
    """Every product of the programs that a call compiles, as they are handed to the compiler."""
    readout = 1 if call.network in ("plain", "residual") else 3
    sizes = [2, 40, 40, 3, 3, readout]  # products up to width 32 are written out as sums
    params = jnn.init_network_params(sizes, jax.random.key(0))
    jax.clear_caches()
    before = jax.config.values["jax_dump_ir_to"]
    jax.config.update("jax_dump_ir_to", str(folder))
    try:
        call.of(params)
    finally:
        jax.config.update("jax_dump_ir_to", before)
    return [line for file in folder.glob("*.mlir") for line in PRODUCT.findall(file.read_text())]


def test_every_public_measurement_is_in_the_table():
    functions = {name for name, f in vars(jnn.diagnostics).items() if callable(f)}
    records = {name for name in functions if isinstance(getattr(jnn.diagnostics, name), type)}
    assert functions - records <= set(MEASURING)


@pytest.mark.table
@pytest.mark.parametrize("name", MEASURING)
def test_what_measures_asks_for_whole_products(name, tmp_path):
    with jax.default_matmul_precision("bfloat16"):
        found = products(tmp_path, MEASURING[name])
    assert bool(found) == (name not in WITHOUT_PRODUCTS)
    assert [line for line in found if "precision = [HIGHEST, HIGHEST]" not in line] == []


def test_what_a_network_computes_is_left_to_the_caller(tmp_path):
    found = products(tmp_path, OF_PARAMS["predict"])
    assert found
    assert not any("HIGHEST" in line for line in found)
