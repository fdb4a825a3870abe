"""The house: chapters in order, no circle, files and functions of a size to be read, few loopholes.

CONTRIBUTING.md explains the laws that are tested here.
"""

import ast
import dataclasses
import inspect
import subprocess
import sys
import tokenize
import unicodedata
from functools import cache
from pathlib import Path

import pytest

import jnn
from jnn.training import Plan

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jnn"
TESTS = ROOT / "tests"

# One row a chapter, from the ground up; a chapter imports chapters of lower floors only.
CHAPTERS = {
    "checks": 0,  # what is accepted, and the sentence that refuses the rest
    "callers": 0,  # warnings in the name of whoever called
    "interrupts": 0,  # Ctrl-C, kept until it can be acted on
    "precision": 1,  # the dtype that sums are taken in
    "transfers": 1,  # between host and device, that are meant
    "equality": 0,  # of records that hold arrays
    "arrays": 1,  # data as people hold them, and the sentence that refuses the rest
    "memory": 0,  # what the machine can hold
    "shapes": 0,  # in annotations
    "meshes": 0,  # that arrays lie on, with their layout in their types
    "padding": 0,  # of rows to lengths that programs share
    "draws": 1,  # random numbers for many layers at once
    "distributions": 2,  # of weights
    "activations": 1,  # h and h', by name
    "outputs": 2,  # what a readout may apply
    "theory": 2,  # what the literature predicts from activation and shape alone
    # "distributed": 2  devices and processes: the place is kept
    "losses": 3,  # ℓ(ŷ, y), by name
    "initializers": 3,  # how weights start
    "params": 3,  # what a network is
    "structure": 4,  # whether it is one network
    "targets": 4,  # what goes with a loss
    "building": 4,  # how one is made
    "penalties": 4,  # Ω(p), by name
    "optimizers": 4,  # updates of a network's layers, by name
    "metrics": 5,  # measures of predictions, by name
    "files": 5,  # what is kept
    "triangular": 5,  # what a network computes
    "figures": 6,  # pictures from plain arrays
    "data": 6,  # rows before they are trained on
    "diagnostics": 7,  # what can be measured in a network
    "training": 8,  # from parameters and data to better parameters
    "many": 9,  # of many networks at once
    "sklearn": 10,  # the same as scikit-learn's estimators
}
TOP = 11  # __init__, the contents page, stands above all

CORE = (
    "params",
    "activations",
    *(f"triangular/{name}" for name in ("network", "rule", "dense", "substitution", "loops")),
)
# tests of a chapter against another: networks of jnn against its theory
ESTIMATORS = ("checks", "same_numbers", "compilations", "behaviour")  # against scikit-learn's
ACROSS = {"theory.predictions", *(f"sklearn.{name}" for name in ESTIMATORS)}
FILES = sorted(PACKAGE.rglob("*.py"))
PARSED = sorted([*FILES, *(ROOT / "scripts").rglob("*.py")])


def module_of(file: Path) -> str:
    """The dotted name below jnn, "" for jnn/__init__.py itself."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file) for file in FILES}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imported(tree: ast.AST) -> set[str]:
    """The modules of jnn that are imported, wherever the import stands; "" is jnn itself."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for path in paths:
            package, _, inner = path.partition(".")
            if package != "jnn":
                continue
            while inner and inner not in MODULES:
                inner = inner.rpartition(".")[0]
            names.add(inner)
    return names


# ---- order ----


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_chapter_imports_lower_chapters_only(file):
    chapter = module_of(file).partition(".")[0]
    if not chapter:
        return
    assert chapter in CHAPTERS, f"give {chapter} a row"
    for module in imported(tree_of(file)):
        other = module.partition(".")[0]
        if other != chapter:
            assert CHAPTERS.get(other, TOP) < CHAPTERS[chapter], f"{chapter} imports {module}"


