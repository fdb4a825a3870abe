"""Successive halving: many networks begin, and the best of them are trained to the end."""

import dataclasses
import math
from typing import Any

import numpy as np

from jnn import checks
from jnn.checks import Real, Thing
from jnn.many.fitting import fit_many
from jnn.many.members import by_structure
from jnn.many.result import Fits
from jnn.many.rungs import Rungs
from jnn.transfers import meant


@meant
def halving(
    members: Thing,
    data: Thing,
    *,
    keep: Real = 0.5,
    first: int | None = None,
    epochs: int = 100,
    **options: Any,
) -> Fits:
    """Train M networks, and at every rung let the best share of them go on.

    Rung i is after ⌈first / keepⁱ⌉ epochs, and the best ⌈M keepⁱ⁺¹⌉ go on from there: all rounds
    take about as long. They are judged by their history's loss on the validation rows, of the
    parameters that would be the result: the last, or with patience the best. Without such rows the
    loss of the last epoch judges, the mean over its minibatches, each before its step.
    Those that go on are to the bit what `fit_many` makes of them in as many epochs, and so are the
    others, in as many as they have run.

    Args:
      members, data: as in `fit_many`.
      keep: the share that goes on, between 0 and 1.
      first: epochs before the first rung, at most `epochs`; None: so many that one network is
        left in the last round, or fewer than 1 / keep.
      epochs: of those that reach the end.
      options: as in `fit_many`.
    Returns:
      M results, in the order of the members; those that were left out are stopped "halved". Their
      numbers have a column rung besides: how many rungs each has passed.
    Raises:
      ValueError, TypeError: as `fit_many`; keep is not between 0 and 1, first is out of its range.
    Source: Jamieson and Talwalkar 2016; Karnin, Koren and Somekh 2013.

    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> keys = jax.random.split(jax.random.key(0), 4)
    >>> members = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(keys)
    >>> fits = halving(members, (x, x**2), epochs=8)
    >>> sorted(fits.epochs.tolist()), sorted(fits.numbers["rung"].tolist())
    ([2, 2, 4, 8], [0, 0, 1, 2])
    """
    if options.get("executor") is not None:
        raise ValueError(
            "halving compares all members at every rung, and workers of an executor do not know of "
            "each other: leave executor out"
        )
    count = sum(len(alike.places) for alike in by_structure(members))
    keep = checks.number("keep", keep, above=0, below=1, meaning="the share that goes on")
    epochs = checks.integer("epochs", epochs, 1)
    if first is None:
        begin = epochs * keep ** math.floor(math.log(count) / -math.log(keep) + 1e-9)
    else:
        begin = checks.integer("first", first, 1, epochs, meaning="epochs before the first rung")
    at, i = [], 0
    while (epoch := math.ceil(begin / keep**i - 1e-9)) < epochs:
        at.append(epoch)
        i += 1
    rungs = Rungs(epochs, tuple(at), keep)
    fits = fit_many(members, data, epochs=rungs, **options)
    passed = (fits.epochs[:, None] > np.array(at, int)).sum(axis=1)
    return dataclasses.replace(fits, numbers=fits.numbers | {"rung": passed})
