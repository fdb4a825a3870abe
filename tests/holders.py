"""What people hold data in, of libraries that the tests do not install: as NumPy sees them."""

import numpy as np


class Frame:
    """A data frame as NumPy sees it: it has no indexing of arrays, and hands out objects."""

    def __init__(self, values, dtype=object):
        self.values = np.asarray(values, dtype)

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Tensor:
    """PyTorch's tensor with a gradient: NumPy may read it detached alone, and not in bfloat16."""

    def __init__(self, values, dtype="torch.float32", layout="torch.strided"):
        self.values, self.dtype, self.layout = values, dtype, layout

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self):
        return self

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.values, layout=self.layout)

    def to_dense(self):
        return Tensor(self.values, self.dtype)

    def numpy(self):
        assert (self.dtype, self.layout) == ("torch.float32", "torch.strided")
        return self.values


class Lazy:
    """A query that has not run: no array, but one way to get one."""

    def __init__(self, values):
        self.values = values

    def collect(self):
        return Frame(self.values)


class NAType:
    """pandas' missing value: neither equal to itself nor different."""

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other):
        return self

    __ne__ = __eq__
    __hash__ = None  # pyright: ignore[reportAssignmentType]
