"""`python -m recmm data import --from csv`: tables of interactions and items with raw labels."""

from dataclasses import dataclass
from pathlib import Path

from recmm.data.dataset import Split
from recmm.data.files.feature_files import label_column
from recmm.data.formats.csv_table import InteractionColumns, read_interactions, read_items, read_labels
from recmm.data.joins import check_join
from recmm.data.protocols.random_per_user import random_split
from recmm.data.times import FORMATS
from recmm.errors import ConfigError
from recmm.ingest.cli.named_files import by_modality
from recmm.ingest.importing.assembly import Imported, dataset_from_raw, filtered, in_dense_order
from recmm.ingest.importing.reorder_features import reorder_features


@dataclass(frozen=True)
class CsvOptions:
    """Options of the command for this layout; see its help.

    Raises:
        ConfigError: options that contradict each other, or one that has no effect without another.
    """

    interactions: str | None = None
    user: str | None = None
    item: str | None = None
    timestamp: str | None = None
    time_format: str = "auto"
    rating: str | None = None
    split_column: str | None = None
    min_rating: float | None = None
    min_interactions: int = 1
    split: str = "random"
    split_seed: int | None = None
    split_name: str | None = None
    items: str | None = None
    item_id: str | None = None
    text: tuple[str, ...] = ()
    image: str | None = None
    audio: str | None = None
    keep_all_items: bool = False
    features: tuple[str, ...] = ()
    feature_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.interactions is None:
            raise ConfigError("Which table holds the interactions? Name it as SOURCE, or with --interactions.")
        if self.split == "given" and self.split_seed is not None:
            raise ConfigError("--split-seed applies to --split random; --split given draws nothing.")
        if self.split == "random" and self.split_column is not None:
            raise ConfigError("--split-column applies to --split given: add that, or leave --split-column out.")
        if self.min_rating is None and self.rating is not None:
            raise ConfigError("--rating applies to --min-rating: add a threshold, or leave --rating out.")
        if self.time_format not in FORMATS and "%" not in self.time_format:
            raise ConfigError(
                f"--time-format {self.time_format!r}: expected {', '.join(FORMATS)}, or a pattern such as '%m/%d/%Y'."
            )
        if self.timestamp == "none" and self.time_format != "auto":
            raise ConfigError("--time-format applies to a column of times: leave it or --timestamp none out.")
        if self.items is None and (self.keep_all_items or self.item_id or self.text or self.image or self.audio):
            raise ConfigError(
                "--keep-all-items, --item-id, --text, --image and --audio apply to a table of items: name one with "
                "--items."
            )


def import_csv(folder: Path, name: str, options: CsvOptions, new: Path) -> Imported:
    """Read the tables in ``folder`` and write the features into ``new``, the canonical folder in progress.

    The steps, in this order: drop low ratings, drop repetitions, reduce to the k-core, number users and items, split.

    Raises:
        ConfigError: options that contradict each other, or features whose rows cannot be assigned to items.
        DataError: a file is absent, a reader refuses it, or labels name no item.
    """
    features = by_modality(options.features, "--features")
    ids = by_modality(options.feature_ids, "--feature-ids")
    if unknown := [modality for modality in ids if modality not in features]:
        raise ConfigError(f"--feature-ids {unknown[0]}=...: there is no --features {unknown[0]}=FILE.")
    labelled = {m: column for m, file in features.items() if m not in ids and (column := label_column(folder / file))}
    in_table_order = [modality for modality in features if modality not in ids and modality not in labelled]
    if in_table_order and options.items is None:
        raise ConfigError(
            f"--features {in_table_order[0]}=...: which row belongs to which item? Add --feature-ids "
            f"{in_table_order[0]}=FILE, or --items FILE if the rows follow a table of items."
        )
    assert options.interactions is not None  # checked by CsvOptions
    raw = read_interactions(
        folder / options.interactions,
        InteractionColumns(options.user, options.item, options.timestamp, options.rating, options.split_column),
        min_rating=options.min_rating,
        given_split=options.split == "given",
        time_format=options.time_format,
    )
    raw = filtered(raw, options.min_interactions)
    table = None
    if options.items is not None:
        table = read_items(
            folder / options.items,
            item=options.item_id,
            text=list(options.text),
            image=options.image,
            audio=options.audio,
        )
    raw = raw.dense()
    rows = {m: read_labels(folder / ids[m]) for m in ids} | {
        m: table["item"] for m in in_table_order if table is not None
    }
    rows |= {m: read_items(folder / features[m], item=column)["item"] for m, column in labelled.items()}
    if table is not None:
        source = f"{folder / str(options.items)} (--items)"
        check_join(raw.item_labels, table["item"], source=source, catalogue=options.interactions)
    for modality in (*ids, *labelled):
        source = f"{folder / ids.get(modality, features[modality])} (the items of the features {modality!r})"
        check_join(raw.item_labels, rows[modality], source=source, catalogue=options.interactions)
    raw = raw.dense(table["item"] if table is not None and options.keep_all_items else None)
    split = Split(options.split_name or "given", "as given by the table of interactions")
    if options.split == "random":
        seed = options.split_seed or 0
        raw = raw.split_at_random(seed)
        split = random_split(seed, options.split_name)
    reordered = {m: reorder_features(folder / file, rows[m], raw.item_labels, new, m) for m, file in features.items()}
    sources = {modality: str(folder / file) for modality, file in features.items()}
    dataset = dataset_from_raw(raw, reordered, name=name, split=split, sources=sources)
    if table is None:
        return Imported(dataset, None, raw.dropped, raw.remarks)
    known = int(raw.item_labels.is_in(table["item"].implode()).sum())
    counts = {
        "items absent from the table of items": len(raw.item_labels) - known,
        "items of that table without interactions, dropped": len(table) - known,
    }
    return Imported(dataset, in_dense_order(table, raw.item_labels), raw.dropped | counts, raw.remarks)
