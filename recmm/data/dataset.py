"""What a catalogue is: interactions in three splits over dense ids, and the items' features. All of it is frozen."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_matrix

from recmm.data.catalog import Catalog, NegativeItems
from recmm.data.files.arrays import read_only, visible_chunks
from recmm.errors import DataError

FORMAT_VERSION = 1  # of what a MultimodalDataset holds; part of its digest and of the canonical layout
SPLITS = ("train", "val", "test")
TIME_UNIT = "timestamp_unit"  # the note that holds the unit of timestamps, where it is known: a key of ``times.UNITS``


@dataclass(frozen=True, eq=False)
class Interactions:
    """User-item pairs of one split, sorted by user and then item, each pair once; the arrays are read-only.

    Attributes:
        users, items: int64 [n], dense ids.
        n_users, n_items: sizes of the id spaces.
        timestamps: int64 or float64 [n], at full resolution in one unit (the dataset's note ``TIME_UNIT``, where it is
            known); None where the data has none.
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
        values: modality -> float32 or float16 [n_items, D_m], possibly a memory map. Rows that are not observed
            may hold any value, NaN included, and must not be read.
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
        negatives: the items from which training draws negatives: "all", or "warm", those with a training interaction.
            "warm" is for splits whose other items represent new ones, which do not exist yet at training time.
    """

    name: str
    recipe: str
    negatives: NegativeItems = "all"


@dataclass(frozen=True, eq=False)
class MultimodalDataset:
    """A catalogue as every part of recmm sees it; made by ``assembly.assemble`` only.

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
        """sha256 hex of everything in the data that can change a result; its name and its layout on disk cannot.

        Enter: the split's name and its ``negatives``, pairs with timestamps and weights, raw ids, ``observed``, and the
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
        """What a method may use of this dataset: sizes, labels and training pairs."""
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
        """Numbers of users, items, and interactions per split, as papers report them."""
        return {"users": self.n_users, "items": self.n_items} | {
            name: len(pairs) for name, pairs in self.splits.items()
        }


def _plain_bytes(values: np.ndarray) -> bytes:
    """The values in C order and little-endian, so that a digest is the same on every machine."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
