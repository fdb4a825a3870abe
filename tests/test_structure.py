"""The house: imports run strictly downward, the core is short, and importing jnn brings in little."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jnn

PACKAGE = Path(__file__).parent.parent / "jnn"
LEVELS = {
    "activations": 0,
    "classification": 0,
    "losses": 0,
    "figures": 0,
    "parallel": 0,
    "progress": 0,
    "sealed": 0,
    "second_order": 0,
    "stopping": 0,
    "theory.gaussian": 1,
    "theory.mean_field": 2,
    "initializers": 3,
    "optimizers": 4,
    "params": 4,
    "data": 5,
    "files": 5,
    "layout": 5,
    "penalties": 5,
    "results": 5,
    "substitution": 5,
    "checkpoints": 6,
    "choice": 6,
    "examples": 6,
    "fused": 6,
    "newton": 6,
    "any_layer": 7,
    "triangular": 7,
    "network": 8,
    "crosscheck": 9,
    "dropout": 9,
    "layer_sequential": 9,
    "least_squares": 9,
    "metrics": 9,
    "readout": 9,
    "diagnostics": 9,
    "theory": 9,
    "diagnose": 10,
    "program": 10,
    "streams": 11,
    "identity": 12,
    "session": 12,
    "training": 13,
}
TOP = 14  # __init__, the contents page, stands above all
CORE = ("params", "triangular", "network", "crosscheck")
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    """The name in LEVELS: a subpackage is one module, but for what has a level of its own."""
    return _known(list(file.relative_to(PACKAGE).with_suffix("").parts))


def _known(path: list[str]) -> str:
    return name if (name := ".".join(path[:2])) in LEVELS else path[0]


def imported(source: str) -> set[str]:
    """The modules of jnn that a source imports, wherever the import stands; `jnn` itself counts as `__init__`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            paths = [f"{node.module}.{alias.name}" for alias in node.names]  # from jnn import params
        else:
            continue
        for path in paths:
            first, _, rest = path.partition(".")
            if first == "jnn":
                names.add(_known(rest.split(".")) or "__init__")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_run_strictly_downward(file):
    module = module_of(file)
    if module == "__init__":
        return
    assert module in LEVELS, f"give {module} a level"
    for other in imported(file.read_text()) - {module}:
        assert LEVELS.get(other, TOP) < LEVELS[module], f"{module} imports {other}"


def test_the_reader_of_imports_sees_every_form():
    source = "import jnn\nimport jnn.params\nfrom jnn import losses\ndef f():\n    from jnn.network import forward\n"
    assert imported(source) == {"__init__", "params", "losses", "network"}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_file_grows_beyond_300_lines(file):
    assert len(file.read_text().splitlines()) <= 300


def test_the_core_reads_in_one_sitting():
    assert sum(len((PACKAGE / f"{name}.py").read_text().splitlines()) for name in CORE) <= 900


def test_importing_jnn_brings_in_neither_plotly_nor_sklearn_nor_tqdm():
    code = "import sys, jnn; print(sorted({'plotly', 'kaleido', 'sklearn', 'tqdm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"


def test_importing_jnn_leaves_jax_as_it_was():
    code = (
        "import jax; before = dict(jax.config.values); import jnn; "
        "print([k for k, v in before.items() if jax.config.values[k] != v])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_explained():
    assert sorted(jnn.__all__) == sorted(set(jnn.__all__))
    for name in jnn.__all__:
        thing = getattr(jnn, name)
        if callable(thing):
            assert thing.__doc__, name


def test_importing_jnn_loads_little_beside_jax_and_optax():
    """What is slow to load, plotly among others, waits until it is used; `scripts/bench fit` measures seconds."""
    code = "import sys, jax, optax; before = {*sys.modules}; import jnn; print(*{*sys.modules} - before)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    ).stdout
    loaded = {name.partition(".")[0] for name in printed.split()} - {*sys.stdlib_module_names}
    assert loaded <= {"jnn", "jax", "numpy", "jaxtyping", "safetensors"}