def test_there_is_no_circle_of_files():
    graph = {module_of(file): imported(tree_of(file)) for file in FILES}
    done: set[str] = set()

    def visit(module, path):
        assert module not in path, " → ".join([*path, module])
        if module in done:
            return
        for other in graph[module]:
            visit(other, [*path, module])
        done.add(module)

    for module in graph:
        visit(module, [])


def test_the_reader_of_imports_sees_every_form():
    source = (
        "import jnn\nimport jnn.params\nfrom jnn import losses\nfrom jnn.files.atomic import x\n"
        "from jnn.triangular import loops, forward\ndef f():\n    from jnn.data import rows\n"
    )
    expected = {"", "params", "losses", "files.atomic", "triangular.loops", "triangular"}
    assert imported(ast.parse(source)) == expected | {"data.rows"}


def test_every_chapter_says_what_it_is_for():
    for file in FILES:
        assert ast.get_docstring(tree_of(file)), file


def test_no_module_is_named_like_what_it_exports():
    for file in FILES:
        defined = {node.name for node in tree_of(file).body if hasattr(node, "name")}
        assert file.stem not in defined, file


def test_tests_are_the_same_tree():
    """Every test file in a chapter's folder is named after a module of that chapter."""
    for file in TESTS.rglob("test_*.py"):
        folder = file.relative_to(TESTS).parts[0]
        if not (PACKAGE / folder).is_dir():
            continue
        name = ".".join(file.relative_to(TESTS).with_suffix("").parts).replace("test_", "")
        assert name in MODULES or name in ACROSS, file


# ---- size ----


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_file_is_of_a_size_to_be_read(file):
    """At most 150 statements, 12,000 characters, and 60 lines a function without its docstring."""
    tree = tree_of(file)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    docstrings = [node for node in statements if is_docstring(node)]
    assert len(statements) - len(docstrings) <= 150
    assert len(file.read_text()) <= 12_000
    for node in statements:
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            length = node.end_lineno - node.lineno + 1
            if is_docstring(first):
                length -= first.end_lineno - first.lineno + 1
            assert length <= 60, node.name


def is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def test_the_core_reads_in_one_sitting():
    lines = [len((PACKAGE / f"{name}.py").read_text().splitlines()) for name in CORE]
    assert sum(lines) <= 1_000, lines


@pytest.mark.parametrize("file", PARSED, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_conditional_expression_stands_in_another(file):
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.IfExp):
            inside = (n for part in ast.iter_child_nodes(node) for n in ast.walk(part))
            assert not any(isinstance(n, ast.IfExp) for n in inside), f"line {node.lineno}"


def test_few_arguments_are_anything():
    """`Any` is for what JAX cannot say more of: at most 10% of the annotated arguments."""
    annotations = []
    for file in FILES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.FunctionDef):
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                every += [arg for arg in (node.args.vararg, node.args.kwarg) if arg]
                annotations += [arg.annotation for arg in every if arg.annotation]
    anything = [a for a in annotations if any(getattr(n, "id", "") == "Any" for n in ast.walk(a))]
    assert len(anything) <= 0.1 * len(annotations), f"{len(anything)} of {len(annotations)}"


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_names_outside_of_functions_are_words(file):
    """Greek letters are for the inside of functions; sub- and superscripts are for prose alone."""
    names = []
    outside = [*tree_of(file).body]
    for node in tree_of(file).body:
        if isinstance(node, ast.ClassDef):
            outside += node.body
    for node in outside:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.append(node.name)
        if isinstance(node, ast.AnnAssign):
            names.append(ast.unparse(node.target))
        if isinstance(node, ast.FunctionDef):
            names += [arg.arg for arg in [*node.args.args, *node.args.kwonlyargs]]
    assert [name for name in names if not name.isascii()] == []


