"""Many networks on one data set: every value of a sweep with every seed, by `jnn.fit_many`.

scripts/many logarithm --hidden 16 16 --seeds 8 --learning-rate 0.001 0.01
scripts/many rows.csv --loss cross_entropy --l2 0 0.0001 --validation 0.2 --patience 20

It prints a summary and writes, into the folder --out, members.csv with a row for each network, and
best.safetensors, the network of the least loss (of validation, where there is one): jnn.load.

data is one of line, logarithm, ripple, ten_features; or a file: .npz with x (n, n_0), y (n, n_N) or
labels (n,), and weights (n,) if there are any; or .csv of numbers, a line of names first or not,
whose last column is y (--targets of them).

With --processes finished slices are kept in the folder: the same command, after a crash or the end
of a job's time, runs only what is missing. On a cluster with SLURM, sixteen cores of one machine:

  #SBATCH --ntasks=1 --cpus-per-task=16 --requeue
  srun scripts/many rows.npz --seeds 1000 --processes 16 --out results

and, with mpi4py in the environment, 128 cores of any machines, the first of which hands out work:

  #SBATCH --ntasks=129 --cpus-per-task=1 --requeue
  export PYTHONPATH=scripts
  srun .venv/bin/python -m mpi4py.futures -m studies.many rows.npz --seeds 1000 --mpi --out results
"""

import argparse
import contextlib
import csv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jnn
from jnn import data
from studies import shared

