"""Checks that every catalogue has to pass, column by column; each error names its source."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from recmm.data.files.arrays import as_features
from recmm.errors import DataError, EmptySplitError, FeatureShapeError, IdError

# More ids without labels than FREE_IDS + IDS_PER_PAIR * pairs are taken for raw ids: tables over them fill the memory.
FREE_IDS, IDS_PER_PAIR = 10_000, 20


def check_not_empty(users: np.ndarray, items: np.ndarray, split: str, source: str) -> None:
    """Refuse a split without interactions, or with columns of different lengths.

    Raises:
        EmptySplitError, DataError
    """
    if len(users) != len(items):
        raise DataError(f"{source} has {len(users)} users but {len(items)} items in split {split!r}; expected pairs.")
    if len(users) == 0:
        raise EmptySplitError(
            f"{source} has no interaction in split {split!r}; expected at least one in each of train, val and test."
        )


def checked_ids(ids: np.ndarray, kind: str, size: int, source: str) -> np.ndarray:
    """``ids`` [n] as int64.

    Raises:
        IdError: of a type that is not integer, negative, or not below ``size``.
    """
    if ids.dtype.kind not in "iu":
        raise IdError(f"{source}: the {kind} ids are of type {ids.dtype}; expected integers from 0 to {size - 1}.")
    bad = np.flatnonzero((ids < 0) | (ids >= size))
    if len(bad):
        raise IdError(
            f"{source}: {len(bad)} {kind} ids are negative or out of range, the first is {ids[bad[0]]} "
            f"(entry {bad[0]}, counted from 0); expected integers from 0 to {size - 1}."
        )
    return ids.astype(np.int64)


def checked_numbers(values: np.ndarray | None, what: str, n_pairs: int, source: str) -> np.ndarray | None:
    """``values`` [n_pairs], unless there are none.

    Raises:
        DataError: not one finite number for each pair.
    """
    if values is not None and (
        values.dtype.kind not in "iuf"
        or values.shape != (n_pairs,)
        or not np.isfinite(values).all()
        or (values.dtype == np.uint64 and (values >= 1 << 63).any())
    ):
        raise DataError(f"{source}: expected one finite number as {what}, below 2^63, for each of {n_pairs} pairs.")
    return values


def checked_labels(
    kind: str, given: Sequence[str] | None, size: int, n_pairs: int, source: str = "The catalogue"
) -> list[str]:
    """Dense id -> raw label; the dense id in digits if none are ``given``. ``source`` is where the ids come from.

    Raises:
        IdError: labels that are not one per id or not unique; without labels, far more ids than interactions.
    """
    if given is None:
        if size > most_ids(n_pairs):
            raise IdError(
                f"{source}: the {kind} ids run up to {size - 1:,} while there are {n_pairs:,} interactions: out of "
                f"range for dense ids. Number the {kind}s from 0 without gaps."
            )
        return [str(dense) for dense in range(size)]
    labels = [str(label) for label in given]
    if len(labels) != size:
        raise IdError(f"There are {len(labels)} {kind} labels for {size} {kind} ids; expected one label for each id.")
    if len(set(labels)) != size:
        label, count = Counter(labels).most_common(1)[0]
        raise IdError(f"The {kind} label {label!r} stands for {count} {kind} ids; expected unique labels.")
    return labels


def most_ids(n_pairs: int) -> int:
    """The largest number of users or items without labels that is accepted with this number of interactions."""
    return FREE_IDS + IDS_PER_PAIR * n_pairs


def checked_features(values: np.ndarray, n_items: int, source: str) -> np.ndarray:
    """``values`` as float32 or float16 [n_items, D]; finiteness is another check (``arrays.check_finite``).

    Raises:
        FeatureFileError, FeatureShapeError: as ``arrays.as_features``; rows that are not one per item.
    """
    features = as_features(values, source)
    check_rows(features, n_items, source)
    return features


def check_rows(values: np.ndarray, n_items: int, source: str) -> None:
    """Refuse rows that are not one per item; raises FeatureShapeError."""
    if len(values) != n_items:
        raise FeatureShapeError(
            f"{source} has {len(values):,} rows, but there are {n_items:,} items; expected one row per item, in the "
            "order of the item ids."
        )
