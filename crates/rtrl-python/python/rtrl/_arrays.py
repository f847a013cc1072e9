"""Conversion of whatever is not already an array of the right dtype without gaps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from rtrl._errors import ArgumentError, DtypeError


def convert(values: Any, dtype: str, what: str) -> npt.NDArray[Any]:
    """``values`` as an array of ``dtype`` without gaps; masked and ``None`` values are NaN."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(dtype), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"{what}: {error}") from None
    if array.dtype == object:
        try:
            array = array.astype(dtype)
        except (TypeError, ValueError) as error:
            message = f"{what}: got an array of objects, expected numbers ({error})"
            raise DtypeError(message) from None
    elif not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DtypeError(f"{what}: got dtype {array.dtype}, expected {dtype}")
    with np.errstate(over="ignore"):
        return np.array(array, dtype=dtype, order="C", copy=True, subok=False)
