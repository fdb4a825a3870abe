"""For every test and doctest: shapes checked at run time, and names that examples use."""

import jaxtyping

# The hook rewrites modules as they are imported, so it must stand before the first import of jnn.
jaxtyping.install_import_hook("jnn", "beartype.beartype")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import jnn  # noqa: E402


@pytest.fixture(autouse=True)
def _names_in_doctests(doctest_namespace: dict[str, object]) -> None:
    """A docstring's example need not import what every reader has at hand."""
    doctest_namespace.update(jax=jax, jnp=jnp, np=np, jnn=jnn)
