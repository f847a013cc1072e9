"""The exceptions of the package. Their messages are those of the Rust crates."""


class Error(Exception):
    """The base of all exceptions of the package."""


class ArgumentError(Error, ValueError):
    """An argument is out of its range, of the wrong shape, or not finite. Nothing has changed."""


class DtypeError(Error, TypeError):
    """An array of numbers that cannot be converted without losing more than precision."""


class NumericError(Error, ArithmeticError):
    """Learning has overflowed: sensitivities are lost, or an update was refused.

    No weight is ever NaN or infinite. ``Learner.reset_sensitivities`` continues; the options
    ``reset_sensitivities`` and ``skip_updates`` of a learner do so automatically.
    """


class CallError(Error, RuntimeError):
    """A call that belongs to another regime, or during another call."""


class FileError(Error, OSError):
    """A file that cannot be read or written."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that does not exist."""


class FormatError(Error, ValueError):
    """A file, or a pickle, that is damaged, of another kind or of another version."""


class OutOfMemoryError(Error, MemoryError):
    """The network or its sensitivities do not fit in memory."""


class CallbackError(Error, RuntimeError):
    """A loss or an optimiser that is a function of the caller raised the exception in
    ``__cause__``. No weight has changed in this step."""
