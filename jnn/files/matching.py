"""Whether a checkpoint is of the run that asks for it: the same settings, the same tree.

Both stand in the file as JSON: the settings as they were given, and path, dtype and shape of every
leaf.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np

from jnn.checks import Tree, short
from jnn.files.sealed import DamagedError

# Path, dtype and shape of a leaf. A list, as JSON gives it back.
Spec: TypeAlias = list[Any]

_TOLD = 5  # settings that differ
_WIDE = ("float64", "int64", "uint64")  # what JAX has under x64 only


def as_json(name: str, values: Mapping[str, Any]) -> str:
    """The values as JSON, NumPy's as Python's.

    Raises:
      TypeError: a value is not of JSON's kinds.

    >>> as_json("settings", {"rate": np.float32(0.5), "sizes": (2, 1)})
    '{"rate": 0.5, "sizes": [2, 1]}'
    """
    try:
        return json.dumps(dict(values), default=lambda value: value.tolist())
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be names and JSON values (numbers, strings, lists, dicts): {error}"
        ) from error


def specs(tree: Tree) -> list[Spec]:
    """Path, dtype and shape of every leaf, as they stand in a file.

    Raises:
      TypeError: a leaf is of 64 bits while x64 is off.

    >>> specs({"w": jnp.ones((2, 3))})
    [["['w']", 'float32', [2, 3]]]
    """
    result = []
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        a = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        result.append([jax.tree_util.keystr(path), a.dtype.name, list(a.shape)])
    if jax.config.read("jax_enable_x64"):
        return result
    for name, dtype, _ in result:
        if dtype in _WIDE:
            raise TypeError(
                f"leaf {name} is {dtype}, which JAX would cut while x64 is off; make it 32 bits "
                "wide"
            )
    return result


def check_same(texts: Mapping[str, str], like: list[Spec], settings: Mapping[str, Any]) -> None:
    """Refuse a file of other settings, or of another tree.

    Args:
      texts: of the file; "settings" and "leaves" are read.
      like: specs of the tree of the run that asks.
      settings: its settings, as they come back from JSON.
    Raises:
      DamagedError: the texts are not what `write` writes.
      ValueError: they differ; the message says in what, and names a remedy.

    >>> check_same({"settings": '{"batch_size": 32}', "leaves": "[]"}, [], {"batch_size": 50})
    Traceback (most recent call last):
      ...
    ValueError: batch_size was 32, is 50; give another directory, or the same settings
    """
    leaves, before = read_json(texts, "leaves", list), read_json(texts, "settings", dict)
    if not all(map(_is_spec, leaves)):
        raise DamagedError("damaged: its leaves are not paths, dtypes and shapes")
    wide = sorted({dtype for _, dtype, _ in leaves} & set(_WIDE))
    if wide and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"it holds {', '.join(wide)}, which JAX would cut while x64 is off; call "
            "jax.config.update('jax_enable_x64', True) first, or give another directory"
        )
    differences = _settings_that_differ(before, settings)
    if not differences:
        differences = _leaves_that_differ(leaves, like)
    if differences:
        told = "; ".join(differences[:_TOLD])
        if len(differences) > _TOLD:
            told += f"; and {len(differences) - _TOLD} more"
        raise ValueError(f"{told}; give another directory, or the same settings")


def read_json(texts: Mapping[str, str], name: str, kind: type) -> Any:
    """What a text of a file says, a list or a dict.

    Raises:
      DamagedError: the text is missing, no JSON, or of another kind.

    >>> read_json({"leaves": "[]"}, "leaves", dict)
    Traceback (most recent call last):
      ...
    jnn.files.sealed.DamagedError: damaged: its leaves are no dict of JSON
    """
    try:
        value = json.loads(texts[name])
    except (KeyError, ValueError, RecursionError):  # nested too deep, or a number too long
        value = None
    if not isinstance(value, kind):
        raise DamagedError(f"damaged: its {name} are no {kind.__name__} of JSON")
    return value


def _is_spec(value: Any) -> bool:
    """Whether it is [path, dtype, shape]."""
    kinds = [type(part) for part in value] if isinstance(value, list) else []
    return kinds == [str, str, list] and all(type(n) is int for n in value[2])


def _settings_that_differ(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    # As texts, because NaN is not equal to itself, and 1 is to True.
    old, new = (
        {name: json.dumps(value, sort_keys=True) for name, value in _each(settings)}
        for settings in (before, now)
    )
    return [
        f"{_short(name)} was {_short(old.get(name))}, is {_short(new.get(name))}"
        for name in old | new
        if old.get(name) != new.get(name)
    ]


def _each(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each setting by name; those of a record by the names of both."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from ((f"{name} {inner}", entry) for inner, entry in value.items())
        else:
            yield name, value


def _leaves_that_differ(before: list[Spec], now: list[Spec]) -> list[str]:
    """The first that differs, or their numbers if these do."""
    if len(before) != len(now):
        return [f"its state has {len(before)} arrays, this run's has {len(now)}"]
    for pair in zip(before, now, strict=True):
        if pair[0] != pair[1]:
            old, new = (short(" ".join(map(str, spec))) for spec in pair)
            return [f"an array of its state was {old}, is {new}"]
    return []


def _short(text: str | None) -> str:
    if text is None:
        return "absent"
    return text if len(text) <= 60 else f"{text[:40]} … {text[-15:]}"
