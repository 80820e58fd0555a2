"""Datasets from Python: by name, from a folder, or from frames and arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.api.arguments import arguments_of
from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.formats import write_canonical
from recmm.data.formats.manifest import MANIFEST
from recmm.deploy.in_process import compose
from recmm.errors import ColumnError, ConfigError, FeatureShapeError, IdError
from recmm.experiment.config.build import build

_OPTIONAL = ("timestamp", "weight")


@dataclass(frozen=True)
class Data:
    """A dataset and how a run finds it.

    Attributes:
        dataset: the catalogue: splits, features, raw labels.
        arguments: those of `train.py` that choose it; None while it is in memory only.
    """

    dataset: MultimodalDataset
    arguments: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        about = self.dataset
        sizes = f"{about.n_users:,} users, {about.n_items:,} items, {len(about.train):,} training pairs"
        return f"<{about.name}: {sizes}, modalities {', '.join(about.modalities) or 'none'}>"

    def stored(self, output: Path) -> tuple[str, ...]:
        """The arguments that choose it. A dataset in memory is written to ``output``/datasets first, by its digest.

        Raises:
            DataError: it cannot be written.
        """
        if self.arguments is not None:
            return self.arguments
        folder = output / "datasets" / f"{self.dataset.name}-{self.dataset.digest[:12]}"
        if not (folder / MANIFEST).is_file():
            write_canonical(self.dataset, folder)
        return ("dataset=canonical", *arguments_of({"dataset.folder": folder}))


def load_dataset(name: str | Path, **values: Any) -> Data:
    """A dataset of ``conf/dataset`` by its name, such as "tiktok_va", or a folder in recmm's own layout.

    Args:
        values: keys of the group ``dataset``, such as ``modalities=["visual"]``.

    Raises:
        ConfigError: there is no such dataset or folder, or a key is wrong.
        DataError: a file is absent or refused.
    """
    folder = Path(name).expanduser()
    if (folder / MANIFEST).is_file():
        values = {"folder": folder.absolute()} | values
        arguments = ("dataset=canonical", *arguments_of(values, "dataset"))
    elif folder.is_dir():
        raise ConfigError(
            f"{name} has no {MANIFEST}: it is not in recmm's own layout. `python -m recmm data import {name}` makes a "
            "folder that is."
        )
    else:
        arguments = (f"dataset={name}", *arguments_of(values, "dataset"))
    return Data(build(compose(arguments).dataset).dataset, arguments)


def dataset_from_frames(
    *,
    train: Any,
    val: Any,
    test: Any,
    features: Mapping[str, Any] | None = None,
    observed: Mapping[str, Any] | Any = None,
    items: Sequence[Any] | None = None,
    name: str = "frames",
) -> Data:
    """A dataset from three frames of interactions and an array of features per modality.

    Args:
        train, val, test: frames (Polars, pandas, or mappings of columns) with the columns ``user`` and ``item``, which
            hold raw ids of any type, and optionally ``timestamp`` and ``weight``.
        features: modality -> [n_items, D], one row per item in the order of ``items``.
        observed: modality -> bool [n_items], or bool [n_items, M]: False where the item lacks the modality. None: all
            have all.
        items: raw ids of all items, in the order of the rows of ``features``. None: the items of the interactions in
            the order in which they first occur; with features, the ids then have to be the rows' numbers.
        name: of the dataset, in tables and records.

    Raises:
        ColumnError: a frame lacks a column.
        IdError: an item of the interactions is not among ``items``, or they are needed and not given.
        FeatureShapeError: ``observed`` names other modalities.
        DataError: see ``recmm.data.assembly.assemble``.
    """
    given, modalities = dict(features or {}), list(features or {})
    frames = {part: _frame(frame, part) for part, frame in zip(SPLITS, (train, val, test), strict=True)}
    together = pl.concat([frame.select("user", "item") for frame in frames.values()])
    user_ids = together["user"].unique(maintain_order=True)
    item_ids = _items(together["item"], items, given)
    columns = {
        part: SplitColumns(
            _dense(frame["user"], user_ids),
            _dense(frame["item"], item_ids),
            timestamps=_values(frame, "timestamp"),
            weights=_values(frame, "weight"),
            source=f"the frame {part}",
        )
        for part, frame in frames.items()
    }
    return Data(
        assemble(
            name=name,
            split=Split("given", "as given by three frames"),
            splits=columns,
            n_users=len(user_ids),
            n_items=len(item_ids),
            features={modality: np.asarray(values) for modality, values in given.items()},
            observed=_observed(observed, modalities, len(item_ids)),
            user_ids=user_ids.to_list(),
            item_ids=item_ids.to_list(),
        )
    )


def _frame(given: Any, part: str) -> pl.DataFrame:
    """The known columns of a frame of any library; raw ids as text."""
    names = list(given.columns if hasattr(given, "columns") else given)
    for column in ("user", "item"):
        if column not in names:
            raise ColumnError(f"The frame {part} has the columns {', '.join(map(str, names))}: it needs user and item.")
    found = {name: given[name] for name in ("user", "item", *_OPTIONAL) if name in names}
    ids = {name: pl.Series([str(label) for label in found.pop(name)], dtype=pl.String) for name in ("user", "item")}
    return pl.DataFrame(ids | {name: pl.Series(np.asarray(values)) for name, values in found.items()})


def _values(frame: pl.DataFrame, column: str) -> np.ndarray | None:
    return frame[column].to_numpy() if column in frame.columns else None


def _items(occurring: pl.Series, items: Sequence[Any] | None, features: Mapping[str, Any]) -> pl.Series:
    present = occurring.unique(maintain_order=True)
    if items is None and not features:
        return present
    n_rows = max((len(values) for values in features.values()), default=0)
    labels = pl.Series([str(item) for item in (range(n_rows) if items is None else items)], dtype=pl.String)
    unknown = present.filter(~present.is_in(labels.implode()))
    if len(unknown):
        needed = "give the raw ids of the features' rows as items=[...]" if items is None else "name all items in items"
        raise IdError(
            f"{len(unknown):,} items of the interactions have no row of features, for example {unknown[0]!r}: {needed}."
        )
    return labels


def _dense(labels: pl.Series, ids: pl.Series) -> np.ndarray:
    places = pl.DataFrame({"label": ids}).unique("label", maintain_order=True).with_row_index("id")
    found = pl.DataFrame({"label": labels}).join(places, on="label", how="left", maintain_order="left")
    return found["id"].cast(pl.Int64).to_numpy()


def _observed(given: Any, modalities: Sequence[str], n_items: int) -> np.ndarray | None:
    if given is None or not isinstance(given, Mapping):
        return None if given is None else np.asarray(given)
    unknown = sorted(set(given) - set(modalities))
    if unknown:
        raise FeatureShapeError(f"observed names {', '.join(unknown)}; the features are {', '.join(modalities)}.")
    return np.stack([np.asarray(given.get(m, np.ones(n_items, bool))) for m in modalities], axis=1)
