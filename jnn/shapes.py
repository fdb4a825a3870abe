"""Shapes in annotations: `Float[Array, "n batch"]` is a float array of that shape.

They are for readers, for type checkers, and for whoever has jaxtyping check them, as the tests do.
To everybody else its import would take longer than all of jnn.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float32, Real, Shaped
else:

    class Shaped:
        """Any dtype."""

        def __class_getitem__(cls, array_and_shape: tuple[Any, str]) -> Any:
            array, shape = array_and_shape
            return Annotated[array, shape]

    Bool = Float = Float32 = Real = Shaped

__all__ = ["Bool", "Float", "Float32", "Real", "Shaped"]
