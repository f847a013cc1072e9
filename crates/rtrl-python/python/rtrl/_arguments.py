"""Arguments that are not arrays: numbers, text, and objects of the package.

A value of a wrong type is Python's ``TypeError``, and one out of its range an ``ArgumentError``.
"""

import json
import operator
from typing import Any

import numpy as np

from rtrl._errors import ArgumentError

LARGEST = 2**64 - 1
"""The largest number of anything, and the largest seed."""


def count(value: Any, what: str, most: int = LARGEST) -> int:
    """A number of things, or the number of a thing."""
    try:
        number = operator.index(value)
    except TypeError:
        raise wrong_type(value, "an integer", what) from None
    if 0 <= number <= most:
        return number
    got = number if number.bit_length() <= 128 else f"one of {number.bit_length()} bits"
    raise ArgumentError(f"{what}: got {got}, expected an integer from 0 to {most}")


def optional_count(value: Any, what: str, most: int = LARGEST) -> int | None:
    """A number of things, or ``None``."""
    return None if value is None else count(value, what, most)


def real(value: Any, what: str) -> float:
    """A real number; others check its range."""
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except OverflowError:
        raise ArgumentError(f"{what}: got a number beyond those of float64") from None
    except (TypeError, ValueError):
        pass
    raise wrong_type(value, "a number", what)


def optional_real(value: Any, what: str) -> float | None:
    """A real number, or ``None``."""
    return None if value is None else real(value, what)


def flag(value: Any, what: str) -> bool:
    """Whether something is so."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise wrong_type(value, "a bool", what)


def text(value: Any, what: str) -> str:
    """A string without halves of surrogate pairs."""
    if not isinstance(value, str):
        raise wrong_type(value, "a string", what)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{what}: {error}") from None
    return value


def instance(value: Any, kinds: Any, what: str) -> Any:
    """An object of one of these classes."""
    if isinstance(value, kinds):
        return value
    classes = getattr(kinds, "__args__", (kinds,))
    raise wrong_type(value, " or ".join(kind.__name__ for kind in classes), what)


def is_function(value: object) -> bool:
    """Whether something can be called, and is no class in place of one of its objects."""
    return callable(value) and not isinstance(value, type)


def json_of(application: object) -> str:
    """The data of an application, which must be plain."""
    try:
        return json.dumps(application, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"application: {error}") from None


def wrong_type(value: Any, expected: str, what: str) -> TypeError:
    """The exception of a value of a wrong type."""
    return TypeError(f"{what}: got {type(value).__name__}, expected {expected}")
