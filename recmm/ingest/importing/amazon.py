"""`python -m recmm data import --from amazon`: the review data of 2014 as McAuley's pages hold it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.arrays import load_features
from recmm.data.files.row_file import row_file
from recmm.data.formats.amazon import read_reviews, read_texts
from recmm.data.formats.amazon_images import DIM, copy_image_rows
from recmm.data.formats.canonical import RAW_COLUMNS, feature_file
from recmm.data.protocols.random_per_user import random_split
from recmm.errors import ConfigError, MissingFileError
from recmm.ingest.importing.catalogue import Imported, catalogue, filtered

MODALITY = "visual"


@dataclass(frozen=True)
class AmazonOptions:
    """What a person may say about the files; see the options of the command. None: looked for by name."""

    interactions: str | None = None
    meta: str | None = None
    images: str | None = None
    min_interactions: int = 5
    split_seed: int = 0
    split_name: str | None = None
    text_without_description: bool = False


def import_amazon(folder: Path, name: str, options: AmazonOptions, new: Path) -> Imported:
    """Read the files in ``folder`` and put the image features into the canonical folder ``new`` that is being made.

    Items without an image row are not observed in ``visual``; items without a description have no text.

    Raises:
        ConfigError: several files that may be meant.
        DataError: everything that the readers find wrong.
    """
    reviews = folder / options.interactions if options.interactions else _only_reviews(folder)
    category = reviews.name.removeprefix("reviews_").split(".")[0].removesuffix("_5")
    meta = _optional(folder, options.meta, f"meta_{category}.json.gz")
    images = _optional(folder, options.images, f"image_features_{category}.b")
    raw = filtered(read_reviews(reviews), options.min_interactions).dense().split_at_random(options.split_seed)
    items = raw.item_labels
    counts = raw.dropped
    features = {}
    if images is not None:
        with row_file(new / feature_file(MODALITY), len(items), DIM, np.dtype("<f4")) as target:
            counts = counts | copy_image_rows(images, items, target)
        features[MODALITY] = load_features(new / feature_file(MODALITY), "the image features"), target.written
    split = random_split(options.split_seed, options.split_name)
    dataset = catalogue(raw, features, name=name, split=split, sources={MODALITY: str(images)} if images else {})
    if meta is None:
        return Imported(dataset, None, counts)
    texts = read_texts(meta, items, without_description=options.text_without_description)
    columns = {"item": items, "text": texts, "image": None, "audio": None}
    return Imported(dataset, pl.DataFrame(columns, schema=dict.fromkeys(RAW_COLUMNS, pl.String)), counts)


def _only_reviews(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("reviews_*.json*") if path.is_file())
    if not found:
        raise MissingFileError(
            f"{folder} holds no reviews_<category>_5.json.gz: put the file there, or name another with --interactions."
        )
    if len(found) > 1:
        raise ConfigError(
            f"{folder} holds {', '.join(path.name for path in found)}: say with --interactions which is meant."
        )
    return found[0]


def _optional(folder: Path, given: str | None, usual: str) -> Path | None:
    """The file that is ``given``, else the one of the ``usual`` name if it is there."""
    if given is not None:
        return folder / given
    return folder / usual if (folder / usual).is_file() else None
