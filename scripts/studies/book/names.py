"""The public names of jnn, read from its contents pages, and how each is called.

Public is what a contents page (`__init__.py`) imports as itself, `from … import f as f`, and what a
module without one that is imported so defines under a name without underscore.
"""

import ast
import dataclasses
import importlib
import inspect
import textwrap
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ON_REQUEST = ("jnn.theory", "jnn.figures", "jnn.sklearn")  # `import jnn` leaves them out
# The order of chapters in the book; one that is missing here comes at the end.
ORDER = (
    "params", "building", "activations", "initializers", "triangular", "data", "losses",
    "penalties", "metrics", "optimizers", "training", "many", "files", "diagnostics",
)  # fmt: skip
_SHAPED = {"Bool", "Float", "Float32", "Real", "Shaped", "Int", "Num", "Inexact"}


class Public(NamedTuple):
    """A public name and the page of the reference that it stands on."""

    page: str  # "training", "theory.mean_field"
    name: str  # the shortest way to it, "jnn.fit"
    thing: Any
    others: tuple[str, ...]  # further ways to the same, "jnn.data.Stream"
    kind: str  # "function", "class" or "data"


@cache
def public() -> tuple[Public, ...]:
    """Every public function, class and table once, page by page."""
    found: dict[int, list[tuple[str, str, Any]]] = {}
    for module in _modules():
        for name, home in _exports(module).items():
            thing = vars(module)[name]
            if isinstance(thing, ModuleType):
                continue
            inner = module.__name__.removeprefix("jnn").lstrip(".")
            page = inner or home.split(".")[1]
            found.setdefault(id(thing), []).append((page, f"{module.__name__}.{name}", thing))
    rows = []
    for ways in found.values():
        ways.sort(key=lambda way: way[1].count("."))
        page, name, thing = ways[0]
        rows.append(Public(page, name, thing, tuple(w[1] for w in ways[1:]), _kind(thing)))
    return tuple(sorted(rows, key=lambda row: (_rank(row.page), row.name.lower())))


def _rank(page: str) -> tuple[int, str]:
    chapter = page.partition(".")[0]
    return (ORDER.index(chapter) if chapter in ORDER else len(ORDER), page)


def _kind(thing: Any) -> str:
    if inspect.isclass(thing):
        return "class"
    return "function" if inspect.isfunction(inspect.unwrap(thing)) else "data"


def _modules() -> list[ModuleType]:
    """jnn and its public modules, each once."""
    waiting = [importlib.import_module(name) for name in ("jnn", *ON_REQUEST)]
    done: list[ModuleType] = []
    while waiting:
        module = waiting.pop(0)
        if module in done:
            continue
        done.append(module)
        inside = [vars(module)[name] for name in _exports(module)]
        waiting += [thing for thing in inside if isinstance(thing, ModuleType)]
    return done


@cache
def _exports(module: ModuleType) -> dict[str, str]:
    """The public names of a module, and the module that each comes from."""
    path = Path(str(module.__file__))
    package = path.name == "__init__.py"
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and package:
            own = [alias.name for alias in node.names if alias.asname == alias.name]
            found |= dict.fromkeys(own, str(node.module))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = module.__name__
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and (package or target.id.isupper()):
                found[target.id] = module.__name__
    return {name: home for name, home in found.items() if not name.startswith("_")}


# ---- how it is called ----


class _Short(ast.NodeTransformer):
    """Annotations as a reader wants them: `Float[Array, "n"]` is `Array`."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """The array's type in place of type and shape."""
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id in _SHAPED:
            return node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node
        return node


def definition(thing: Any) -> Any:
    """The syntax tree of a function or class.

    Raises:
      TypeError: it has no source of its own.
    """
    source = inspect.getsource(inspect.unwrap(thing))
    return ast.parse(textwrap.dedent(source)).body[0]


def signature(thing: Any) -> str:
    """The arguments as the source writes them, without shapes.

    >>> import jnn
    >>> signature(jnn.layers)
    '(params: Params) -> list[tuple[Array, Array]]'
    """
    if inspect.isclass(thing):
        return _of_class(thing)
    node = _Short().visit(definition(thing))
    arguments: ast.arguments = node.args
    first = [*arguments.posonlyargs, *arguments.args][:1]
    if first and first[0].arg in ("self", "cls"):
        (arguments.posonlyargs or arguments.args).pop(0)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({ast.unparse(arguments)}){returns}"


def _of_class(thing: type) -> str:
    """What makes one; a record that is only ever a result has no arguments worth reading."""
    if "__init__" in vars(thing) and not dataclasses.is_dataclass(thing):
        return signature(vars(thing)["__init__"]).partition(" -> ")[0]
    if "Args:" not in (thing.__doc__ or ""):
        return ""
    shown = []
    for field in definition(thing).body:
        if isinstance(field, ast.AnnAssign) and not ast.unparse(field.target).startswith("_"):
            if isinstance(field.value, ast.Call):  # dataclasses.field(default=…)
                given = [k.value for k in field.value.keywords if k.arg == "default"]
                field.value = given[0] if given else None
            shown.append(ast.unparse(_Short().visit(field)))
    return f"({', '.join(shown)})"


class Field(NamedTuple):
    """A field of a record, and the comment beside it."""

    name: str
    annotation: str
    comment: str


def fields(thing: type) -> list[Field]:
    """The fields of a NamedTuple or dataclass with their comments, beside them or above.

    >>> from jnn.theory.mean_field import CriticalPoint
    >>> fields(CriticalPoint)[2]
    Field(name='q', annotation='float', comment='q* there')
    """
    lines = textwrap.dedent(inspect.getsource(thing)).splitlines()
    found = []
    for node in definition(thing).body:
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.target).startswith("_"):
            continue
        if "ClassVar" in ast.unparse(node.annotation):
            continue
        assert node.end_lineno
        # columns are counted in bytes
        beside = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
        above, at = [], node.lineno - 2
        while lines[at].strip().startswith("#"):
            above.insert(0, lines[at].strip().lstrip("# "))
            at -= 1
        comment = " ".join([*above, beside.strip().lstrip("# ")]).strip()
        annotation = ast.unparse(_Short().visit(node.annotation))
        found.append(Field(ast.unparse(node.target), annotation, comment))
    return found


def members(thing: type) -> list[tuple[str, str, Any]]:
    """(kind, name, function) of every public method and property that jnn itself defines."""
    found = []
    for name, value in inspect.getmembers_static(thing):
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        home = getattr(function, "__module__", "") or ""
        if name.startswith("_") or not inspect.isfunction(function) or not home.startswith("jnn"):
            continue
        kind = "method"
        if isinstance(value, property):
            kind = "property"
        elif isinstance(value, (classmethod, staticmethod)):
            kind = type(value).__name__
        found.append((kind, name, function))
    return found
