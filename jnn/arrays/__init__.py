"""Data as people hold them: one array of numbers, or the sentence that says how to make one.

`np.asarray` alone is no gate: it drops the mask of a masked array, makes a single object of a
sparse matrix, and hands out objects where a data frame's columns are of two types. Every public
function that takes data asks here first.

    y must hold numbers, got dtype <U3: they are names; number those of all rows at once, …
    x is a csr_matrix, not an array: x.toarray()

A remedy is an expression that works when it is pasted, with the argument's name for what was given.
"""

from jnn.arrays.gate import (
    array as array,
    doubles as doubles,
    numbers as numbers,
    row_weights as row_weights,
    traceable as traceable,
)
from jnn.arrays.refusals import to_labels as to_labels
from jnn.arrays.remedies import remedy as remedy, to_rows as to_rows, variable as variable
