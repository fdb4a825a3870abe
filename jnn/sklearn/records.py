"""What a stochastic run is made of: its form, its state, what is remembered and recorded."""

from typing import Any, NamedTuple

from jnn.checks import Thing, Tree
from jnn.params import Params
from jnn.sklearn.terms import Terms

# What becomes of a run at the end of an epoch
GOES_ON, RATE_CUT, STOPPED, RATE_TOO_SMALL = range(4)


class Form(NamedTuple):
    """What shapes the program, beside the shapes of the data; hashable."""

    output: str  # a key of OBJECTIVES
    solver: Thing  # see `transformations`
    size: int | None  # rows of a minibatch; None: all rows in one
    scoring: str | None = None  # what rows held out are judged by, see `scoring`; None: not at all
    terms: Terms = Terms()


class Memory(NamedTuple):
    """What stopping and rates remember; one vector in a state."""

    best: Any  # the least loss or the highest score
    without: Any  # epochs without progress
    rate: Any
    updates: Any
    seen: Any  # rows
    event: Any  # of the last epoch


class State(NamedTuple):
    """What an epoch starts from."""

    params: Params
    moments: tuple[Tree, ...]
    best: Params | None  # of the highest score; None without validation
    memory: Any  # Memory


class Epoch(NamedTuple):
    """What is recorded of an epoch, a column each."""

    loss: Any
    score: Any  # 0 where rows are not judged
    validation_loss: Any  # 0 without any
    rate: Any
    event: Any
