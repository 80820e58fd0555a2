"""From columns and arrays as a reader found them to a checked MultimodalDataset."""

import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from recmm.data.checks import check_not_empty, checked_features, checked_ids, checked_labels, checked_numbers
from recmm.data.dataset import SPLITS, Interactions, ItemFeatures, MultimodalDataset, Split
from recmm.data.files.arrays import check_finite
from recmm.errors import FeatureShapeError, SplitOverlapError

log = logging.getLogger(__name__)


class SplitColumns(NamedTuple):
    """One split as a reader found it: parallel columns [n], unsorted and unchecked; errors name its ``source``."""

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None = None
    weights: np.ndarray | None = None
    source: str = "the interactions"


def assemble(
    *,
    name: str,
    split: Split,
    splits: Mapping[str, SplitColumns],
    n_users: int,
    n_items: int,
    features: Mapping[str, np.ndarray],
    observed: np.ndarray | None = None,
    user_ids: Sequence[str] | None = None,
    item_ids: Sequence[str] | None = None,
    feature_sources: Mapping[str, str] | None = None,
) -> MultimodalDataset:
    """Check all parts of a catalogue and put them together; every reader ends here.

    Of repeated pairs in a split the first is kept; the number of dropped ones is logged and noted. Users without
    training history and items without training interactions are kept; the notes hold their numbers.

    Args:
        splits: "train", "val", "test" -> the pairs of each.
        features: modality -> [n_items, D_m], any real type; kept as it is if float32 or float16, else made float32.
        observed: bool [n_items, M], columns in the order of ``features``; None if the data has every entry.
        user_ids, item_ids: raw labels; None if the source has none, then the label is the dense id in digits.
        feature_sources: modality -> the file to name in errors.

    Raises:
        EmptySplitError: a split without interactions.
        IdError: ids that are negative, not integers or out of range; labels that are not one per id or not unique.
        SplitOverlapError: a pair that stands in two splits.
        FeatureShapeError, FeatureFileError, FeatureValueError: rows that are not one per item, values that are not real
            numbers, NaN or Inf in observed rows.
        DataError: timestamps or weights that are not finite numbers, one for each pair.
    """
    n_pairs = sum(len(columns.users) for columns in splits.values())
    labels = {  # first of all: whatever follows takes memory for as many users and items as are announced
        "user": checked_labels("user", user_ids, n_users, n_pairs, splits["train"].source),
        "item": checked_labels("item", item_ids, n_items, n_pairs, splits["train"].source),
    }
    pairs = {part: _interactions(part, splits[part], n_users, n_items) for part in SPLITS}
    for first, second in combinations(SPLITS, 2):
        refuse_overlap({part: (pairs[part], splits[part].source) for part in (first, second)}, labels)
    notes: dict[str, int | str] = {
        "duplicates_dropped": n_pairs - sum(map(len, pairs.values())),
        "users_without_history": int(np.count_nonzero(pairs["train"].user_counts() == 0)),
        "cold_items": int(np.count_nonzero(pairs["train"].item_counts() == 0)),
    }
    sources = {modality: f"the features of {modality!r}" for modality in features} | dict(feature_sources or {})
    return MultimodalDataset(
        name=name,
        split=split,
        **pairs,
        features=_features(features, observed, n_items, sources),
        user_ids=labels["user"],
        item_ids=labels["item"],
        notes=notes,
    )


def _interactions(name: str, columns: SplitColumns, n_users: int, n_items: int) -> Interactions:
    """Checked, sorted and without duplicates."""
    check_not_empty(columns.users, columns.items, name, columns.source)
    users = checked_ids(columns.users, "user", n_users, columns.source)
    items = checked_ids(columns.items, "item", n_items, columns.source)
    times = checked_numbers(columns.timestamps, "timestamp", len(users), columns.source)
    weights = checked_numbers(columns.weights, "weight", len(users), columns.source)
    if weights is not None:
        with np.errstate(over="ignore"):  # what overflows becomes Inf, which is refused
            weights = weights.astype(np.float32)
        checked_numbers(weights, "weight in single precision", len(users), columns.source)
    _, kept = np.unique(users * n_items + items, return_index=True)
    if len(kept) < len(users):
        repeated = np.setdiff1d(np.arange(len(users)), kept)
        first = f"user {users[repeated[0]]}, item {items[repeated[0]]}"
        log.warning("%s: %d duplicate pairs in %r dropped, the first: %s.", columns.source, len(repeated), name, first)
    return Interactions(
        users=users[kept],
        items=items[kept],
        n_users=n_users,
        n_items=n_items,
        timestamps=None if times is None else times[kept].astype(np.float64 if times.dtype.kind == "f" else np.int64),
        weights=None if weights is None else weights[kept],
    )


def refuse_overlap(splits: Mapping[str, tuple[Interactions, str]], labels: Mapping[str, list[str]]) -> None:
    """Refuse a pair that stands in both ``splits``, name -> (interactions, source); raises SplitOverlapError.

    Args:
        labels: "user" and "item" -> their raw labels.
    """
    (first, (ours, source)), (second, (theirs, other_source)) = splits.items()
    keys = [pairs.users * pairs.n_items + pairs.items for pairs in (ours, theirs)]
    shared = np.intersect1d(keys[0], keys[1], assume_unique=True)
    if len(shared):
        user, item = divmod(int(shared[0]), ours.n_items)
        raise SplitOverlapError(
            f"{len(shared)} pairs stand both in split {first!r} ({source}) and in split {second!r} "
            f"({other_source}), for example user {labels['user'][user]}, item {labels['item'][item]}. A held-out pair "
            "must not be trained on or tested twice: remove it from one of them."
        )


def _features(
    given: Mapping[str, np.ndarray], observed: np.ndarray | None, n_items: int, sources: Mapping[str, str]
) -> ItemFeatures:
    shape = n_items, len(given)
    present = np.ones(shape, bool) if observed is None else observed
    if present.dtype != bool or present.shape != shape:
        raise FeatureShapeError(
            f"'observed' is {present.dtype} of shape {present.shape}; expected bool of shape {shape}: one row per "
            "item, one column per modality."
        )
    values = {modality: checked_features(array, n_items, sources[modality]) for modality, array in given.items()}
    features = ItemFeatures(values, present)
    for modality, array, column in features.columns():
        check_finite(array, column, sources[modality])
    return features
