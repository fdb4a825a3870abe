"""What the commands share: their options and the checks of these, pictures and tables as files.

jnn and JAX are imported where they are used: `scripts/bench` reads its options before it knows what
to install.
"""

import argparse
import contextlib
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

Figure: TypeAlias = Any  # plotly's
RESULTS = Path(__file__).with_name("results")


# ---- options ----


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which knows options by their whole names alone."""

    def __init__(self, prog: str, description: str, *, add_help: bool = True) -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            add_help=add_help,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """End the program with the message and exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")

    def add_depths(self, most: int, text: str, default: Sequence[int]) -> None:
        """`--depths N …`, hidden layers."""
        depth = whole("depth", 1, most)
        self.add_argument(
            "--depths", type=depth, nargs="+", default=default, metavar="N", help=text
        )

    def add_seeds(self, default: int, text: str) -> None:
        """`--seeds N`, how many."""
        seeds = whole("number of seeds", 1, 10_000)
        self.add_argument("--seeds", type=seeds, default=default, metavar="N", help=text)

    def add_out(self, text: str = "where pictures go (default out)") -> None:
        """`--out DIR`, a directory that is made at once."""
        self.add_argument("--out", type=directory, default="out", metavar="DIR", help=text)

    def add_seed(self, text: str, default: int | None = 0) -> None:
        """`--seed N`."""
        seed = whole("seed", 0, 2**32 - 1)
        self.add_argument("--seed", type=seed, default=default, metavar="N", help=text)

    def add_steps(self, default: int, text: str) -> None:
        """`--steps N`."""
        steps = whole("number of steps", 1, 1_000_000)
        self.add_argument("--steps", type=steps, default=default, metavar="N", help=text)

    def add_save(self, folder: str = "scripts/studies/results") -> None:
        """`--save`, which writes the table beside the earlier ones."""
        text = f"also write the table to {folder}"
        self.add_argument("--save", action="store_true", help=text)


def whole(what: str, low: int, high: int) -> Callable[[str], int]:
    """A type of argparse's: whole numbers from low to high, written in digits.

    >>> whole("depth", 1, 1000)("7")
    7
    """

    def number(text: str) -> int:
        # int() refuses numbers of thousands of digits with a message of its own
        digits = text.isascii() and text.isdigit() and len(text) < 20
        if not digits or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a {what}: give a whole number from {low} to {high}"
            )
        return int(text)

    return number


def directory(text: str) -> Path:
    """A type of argparse's: a directory for pictures, made where it is missing."""
    from jnn import figures

    try:
        return figures.make_directory(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(name: str, main: Callable[[], int], *, keep_compiled: bool = True) -> NoReturn:
    """Run a command and end with its exit code; Ctrl-C ends it with one line."""
    if keep_compiled:
        import jnn

        with contextlib.suppress(OSError):  # where no home is, everything is compiled anew
            jnn.keep_compiled()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(f"\n{name}: stopped")


# ---- words ----


def machine() -> str:
    """One line: the versions and the device."""
    import jax

    import jnn

    backend = f"{jax.default_backend()} ({jax.devices()[0].device_kind})"
    return f"jnn {jnn.__version__}, jax {jax.__version__}, backend {backend}"


def layers(depth: int) -> str:
    """The depth with its unit.

    >>> layers(1), layers(10_000)
    ('1 layer', '10,000 layers')
    """
    return f"{depth:,} layer" + "s" * (depth != 1)


# ---- files ----


def write_pictures(pictures: dict[str, Figure], folder: Path) -> None:
    """Every picture as a page and, where Chrome is found, as a PNG; the paths, one a line."""
    from jnn import figures

    print("\nPictures")
    png = True
    for name, figure in pictures.items():
        written = figures.save(figure, folder / name, png=png, shared_js=True)
        png = len(written) > 1  # a Chrome that is missing or broken is not tried again
        for path in written:
            print(f"  {path}")
    if not png:
        print(figures.png_hint())


def write_picture(figure: Figure, path: Path) -> None:
    """One picture, and its files in one line."""
    from jnn import figures

    print(f"written: {', '.join(str(written) for written in figures.save(figure, path))}")


def write_table(name: str, text: str, folder: Path = RESULTS) -> Path:
    """Write a table into a file named by its subject, the machine, JAX's version and the day."""
    import jax

    folder.mkdir(exist_ok=True)
    platform = jax.devices()[0].platform
    file = f"{name}_{platform}_jax{jax.__version__}_{datetime.date.today()}.txt"
    (folder / file).write_text(text)
    print(f"written: {file}")
    return folder / file
