"""What learners and forecasters have in common: files, copies and pickles."""

import copy
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from rtrl import _rtrl
from rtrl._arguments import is_function, json_of, wrong_type
from rtrl._errors import ArgumentError

Array = npt.NDArray[Any]
LossFunction = Callable[[Array, Array], tuple[float, npt.ArrayLike]]
OptimizerFunction = Callable[[dict[str, Array], dict[str, Array]], Mapping[str, npt.ArrayLike]]
Flags = list[bool] | list[list[bool]] | npt.NDArray[np.bool_]

MOST_THREADS = 1024

Core = TypeVar("Core", _rtrl.Learner, _rtrl.Forecaster)


class Stored(Generic[Core]):
    """An object of the compiled module, and the functions that only Python has."""

    __slots__ = ("__weakref__", "_core", "_loss", "_optimizer")

    _core: Core
    _loss: LossFunction | None
    _optimizer: OptimizerFunction | None

    @classmethod
    def _of(
        cls,
        core: Core,
        loss: LossFunction | None = None,
        optimizer: OptimizerFunction | None = None,
    ) -> Self:
        stored = cls.__new__(cls)
        stored._core, stored._loss, stored._optimizer = core, loss, optimizer
        return stored

    @classmethod
    def _loaded(
        cls, core: Core, loss: LossFunction | None, optimizer: OptimizerFunction | None
    ) -> Self:
        """That of a file, which holds no functions."""
        facts = core.describe()
        for what, given in (("loss", loss), ("optimizer", optimizer)):
            if facts[f"has_{what}_function"] != (given is not None):
                got, expected = ("none", "a function") if given is None else ("one", "none")
                raise ArgumentError(f"{what}: got {got}, expected {expected}, as in the checkpoint")
            if given is not None and not is_function(given):
                raise wrong_type(given, "a function", what)
        return cls._of(core, loss, optimizer)

    def save(self, path: str | PathLike[str], application: object = None) -> None:
        """Writes everything that the run needs to continue bit for bit to a checkpoint, but the
        functions of the caller.

        ``application`` is stored with it: anything made of dicts, lists, numbers and strings.
        """
        self._core.save(path, json_of(application))

    def copy(self) -> Self:
        """An independent object in the same state."""
        return self.__deepcopy__({})

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The functions may be methods of an object that holds this one.
        twin = memo[id(self)] = self._of(self._core.copy())
        twin._loss, twin._optimizer = copy.deepcopy((self._loss, self._optimizer), memo)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        core: Any = self._core
        functions = {"_loss": self._loss, "_optimizer": self._optimizer}
        # The values of slots are set after the object is known, so that functions may refer to it.
        made = type(self), type(core), core.to_bytes(), core.threads()
        return _unpickled, made, (None, functions)


def _unpickled(cls: Any, core: Any, data: bytes, threads: int | None) -> Any:
    return cls._of(core.from_bytes(data, threads))
