"""What a catalogue is: interactions in three splits over dense ids, and the items' features. Frozen and validated."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix

from recmm.data.catalog import Catalog, NegativeItems
from recmm.data.checks import check_not_empty, checked_features, checked_ids, checked_labels, checked_numbers
from recmm.data.files.arrays import check_finite, read_only, visible_chunks
from recmm.errors import DataError, FeatureShapeError, SplitOverlapError

log = logging.getLogger(__name__)

FORMAT_VERSION = 1  # of what a MultimodalDataset holds; part of its digest and of the canonical layout
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Interactions:
    """User-item pairs of one split, sorted by user and then item, each pair once; the arrays are read-only.

    Attributes:
        users, items: int64 [n], dense ids.
        n_users, n_items: sizes of the id spaces.
        timestamps: int64 or float64 [n], in the unit of the source; None where the data has none.
        weights: float32 [n]; None where all interactions count the same.
    """

    users: np.ndarray
    items: np.ndarray
    n_users: int
    n_items: int
    timestamps: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        for column in ("users", "items", "timestamps", "weights"):
            values = getattr(self, column)
            if values is not None:
                object.__setattr__(self, column, read_only(values))

    def __len__(self) -> int:
        return len(self.users)

    def csr(self) -> csr_matrix:
        """float32 ones [n_users, n_items] with sorted indices; built once, so do not change it in place."""
        return self._csr

    @cached_property
    def _csr(self) -> csr_matrix:
        starts = np.concatenate(([0], np.cumsum(self.user_counts())))
        ones = np.ones(len(self), np.float32)
        return csr_matrix((ones, self.items, starts), shape=(self.n_users, self.n_items))

    def item_counts(self) -> np.ndarray:
        """int64 [n_items]: interactions of each item."""
        return np.bincount(self.items, minlength=self.n_items)

    def user_counts(self) -> np.ndarray:
        """int64 [n_users]: interactions of each user."""
        return np.bincount(self.users, minlength=self.n_users)


@dataclass(frozen=True, eq=False)
class ItemFeatures:
    """Raw features of the items; the arrays are read-only.

    Attributes:
        values: modality -> float32 or float16 [n_items, D_m], possibly a memory map. Rows that are not observed hold
            anything, NaN included: nobody may read them.
        observed: bool [n_items, M], what the data itself has; columns in the order of ``values``.
    """

    values: dict[str, np.ndarray]
    observed: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", {modality: read_only(values) for modality, values in self.values.items()})
        object.__setattr__(self, "observed", read_only(self.observed))

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def dims(self) -> dict[str, int]:
        """Modality -> D_m."""
        return {modality: values.shape[1] for modality, values in self.values.items()}

    def columns(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Modality by modality: its name, its values [n_items, D_m], and where they are observed, bool [n_items]."""
        for column, (modality, values) in enumerate(self.values.items()):
            yield modality, values, self.observed[:, column]


@dataclass(frozen=True)
class Split:
    """Which split of a dataset this is.

    Attributes:
        name: short, such as "mmrec".
        recipe: one sentence on its making.
        negatives: among which items training draws negatives; "warm" where items without a training interaction stand
            for new ones, which are not there yet.
    """

    name: str
    recipe: str
    negatives: NegativeItems = "all"


