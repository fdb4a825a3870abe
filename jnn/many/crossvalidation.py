"""Cross-validation: each network once for every fold of the data, all of them together."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jnn.checks import Thing
from jnn.many import folded
from jnn.many.fitting import fit_many
from jnn.many.folded import Folded
from jnn.many.members import by_structure, keys_of, of_members
from jnn.many.numbers import repeated
from jnn.many.result import Fits
from jnn.transfers import meant


@meant
def cross_validate(
    members: Thing,
    data: Thing,
    folds: Thing = 5,
    *,
    standardize: str | None = None,
    key: Thing = None,
    **options: Any,
) -> Fits:
    """Train M networks on each of K folds' rows alone, and judge each by the rows it has not seen.

    Result m K + k is member m in fold k: what `fit` makes of the same network with the same key and
    the data of the fold,

        fit(member m, (x[train], y[train]), validation=(x[test], y[test]), key=key of m, …),

    in the order of train. Folds share a program, and members of all folds a group.

    Args:
      members: as in `fit_many`, M networks.
      data: (x, y) or (x, y, weights), as in `fit`.
      folds: K, at least 2, and the rows are dealt out by `jnn.data.folds` with the key
        `jax.random.fold_in(key, 1)` (of M keys with the first), evenly in every class; or K pairs
        (train, test) of indices of rows, as scikit-learn's splitters give them.
      standardize: "x", "y" or "xy": what is standardised, by means and scales of the rows that a
        fold trains on (`jnn.data.standardization`); None for neither. Losses are in these units.
      key: as in `fit_many`: one for all members, or M keys; a member has the same in every fold.
      options: as in `fit_many`, without validation; arrays hold one entry for each member.
    Returns:
      M K results, whose numbers have the columns member and fold besides. `by("member")` has the
      mean and the spread over folds, and `history[name].reshape(M, K, -1)` each of them.
    Raises:
      ValueError: as `fit_many`; a fold without rows, with rows that there are not, or with some
        both in train and test; a class has fewer rows than there are folds.
      TypeError: as `fit_many`, or folds are no indices.

    >>> x = np.linspace(-1, 1, 23)[:, None]
    >>> keys = jax.random.split(jax.random.key(0), 2)
    >>> members = jax.vmap(lambda key: jnn.init_network_params([1, 4, 1], key))(keys)
    >>> fits = cross_validate(members, (x, x**2), standardize="xy", epochs=5)
    >>> fits.numbers["fold"].tolist()
    [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    >>> fits.by("member")["mean_validation_loss"].shape
    (2,)
    """
    if "validation" in options:
        raise TypeError(
            "cross_validate judges each fold by the rows that it leaves out: leave validation out, "
            "or call fit_many"
        )
    count = sum(len(alike.places) for alike in by_structure(members))
    keys = keys_of(key, count)
    columns = folded.checked_columns(data)
    loss = options.get("loss", "half_mse")
    pairs = folded.checked_folds(folds, columns, loss, keys[0])
    scaled = folded.checked_standardize(standardize, columns[1], loss)
    K = len(pairs)
    of_member, of_fold = np.divmod(np.arange(count * K), K)
    fits = fit_many(
        of_members(jax.device_get(members), of_member),
        Folded(columns, pairs, scaled, of_fold),
        key=keys[0] if len(keys) == 1 else jnp.stack(keys)[of_member],
        **repeated(options, count, of_member),
    )
    numbers = {"member": of_member, "fold": of_fold} | fits.numbers
    return dataclasses.replace(fits, numbers=numbers, standardized=scaled)
