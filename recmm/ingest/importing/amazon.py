"""`python -m recmm data import --from amazon`: McAuley's Amazon review data of 2014, as released."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.arrays import load_features
from recmm.data.files.row_file import row_file
from recmm.data.formats.amazon import read_reviews, read_texts
from recmm.data.formats.amazon_images import DIM, copy_image_rows
from recmm.data.formats.manifest import RAW_COLUMNS, feature_file
from recmm.data.protocols.random_per_user import random_split
from recmm.ingest.cli.named_files import only_file
from recmm.ingest.importing.assembly import Imported, dataset_from_raw, filtered

MODALITY = "visual"


@dataclass(frozen=True)
class AmazonOptions:
    """Options of the command for this layout; see its help. A file that is None is looked for by its usual name."""

    interactions: str | None = None
    meta: str | None = None
    images: str | None = None
    min_interactions: int = 5
    split_seed: int = 0
    split_name: str | None = None
    text_without_description: bool = False


def import_amazon(folder: Path, name: str, options: AmazonOptions, new: Path) -> Imported:
    """Read the files in ``folder`` and write the image features into ``new``, the canonical folder in progress.

    An item without an image row is unobserved in ``visual``. An item without a description has no text, unless
    ``options.text_without_description``.

    Raises:
        ConfigError: several files of reviews, and no option that chooses one.
        DataError: a file is absent, or a reader refuses it.
    """
    reviews = folder / (options.interactions or only_file(folder, "reviews_*.json*", "reviews_<category>_5.json.gz"))
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
    dataset = dataset_from_raw(raw, features, name=name, split=split, sources={MODALITY: str(images)} if images else {})
    if meta is None:
        return Imported(dataset, None, counts)
    texts = read_texts(meta, items, without_description=options.text_without_description)
    columns = {"item": items, "text": texts, "image": None, "audio": None}
    return Imported(dataset, pl.DataFrame(columns, schema=dict.fromkeys(RAW_COLUMNS, pl.String)), counts)


def _optional(folder: Path, given: str | None, usual: str) -> Path | None:
    """The file that is ``given``, else the one with the ``usual`` name if it exists."""
    if given is not None:
        return folder / given
    return folder / usual if (folder / usual).is_file() else None
