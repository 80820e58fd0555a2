"""Errors that are sentences for the person at the keyboard: what, where, what was expected, what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from recmm.terminal import printable


class RecmmError(Exception):
    """Base of every error that recmm raises on purpose; the entry points print its message without a traceback."""


class DataError(RecmmError):
    """Something is wrong with a catalogue's files; the subclasses say what."""


class MissingFileError(DataError):
    """A file that the layout needs is not there."""


class ColumnError(DataError):
    """Wrong column names, separator or column types in a table of interactions."""


class IdError(DataError):
    """A user or item id is negative, not an integer, or out of range."""


class FeatureShapeError(DataError):
    """A feature file has not one row per item, or is not a two-dimensional array."""


class FeatureValueError(DataError):
    """A feature file holds NaN or Inf in rows that are said to be observed."""


class FeatureFileError(DataError):
    """A feature file cannot be read: no .npy at all, a damaged header, or values that are not real numbers."""


class TruncatedFileError(FeatureFileError):
    """A feature file ends before its header or its array does."""


class ObjectArrayError(FeatureFileError):
    """A feature file is of object dtype, which would have to be unpickled."""


class SplitOverlapError(DataError):
    """The same user-item pair stands in two splits."""


class EmptySplitError(DataError):
    """A split holds no interaction."""


class UnsafePickleError(DataError):
    """A pickle asks for a class that a SciPy sparse matrix does not need."""


class StatisticsError(DataError):
    """A known dataset does not have its published size."""


class DigestError(DataError):
    """A file's size or digest is not the pinned one."""


class DownloadError(DataError):
    """A public source could not be reached or did not deliver."""


class MissingSettingError(RecmmError):
    """A missing setting cannot be drawn on this catalogue."""


class ConfigError(RecmmError):
    """A configuration key or value is wrong; the message names the key and the nearest valid one."""


class RunError(RecmmError):
    """A run cannot start in this folder, or cannot be resumed."""


class BusyFolderError(RunError):
    """Another process is writing to this run's folder."""


class CheckpointError(RunError):
    """A checkpoint is absent, empty, cut short, or holds other bytes than were written."""


class DamagedRecordError(RunError):
    """The record of a finished run is not what it was when the run ended."""


class NonFiniteLossError(RecmmError):
    """A loss term became NaN or infinite."""


def own_error(error: BaseException | None) -> RecmmError | None:
    """``error`` or the first of ours among its causes: Hydra wraps what a constructor raises. None if none is ours."""
    while error is not None and not isinstance(error, RecmmError):
        error = error.__cause__
    return error


def wants_traceback() -> bool:
    """Whether the person has asked for tracebacks, with Hydra's own variable."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def leave(error: RecmmError) -> NoReturn:
    """End the process with the error's sentence and exit code: 2 for a wrong configuration, else 1."""
    if wants_traceback():
        raise error
    print(printable(f"{type(error).__name__}: {error}"), file=sys.stderr)
    sys.exit(2 if isinstance(error, ConfigError) else 1)


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """End the process with a sentence for an error of ours, and for what the operating system refuses.

    Hydra would show a traceback of what its plugins raise.
    """
    try:
        yield
    except RecmmError as error:
        leave(error)
    except OSError as error:
        place = error.filename or "a file"
        told = RunError(
            f"{place} cannot be read or written ({error.strerror or error}). Make room, correct its permissions, or "
            "choose another place with paths.output."
        )
        told.__cause__ = error
        leave(told)
