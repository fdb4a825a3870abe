"""Benchmarks: results are compared before anything is timed; compile and run are timed apart.

    scripts/bench                     every group
    scripts/bench lecture depth       these groups
    scripts/bench depth --quick       a few cells, to see that it works
    scripts/bench depth --cells 1000x8x32,10000x8x1
                                      these cells, depth × width × batch
    scripts/bench depth --save        also write the table to scripts/benchmarks/results
    scripts/bench --gpu               on a machine with a GPU: crossover, depth, fit and many, as
                                      far as less than eight minutes go; tables and pictures in out/
    scripts/bench --gpu --quick       a few cells of these, on any device, to see that it works

Contestants take turns, so that a slow moment of the machine falls on all of them. A row gives the
minimum and the median; ratios are of minima, which noise can only raise.
"""

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from studies import shared

from benchmarks import gpu
from benchmarks.depth.cells import parse_cells

RESULTS = Path(__file__).with_name("results")


class Group(NamedTuple):
    """A group of rows. Its module has a function `measure(quick, …)`, which prints them."""

    module: str
    needs: tuple[str, ...]  # dependency groups of pyproject.toml
    options: tuple[str, ...] = ()  # what else `measure` takes from the command line


GROUPS = {
    "lecture": Group("benchmarks.lecture", ("bench",)),
    "depth": Group("benchmarks.depth.table", ("peers",), ("cells", "seconds")),
    "activations": Group("benchmarks.activations", ()),
    "crossover": Group("benchmarks.crossover", (), ("out", "seconds")),
    "fit": Group("benchmarks.fit.table", ("peers",), ("seconds",)),
    "many": Group("benchmarks.many.table", ("peers",), ("seconds",)),
    "sweep": Group("benchmarks.many.sweep", ()),
    "cold": Group("benchmarks.cold", ("peers",)),
    "estimators": Group("benchmarks.estimators.table", ("examples",)),
    "cross_validation": Group("benchmarks.crossvalidation.table", ("examples",)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups asked for; the exit code."""
    options = parse(arguments)
    if options.needs:
        print(*(gpu.needed() if options.gpu else needed(options.groups)))
        return 0
    if options.gpu:
        if gpu.refused(options.quick):
            return 1
        whole = gpu.each(options.groups, options.quick, partial(_run, options))
        return 0 if whole else 1

    from benchmarks.timing import DisagreementError

    for name in options.groups:
        try:
            _run(options, name)
        except DisagreementError as error:
            sys.exit(f"{error}; nothing was timed")
    return 0


def _run(options: argparse.Namespace, name: str, seconds: float | None = None) -> None:
    """Run a group, in so many seconds if they are given, and keep its table where that is asked."""
    from benchmarks.timing import versions

    group = GROUPS[name]
    given = vars(options) | {"seconds": seconds}
    printed = io.StringIO()
    with contextlib.redirect_stdout(_Tee(sys.stdout, printed)):
        print(versions())
        if seconds is not None:
            print(f"{name}: at most {seconds:.0f} s; products of full precision")
        keywords = {option: given[option] for option in group.options if given[option] is not None}
        importlib.import_module(group.module).measure(options.quick, **keywords)
    if options.save or options.gpu:
        shared.write_table(name, printed.getvalue(), RESULTS if options.save else options.out)


def needed(groups: Sequence[str]) -> list[str]:
    """The dependency groups of pyproject.toml that these groups of rows need, each once.

    >>> needed(["fit", "depth"])
    ['peers']
    """
    return list(dict.fromkeys(need for name in groups for need in GROUPS[name].needs))


# ---- options ----


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; a bad one ends the program with one line and exit code 2."""
    parser = shared.Parser("bench", __doc__ or "", add_help=False)
    parser.add_argument("-h", "--help", action="store_true", help="show this and end")
    parser.add_argument(
        "groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; none means all"
    )
    parser.add_argument("--quick", action="store_true", help="a few cells only")
    parser.add_argument(
        "--gpu",
        action="store_true",
        help=f"{', '.join(gpu.SHARES)} on a GPU, in less than eight minutes; tables are written, "
        "too",
    )
    parser.add_argument(
        "--cells",
        type=parse_cells,
        default=[],
        help="of depth: depth×width×batch, as in 1000x8x32",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="of crossover and --gpu: where pictures and tables go (default out)",
    )
    parser.add_save("scripts/benchmarks/results")
    parser.add_argument(
        "--groups",
        dest="needs",
        action="store_true",
        help="only print the dependency groups of pyproject.toml that this needs",
    )
    options = parser.parse_args(arguments)
    if options.help:
        if not options.needs:  # for help, nothing need be installed
            parser.print_help()
        parser.exit()
    _check(parser, options)
    return options


def _check(parser: shared.Parser, options: argparse.Namespace) -> None:
    """Check the groups and what goes with one of them only, and fill in defaults."""
    for name in options.groups:
        if name not in GROUPS:
            parser.error(f"unknown group {name!r}; known: {', '.join(GROUPS)}")
        if options.gpu and name not in gpu.SHARES:
            parser.error(f"--gpu is for {', '.join(gpu.SHARES)}, not {name}")
    options.groups = options.groups or list(gpu.SHARES if options.gpu else GROUPS)
    if options.cells and "depth" not in options.groups:
        parser.error("--cells are those of the group depth: scripts/bench depth --cells …")
    if options.out and "crossover" not in options.groups and not options.gpu:
        parser.error("--out is for the pictures of crossover: scripts/bench crossover --out DIR")
    if ("crossover" in options.groups or options.gpu) and not options.needs:
        try:
            options.out = shared.directory(options.out or "out")
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --out: {error}")


class _Tee(io.TextIOBase):
    """Writes to two streams at once."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()


if __name__ == "__main__":
    shared.run("bench", main, keep_compiled=False)  # compilation is measured
