"""A fitted estimator as a sealed file: data alone, loaded without running any code of the file's.

The arrays are numbered; the text "estimator" says in JSON what is made of them. What is written as
anything but a number, a word, a list or a dictionary names its kind, one of a few.
"""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
from sklearn.preprocessing import LabelBinarizer

from jnn.checks import Thing, Tree, short
from jnn.files import sealed
from jnn.files.atomic import write_atomically
from jnn.sklearn.conversion import params_of
from jnn.sklearn.solvers import Numbers
from jnn.sklearn.stochastic import Optimizer
from jnn.sklearn.transformations import solver_of

Functions: TypeAlias = Mapping[str, Callable[..., Any]]

FORMAT, VERSION = "jnn.sklearn", "1"
# in place of which their leaves are kept: the estimator says what holds them
_TREES = ("_optimizer", "_best_params")


def save(path: str | os.PathLike[str], estimator: Thing, functions: Functions | None) -> None:
    """Write an estimator to a file, whole or not at all.

    Raises:
      TypeError: it holds what a file cannot.
      OSError, ValueError: as in `jnn.save`.
    """
    writer = _Writer(functions or {})
    content = writer.estimator(estimator)
    texts = {"format": FORMAT, "version": VERSION, "estimator": json.dumps(content)}
    write_atomically(path, sealed.seal(writer.arrays, texts))


def load(path: str | os.PathLike[str], kind: type, functions: Functions | None) -> Any:
    """The estimator of this class that `save` wrote.

    Raises:
      ValueError: the file is damaged, holds something else, or asks for a function that
        `functions` lacks.
      FileNotFoundError: there is none.
    """
    try:
        texts, arrays = sealed.unseal(sealed.read(Path(path)))
    except sealed.DamagedError as error:
        raise ValueError(f"{path} is not whole: {error}; save the estimator again") from error
    if (texts.get("format"), texts.get("version")) != (FORMAT, VERSION):
        found = f"{texts.get('format')}, version {texts.get('version')}"
        raise ValueError(
            f"{path} is of the format {short(found)}; estimators are read from {FORMAT}, version "
            f"{VERSION}: a network is read by jnn.load, and from_params makes it an estimator"
        )
    return _Reader(path, arrays, functions or {}).estimator(json.loads(texts["estimator"]), kind)


def _is_column(values: list[Thing]) -> bool:
    """Whether all are NumPy's numbers of one type, as the losses of epochs are."""
    return len({*map(type, values)}) == 1 and isinstance(values[0], np.number)


class _Writer:
    """Values as JSON; arrays stand beside it, by number."""

    def __init__(self, functions: Functions) -> None:
        self.functions = functions
        self.arrays: dict[str, np.ndarray] = {}

    def estimator(self, estimator: Thing) -> dict[str, Any]:
        parameters = estimator.get_params(deep=False)
        state = {
            name: value
            for name, value in vars(estimator).items()
            if name not in parameters and name not in _TREES and not name.startswith("_skl_")
        }
        kept = {
            "class": type(estimator).__name__,
            "parameters": self.plain(parameters),
            "state": self.plain(state),
        }
        optimizer = getattr(estimator, "_optimizer", None)
        if optimizer is not None:
            leaves = jax.tree.leaves(optimizer.moments)
            kept["optimizer"] = self.plain(optimizer._replace(moments=leaves)._asdict())
        best = getattr(estimator, "_best_params", None)
        if best is not None:
            kept["best"] = self.plain(jax.tree.leaves(best))
        return kept

    def plain(self, value: Thing) -> Any:
        """The value as JSON holds it; what JSON lacks is {kind: …}."""
        if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
            return value
        if callable(value) or hasattr(value, "init"):
            return {"function": self._name(value)}
        if isinstance(value, Numbers):
            return {"numbers": self.plain(tuple(value))}
        if isinstance(value, list) and _is_column(value):
            return self._array(np.array(value), "column")
        if isinstance(value, (list, tuple)):
            return {type(value).__name__: [self.plain(entry) for entry in value]}
        if isinstance(value, dict):
            return {"dict": [[self.plain(key), self.plain(entry)] for key, entry in value.items()]}
        if isinstance(value, LabelBinarizer):
            return {"labels": self.plain(vars(value))}
        if isinstance(value, np.random.RandomState):
            return {"random": self.plain(value.get_state(legacy=False))}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if hasattr(value, "get_params"):
            return {"estimator": self.estimator(value)}
        if isinstance(value, (np.ndarray, np.generic, jax.Array)):
            return self._array(np.asarray(value), "scalar" if np.ndim(value) == 0 else "array")
        raise TypeError(f"a file cannot hold {short(repr(value))}, a {type(value)}; pickle can")

    def _array(self, value: np.ndarray, kind: str) -> Any:
        if value.dtype.kind in "OUS":
            words = [self.plain(entry) for entry in value.ravel().tolist()]
            return {"words": [words, value.dtype.str, list(value.shape)]}
        name = str(len(self.arrays))
        self.arrays[name] = value
        return {kind: name}

    def _name(self, function: Thing) -> str:
        for name, known in self.functions.items():
            if known == function:
                return name
        called = getattr(function, "__name__", "f").strip("<>")
        raise TypeError(
            f"{short(repr(function))} is a function, and a file holds no code; give it a name, "
            f"functions={{{called!r}: {called}}}, in save and in load"
        )


