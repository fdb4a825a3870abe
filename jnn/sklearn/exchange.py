"""What an estimator gives away and takes back: networks of jnn's, and files."""

import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from jnn.params import Params
from jnn.sklearn import ensembles, kept, networks


class Exchange:
    """The part of an estimator that does so."""

    n_ensemble: Any

    def to_params(self) -> Params:
        """The network as jnn has it, (Stack, …), for `jnn.predict` and all that jnn can say of it.

        Its outputs are probabilities in classification, of the second class where there are two.
        What `standardize` does is folded into the first layer and the last.
        The arrays are NumPy's; of float64 `jnn.predict` makes float32 where x64 is off.
        """
        check_is_fitted(self)
        if ensembles.members(self):
            raise ValueError(
                f"it is an ensemble of {self.n_ensemble}: estimators_params_ has each network"
            )
        return networks.params_in(self)

    def save(
        self, path: str | os.PathLike[str], *, functions: kept.Functions | None = None
    ) -> None:
        """Write the estimator to a safetensors file, whole or not at all, with all it remembers.

        Args:
          path: of the file; its directory must exist.
          functions: names of the functions of your own among the parameters, {"bent": bent}.
        Raises:
          TypeError: a parameter is something that a file cannot hold, such as a function without
            a name.
        """
        kept.save(path, self, functions)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, functions: kept.Functions | None = None) -> Any:
        """The estimator that `save` wrote, equal to the bit; no code of the file's is run.

        Args:
          path: of the file.
          functions: those named in `save`.
        Raises:
          ValueError: the file is damaged, tampered with, of another class, or lacks functions.
        """
        return kept.load(path, cls, functions)

    @property
    def estimators_params_(self) -> list[Params]:
        """The network of each member of an ensemble, as `to_params` gives it."""
        found = ensembles.members(self)
        if not found:
            raise AttributeError("estimators_params_ are those of n_ensemble >= 2 networks, fitted")
        return [member.to_params() for member in found]