@dataclass(frozen=True, eq=False)
class MultimodalDataset:
    """A catalogue as every part of recmm sees it; made by ``assemble`` only.

    Attributes:
        user_ids, item_ids: raw labels, dense id -> label.
        notes: what was found while reading, e.g. ``duplicates_dropped``, ``users_without_history``, ``cold_items``.
    """

    name: str
    split: Split
    train: Interactions
    val: Interactions
    test: Interactions
    features: ItemFeatures
    user_ids: list[str]
    item_ids: list[str]
    notes: dict[str, int | str]
    format_version: ClassVar[int] = FORMAT_VERSION

    @property
    def n_users(self) -> int:
        return self.train.n_users

    @property
    def n_items(self) -> int:
        return self.train.n_items

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.features.modalities

    @property
    def splits(self) -> dict[str, Interactions]:
        """Split name -> its interactions, in the order train, val, test."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @cached_property
    def digest(self) -> str:
        """sha256 hex of all that can change a result, whatever the dataset's name and its layout on disk.

        Split name and where its negatives come from, pairs with timestamps and weights, raw ids, ``observed``, and the
        observed features as float32.
        """
        total = hashlib.sha256()

        def add(what: str, content: np.ndarray | str) -> None:
            data = content.encode() if isinstance(content, str) else _plain_bytes(content)
            kind = (
                "text" if isinstance(content, str) else f"{content.dtype.kind}{content.dtype.itemsize}{content.shape}"
            )
            total.update(f"{what}:{kind}:{len(data)}:".encode())
            total.update(data)

        add("format", str(self.format_version))
        add("split", self.split.name)
        if self.split.negatives != "all":
            add("negatives", self.split.negatives)
        add("sizes", f"{self.n_users}x{self.n_items}")
        for name, pairs in self.splits.items():
            for column in ("users", "items", "timestamps", "weights"):
                values = getattr(pairs, column)
                if values is not None:
                    add(f"{name}.{column}", values)
        for what, labels in (("user_ids", self.user_ids), ("item_ids", self.item_ids)):
            add(what, "\n".join(f"{len(label)} {label}" for label in labels))
        add("observed", self.features.observed)
        for modality, matrix, observed in self.features.columns():
            add("modality", f"{modality}/{matrix.shape[1]}")
            for _, block in visible_chunks(matrix, observed):
                total.update(_plain_bytes(block.astype(np.float32)))
        return total.hexdigest()

    def select(self, modalities: Sequence[str]) -> "MultimodalDataset":
        """The same catalogue with these modalities only, in this order; none at all is allowed.

        Raises:
            DataError: a modality that the dataset does not have, or one named twice.
        """
        unknown = [modality for modality in modalities if modality not in self.modalities]
        if unknown or len(set(modalities)) != len(modalities):
            problem = (
                f"has no modality {unknown[0]!r}" if unknown else f"cannot take a modality twice: {list(modalities)}"
            )
            raise DataError(f"The dataset {self.name!r} {problem}. It has: {', '.join(self.modalities) or 'none'}.")
        columns = [self.modalities.index(modality) for modality in modalities]
        values = {modality: self.features.values[modality] for modality in modalities}
        return replace(self, features=ItemFeatures(values, self.features.observed[:, columns]))

    def catalog(self) -> Catalog:
        """What a method may know of this dataset."""
        return Catalog(
            n_users=self.n_users,
            n_items=self.n_items,
            dims=self.features.dims,
            train_users=torch.tensor(self.train.users),  # copies: a tensor would not respect a read-only array
            train_items=torch.tensor(self.train.items),
            user_ids=self.user_ids,
            item_ids=self.item_ids,
            negatives=self.split.negatives,
        )

    def statistics(self) -> dict[str, int]:
        """Users, items, and interactions per split: the numbers that papers print."""
        return {"users": self.n_users, "items": self.n_items} | {
            name: len(pairs) for name, pairs in self.splits.items()
        }


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
    train: SplitColumns,
    val: SplitColumns,
    test: SplitColumns,
    n_users: int,
    n_items: int,
    features: Mapping[str, np.ndarray],
    observed: np.ndarray | None = None,
    user_ids: Sequence[str] | None = None,
    item_ids: Sequence[str] | None = None,
    feature_sources: Mapping[str, str] | None = None,
) -> MultimodalDataset:
    """The one validated way to a MultimodalDataset; every reader ends here.

    A pair that stands twice in a split keeps its first occurrence; how many were dropped is logged and noted. Users
    without training history and items without training interaction stay and are counted in the notes.

    Args:
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
    found = dict(zip(SPLITS, (train, val, test), strict=True))
    n_pairs = sum(len(columns.users) for columns in found.values())
    labels = {  # first of all: whatever follows takes memory for as many users and items as are announced
        "user": checked_labels("user", user_ids, n_users, n_pairs, train.source),
        "item": checked_labels("item", item_ids, n_items, n_pairs, train.source),
    }
    splits: dict[str, Interactions] = {}
    duplicates = 0
    for split_name, columns in found.items():
        splits[split_name] = _interactions(split_name, columns, n_users, n_items)
        duplicates += len(columns.users) - len(splits[split_name])
    for first, second in combinations(SPLITS, 2):
        refuse_overlap({name: (splits[name], found[name].source) for name in (first, second)}, labels)
    notes: dict[str, int | str] = {
        "duplicates_dropped": duplicates,
        "users_without_history": int(np.count_nonzero(splits["train"].user_counts() == 0)),
        "cold_items": int(np.count_nonzero(splits["train"].item_counts() == 0)),
    }
    sources = {modality: f"the features of {modality!r}" for modality in features} | dict(feature_sources or {})
    return MultimodalDataset(
        name=name,
        split=split,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
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


def _plain_bytes(values: np.ndarray) -> bytes:
    """The values in C order and little-endian, so that a digest is the same on every machine."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