_KINDS = ("numbers", "list", "column", "tuple", "dict", "labels", "random", "dtype", "estimator",
          "array", "scalar", "words", "function")  # fmt: skip


def _like(tree: Tree, leaves: Thing) -> Tree:
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


class _Reader:
    """The inverse of `_Writer`; it makes nothing but what is listed here."""

    def __init__(
        self, path: str | os.PathLike[str], arrays: dict[str, np.ndarray], functions: Functions
    ) -> None:
        self.path = path
        self.arrays = arrays
        self.functions = functions

    def estimator(self, kept: dict[str, Any], kind: type) -> Any:
        if kept["class"] != kind.__name__:
            raise ValueError(f"{self.path} holds a {short(kept['class'])}, not a {kind.__name__}")
        self.kind = kind
        found = kind(**self.value(kept["parameters"]))
        vars(found).update(self.value(kept["state"]))
        if "optimizer" in kept:
            self._trees(found, kept)
        return found

    def _trees(self, found: Thing, kept: dict[str, Any]) -> None:
        """What stands in `_TREES`, of the structure that the estimator's network has."""
        params = params_of(found.coefs_, found.intercepts_, found.activation)
        optimizer = Optimizer(**self.value(kept["optimizer"]))
        with jax.enable_x64(True):
            start = solver_of(optimizer.solver).start(params)
        found._optimizer = optimizer._replace(moments=_like(start, optimizer.moments))
        if "best" in kept:
            found._best_params = _like(params, self.value(kept["best"]))

    def value(self, plain: Thing) -> Any:
        if not isinstance(plain, dict):
            return plain
        [(kind, content)] = plain.items()
        if kind not in _KINDS:
            raise ValueError(f"{self.path} holds a {short(kind)}, which this jnn does not know")
        return getattr(self, f"_{kind}")(content)

    def _numbers(self, content: Thing) -> Numbers:
        return Numbers(*self.value(content))

    def _list(self, content: Thing) -> list[Any]:
        return [self.value(entry) for entry in content]

    def _column(self, content: str) -> list[Any]:
        return list(self.arrays[content])

    def _tuple(self, content: Thing) -> tuple[Any, ...]:
        return tuple(self._list(content))

    def _dict(self, content: Thing) -> dict[Any, Any]:
        return {self.value(key): self.value(entry) for key, entry in content}

    def _labels(self, content: Thing) -> LabelBinarizer:
        found = LabelBinarizer()
        vars(found).update(self.value(content))
        return found

    def _random(self, content: Thing) -> np.random.RandomState:
        found = np.random.RandomState()
        found.set_state(self.value(content))
        return found

    def _dtype(self, content: str) -> np.dtype:
        return np.dtype(content)

    def _estimator(self, content: Thing) -> Any:
        return self.estimator(content, self.kind)

    def _array(self, content: str) -> np.ndarray:
        return np.array(self.arrays[content])

    def _scalar(self, content: str) -> Any:
        return self.arrays[content][()]

    def _words(self, content: Thing) -> np.ndarray:
        return np.array(self._list(content[0]), dtype=content[1]).reshape(content[2])

    def _function(self, content: str) -> Any:
        if content not in self.functions:
            raise ValueError(
                f"{self.path} uses a function {short(repr(content))}; pass it, "
                f"load(path, functions={{{short(repr(content))}: …}})"
            )
        return self.functions[content]
