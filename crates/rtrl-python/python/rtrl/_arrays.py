"""Conversion of whatever is not already an array of the right dtype without gaps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from rtrl._errors import ArgumentError, DtypeError


def convert(values: Any, dtype: str, what: str) -> npt.NDArray[Any]:
    """``values`` as an array of ``dtype`` without gaps; masked and ``None`` values are NaN."""
    array = _array(values, what)
    if array.dtype == object:
        try:
            array = array.astype(dtype)
        except (TypeError, ValueError, OverflowError) as error:
            message = f"{what}: got an array of objects, expected numbers ({error})"
            raise DtypeError(message) from None
    elif not np.can_cast(array.dtype, dtype, "same_kind"):
        raise DtypeError(f"{what}: got dtype {array.dtype}, expected {dtype}")
    with np.errstate(over="ignore"):
        converted = np.array(array, dtype=dtype, order="C", copy=True, subok=False)
    if isinstance(array, np.ma.MaskedArray):
        converted[np.ma.getmaskarray(array)] = np.nan
    return converted


def mask(values: Any, what: str) -> npt.NDArray[np.bool_]:
    """``values`` as an array of booleans without gaps; masked values are false."""
    array = _array(values, what)
    if array.dtype != np.bool_:
        raise DtypeError(f"{what}: got dtype {array.dtype}, expected bool")
    filled = np.ma.filled(array, False) if isinstance(array, np.ma.MaskedArray) else array
    return np.array(filled, order="C", copy=True, subok=False)


def matrix(values: Any, what: str) -> npt.NDArray[np.float64]:
    """Rows of numbers."""
    return _with_axes(convert(values, "float64", what), 2, what)


def row(values: Any, what: str) -> npt.NDArray[np.float64]:
    """One or more numbers."""
    return _with_axes(np.atleast_1d(convert(values, "float64", what)), 1, what)


def table(values: Any, what: str) -> list[list[float]]:
    """Rows of numbers, as plain objects."""
    rows: list[list[float]] = matrix(values, what).tolist()
    return rows


def flags(values: Any, what: str) -> list[list[bool]]:
    """Rows of booleans, as plain objects; numbers other than 0 are true."""
    rows: list[list[bool]] = (matrix(values, what) != 0).tolist()
    return rows


def numbers(values: Any, what: str) -> list[float]:
    """One or more numbers, as plain objects."""
    found: list[float] = row(values, what).tolist()
    return found


def _array(values: Any, what: str) -> npt.NDArray[Any]:
    try:
        return np.asanyarray(values)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{what}: {error}") from None


def _with_axes(array: npt.NDArray[Any], axes: int, what: str) -> npt.NDArray[Any]:
    if array.ndim != axes:
        expected = "one row" if axes == 1 else "rows and columns"
        raise ArgumentError(f"{what}: got shape {array.shape}, expected {expected}")
    return array