SWEPT = ("learning-rate", "l2", "dropout-rate")
LABELS = ("cross_entropy", "log_loss")
PROBLEMS = {
    "line": lambda: data.line(),
    "logarithm": lambda: data.logarithm(),
    "ripple": lambda: data.ripple(jax.random.key(0)),
    "ten_features": lambda: data.ten_features(jax.random.key(0)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write; the exit code."""
    parser, options = parse(arguments)
    try:
        rows = read_rows(options.data, options.targets, options.loss in LABELS)
        fits, columns = train(rows, options)
    except (ImportError, OSError, TypeError, ValueError, RuntimeError) as error:
        parser.error(str(error))
    print(fits)
    table, network = options.out / "members.csv", options.out / "best.safetensors"
    write_table(columns | fits.table(), table)
    if (fits.stopped == "diverged").all():
        print(f"written: {table}; all networks diverged, none of them is kept")
        return 1
    jnn.save(network, fits.best("validation_loss" if options.validation else "loss").params)
    print(f"written: {table}, {network}")
    return 0


def parse(arguments: Sequence[str] | None) -> tuple[shared.Parser, argparse.Namespace]:
    """The options, of which several values are a sweep; a bad one ends the program."""
    parser = shared.Parser("many", __doc__ or "")
    whole = shared.whole
    parser.add_argument("data", help=f"a file .npz or .csv, or {', '.join(PROBLEMS)}")
    add = parser.add_argument_group("networks").add_argument
    width = whole("width", 1, 100_000)
    add("--hidden", nargs="*", type=width, default=[16, 16], metavar="N", help="(default 16 16)")
    add("--activation", choices=jnn.ACTIVATIONS, default="tanh", help="(default tanh)")
    add("--seeds", type=whole("number of seeds", 1, 10**6), default=8, metavar="N",
        help="networks for each value of the sweep (default 8)")  # fmt: skip
    add = parser.add_argument_group("a sweep, of every value with every other").add_argument
    for name in SWEPT:
        add(f"--{name}", nargs="+", type=float, metavar="X")
    add = parser.add_argument_group("training, as jnn.fit").add_argument
    add("--loss", choices=jnn.LOSSES, default="mse", help="(default mse)")
    add("--optimizer", choices=jnn.OPTIMIZERS, default="adam", help="(default adam)")
    add("--epochs", type=whole("number of epochs", 1, 10**9), default=100, metavar="N")
    add("--batch-size", type=whole("batch size", 1, 10**9), metavar="N")
    add("--validation", type=float, metavar="X", help="a fraction of the rows")
    add("--patience", type=whole("patience", 1, 10**9), metavar="N")
    add("--metrics", nargs="+", choices=jnn.METRICS, default=(), metavar="NAME")
    add = parser.add_argument_group("where").add_argument
    add("--targets", type=whole("number of targets", 1, 10**4), default=1, metavar="N",
        help="columns of a .csv that are y (default 1)")  # fmt: skip
    add("--processes", type=whole("number of processes", 1, 4096), metavar="N",
        help="(default: the cores of this one process)")  # fmt: skip
    add("--mpi", action="store_true", help="the processes of mpi4py.futures")
    parser.add_out("where the table and the best network go (default out)")
    return parser, parser.parse_args(arguments)


# ---- data ----


def read_rows(source: str, targets: int, labels: bool) -> tuple[np.ndarray, ...]:
    """x, y and weights if there are any; y are labels (n,) or rows (n, n_N)."""
    if source in PROBLEMS:
        return PROBLEMS[source]()
    path = Path(source)
    if path.suffix == ".npz":
        with np.load(path) as file:
            lacking = [name for name in "xy" if name not in file]
            if lacking:
                raise ValueError(f"{path} holds {', '.join(file)}; it must hold x and y")
            x, y, *weights = (file[name] for name in ("x", "y", "weights") if name in file)
    elif path.suffix == ".csv":
        with path.open() as file:
            names = int(not _are_numbers(file.readline()))
        table = np.loadtxt(path, delimiter=",", skiprows=names, ndmin=2)
        x, y, weights = table[:, :-targets], table[:, -targets:], []
    else:
        raise ValueError(f"data is {source!r}; it must be .npz, .csv, or {', '.join(PROBLEMS)}")
    if labels and y.size == len(y):
        y = y.reshape(-1)
        if (y == y.astype(int)).all():
            y = y.astype(int)
    elif y.ndim == 1:
        y = y[:, None]
    return x, y, *weights


def _are_numbers(line: str) -> bool:
    try:
        [float(entry) for entry in line.split(",")]
    except ValueError:
        return False
    return True


# ---- training ----


def train(rows: tuple[np.ndarray, ...], options: argparse.Namespace) -> tuple[jnn.Fits, Any]:
    """All networks, and the columns of what each of them is."""
    x, y, *_ = rows
    outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    sizes = [x.shape[1], *options.hidden, outputs]
    design = {name: getattr(options, name.replace("-", "_")) or [None] for name in SWEPT}
    *swept, seeds = map(
        np.array, zip(*product(*design.values(), range(options.seeds)), strict=True)
    )
    given = {name: c for name, c in zip(SWEPT, swept, strict=True) if design[name] != [None]}
    told: dict[str, Any] = {name.replace("-", "_"): c for name, c in given.items() if name != "l2"}
    if "l2" in given:
        told["penalty"] = jnn.penalties.l2(given["l2"])
    keys = jax.vmap(jax.random.key)(seeds)
    members = jax.vmap(
        lambda key: jnn.init_network_params(sizes, key, activation=options.activation)
    )(keys)
    for name in ("loss", "optimizer", "epochs", "batch_size", "validation", "patience", "metrics"):
        told[name] = getattr(options, name)
    with _executor(options) as executor:
        if executor:
            told |= {"executor": executor, "checkpoint": options.out / "slices"}
        return jnn.fit_many(members, rows, key=keys, **told), {"seed": seeds}


def _executor(options: argparse.Namespace) -> Any:
    if options.mpi:
        from mpi4py.futures import MPIPoolExecutor  # pyright: ignore[reportMissingImports]

        return MPIPoolExecutor()
    if options.processes:
        return ProcessPoolExecutor(options.processes, get_context("spawn"))
    return contextlib.nullcontext()


def write_table(columns: dict[str, np.ndarray], path: Path) -> None:
    """A row for each network, under a line of names."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


if __name__ == "__main__":
    shared.run("many", main)