@pytest.mark.parametrize("file", PARSED, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_name_has_sub_or_superscripts(file):
    """Python reads `dzₗ` as `dzl`: a search for either misses the other."""
    with file.open("rb") as lines:
        names = {token.string for token in tokenize.tokenize(lines.readline)
                 if token.type == tokenize.NAME}  # fmt: skip
    assert [name for name in names if unicodedata.normalize("NFKC", name) != name] == []


# ---- options ----


def test_fit_has_few_parameters_and_a_plan_has_them_all():
    parameters = inspect.signature(jnn.fit).parameters
    assert len(parameters) <= 23
    options = {name: p.default for name, p in parameters.items()}
    of_call = {"params", "data", "validation"}  # what it trains, and on what
    fields = {field.name: field.default for field in dataclasses.fields(Plan)}
    assert options.keys() - of_call - {"backprop"} == fields.keys() - {"method"}
    for name in fields.keys() - {"method"}:
        assert options[name] == fields[name], name
    assert options["backprop"] == fields["method"].backprop


@pytest.mark.parametrize(
    ("call", "old", "new"),
    [
        (lambda **old: jnn.forward((), 0, **old), "forward", "states="),
        (lambda **old: jnn.predict((), 0, **old), "forward", "states="),
        (lambda **old: jnn.hidden_states((), 0, **old), "forward", "states="),
        (lambda **old: jnn.forward((), 0, **old), "checkpoint_every", "recompute_every="),
        (lambda **old: jnn.predict((), 0, **old), "checkpoint_every", "recompute_every="),
        (lambda **old: jnn.deep(None, **old), "states", "all_states="),
        *(
            (lambda **old: jnn.fit((), 0, **old), old, new)
            for old, new in {
                "forward": "backprop=jnn.Method(states=…)",
                "states": "backprop=jnn.Method(states=…)",
                "checkpoint_every": "backprop=jnn.Method(recompute_every=…)",
                "compute_dtype": "backprop=jnn.Method(dtype=…)",
                "callback": "progress=",
                "label_smoothing": "jnn.losses.smoothed",
                "class_weight": "jnn.data.class_weights",
                "steps_per_epoch": "jnn.Stream",
                "target": "stop=jnn.Stop(target=…)",
                "tolerance": "stop=jnn.Stop(tolerance=…)",
                "seconds": "stop=jnn.Stop(seconds=…)",
                "min_improvement": "stop=jnn.Stop(min_improvement=…)",
            }.items()
        ),
    ],
)
def test_a_renamed_keyword_is_told_its_new_name(call, old, new):
    with pytest.raises(TypeError) as raised:
        call(**{old: 1})
    assert f"no longer takes {old}=; write " in str(raised.value)
    assert new in str(raised.value)


# ---- what importing jnn does ----


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_importing_jnn_loads_little_beside_jax_and_optax():
    """What is slow to load waits until it is used; `scripts/bench fit` measures the seconds."""
    loaded = printed(
        "import sys, jax, optax; before = {*sys.modules}; import jnn; "
        "print(*{*sys.modules} - before)"
    )
    packages = {name.partition(".")[0] for name in loaded.split()} - {*sys.stdlib_module_names}
    assert packages <= {"jnn", "jax", "numpy", "jaxtyping", "safetensors"}


def test_importing_jnn_leaves_jax_as_it_was():
    changed = printed(
        "import jax; before = dict(jax.config.values); import jnn; "
        "print([k for k, v in before.items() if jax.config.values[k] != v])"
    )
    assert changed.strip() == "[]"


def test_every_public_name_is_explained():
    public = [name for name in vars(jnn) if not name.startswith("_")]
    assert len(public) > 40
    for name in public:
        thing = getattr(jnn, name)
        if callable(thing):
            assert thing.__doc__, name


def test_the_version_stands_in_one_place():
    version = jnn.__version__
    told = [
        file.name
        for file in [*FILES, ROOT / "CITATION.cff", ROOT / "README.md", ROOT / "pyproject.toml"]
        if f'"{version}"' in file.read_text() or f"version: {version}" in file.read_text()
    ]
    assert told == ["pyproject.toml"]
