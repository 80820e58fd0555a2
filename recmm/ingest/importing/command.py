"""The arguments of `python -m recmm data import`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from recmm.ingest.cli.options import Layout, one_of


class SplitKind(StrEnum):
    """Where the split of a table comes from."""

    random = "random"
    given = "given"


# Titles of the groups of options in the help.
RELEASED, TABLES, AMAZON = "mmrec, matrices, json", "csv: tables with raw labels", "amazon: McAuley's files of 2014"
FILTERS = "csv and amazon: filter and split"


def import_(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="The folder with the files, or for csv the table of interactions. File names are relative to it.",
        ),
    ],
    layout: Annotated[
        Layout,
        typer.Option(
            "--from",
            help="The layout of the files.",
            **one_of(Layout.mmrec, Layout.matrices, Layout.json, Layout.csv, Layout.amazon),
        ),
    ],
    out: Annotated[Path, typer.Option(help="The new canonical folder. An existing folder is not overwritten.")],
    name: Annotated[
        str | None, typer.Option(help="The name of the catalogue in reports. Default: the name of --out.")
    ] = None,
    split_name: Annotated[
        str | None,
        typer.Option(
            help="A short name for the split; part of the data's digest. Default: `given` or `random-s<seed>`."
        ),
    ] = None,
    interactions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="mmrec: the .inter table. csv: the table of interactions. amazon: the reviews. Default: the only "
            "*.inter or reviews_*.json.gz in the folder.",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=FILE",
            help="A matrix with one row per item: .npy, .npz, .pt, .safetensors or .parquet; FILE:NAME if the file "
            "holds several. Repeat for each modality. Not for amazon.",
        ),
    ] = None,
    labels: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="USERS ITEMS", help="mmrec: the two files that map raw labels to ids.", rich_help_panel=RELEASED
        ),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Default: trnMat.pkl or train.json.", rich_help_panel=RELEASED),
    ] = None,
    val: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Default: valMat.pkl or val.json.", rich_help_panel=RELEASED),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Default: tstMat.pkl or test.json.", rich_help_panel=RELEASED),
    ] = None,
    min_interactions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Drop users and items with fewer than K interactions, repeatedly until none is left (k-core). "
            "Default: 1 for csv, 5 for amazon.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="SEED", help="Seed of the random split. Default: 0.", rich_help_panel=FILTERS),
    ] = None,
    split: Annotated[
        SplitKind | None,
        typer.Option(
            help="csv: `random` splits each user's interactions at random, as in the papers; `given` reads a column "
            "with train, val, test or 0, 1, 2. Default: random.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of users. Default: found by its usual names; so are the next four.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    item: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of items.", rich_help_panel=TABLES)
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of times: dates and times in ISO 8601, or seconds, ms, us or ns since 1970. `none`: read "
            "no times.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    time_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="How times are written: iso, s, ms, us, ns (since 1970), or a pattern such as '%m/%d/%Y %H:%M:%S'. "
            "Default: auto, ISO 8601 or numbers whose unit is recognised by their size.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    rating: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of ratings, for --min-rating.", rich_help_panel=TABLES),
    ] = None,
    split_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of the split, for --split given.", rich_help_panel=TABLES),
    ] = None,
    min_rating: Annotated[
        float | None,
        typer.Option(metavar="RATING", help="Drop interactions with a lower rating.", rich_help_panel=TABLES),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A table of items: CSV, TSV or Parquet.", rich_help_panel=TABLES),
    ] = None,
    item_id: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of item labels in --items. Default: found by its usual names.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="A column of texts in --items. Repeat for several columns, joined in this order.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of image files in --items.", rich_help_panel=TABLES)
    ] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column of sound files in --items.", rich_help_panel=TABLES)
    ] = None,
    keep_all_items: Annotated[
        bool,
        typer.Option(
            "--keep-all-items",
            help="Keep items of --items that have no interactions. Default: they are dropped.",
            rich_help_panel=TABLES,
        ),
    ] = False,
    feature_ids: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=FILE",
            help="The item of each row in a --features file: a text file with one item label per line, or a table with "
            "a column of items. Default: the column of items in a .parquet file, else rows follow --items.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    meta: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Default: meta_<category>.json.gz, if it exists.", rich_help_panel=AMAZON),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Default: image_features_<category>.b, if it exists.", rich_help_panel=AMAZON
        ),
    ] = None,
    text_without_description: Annotated[
        bool,
        typer.Option(
            "--text-without-description",
            help="Also make texts for items without a description, from brand, title and category.",
            rich_help_panel=AMAZON,
        ),
    ] = False,
) -> None:
    """Convert files of another layout into a canonical folder, to train on with `dataset=canonical`.

    [bold]mmrec[/bold]: one .inter table (userID, itemID, x_label) and .npy features

    [bold]matrices[/bold]: trnMat.pkl, valMat.pkl, tstMat.pkl and .npy features

    [bold]json[/bold]: train.json, val.json, test.json of {user: \\[items]} and .npy features

    [bold]csv[/bold]: a table of interactions with raw labels (CSV, TSV, Parquet), and a table of items

    [bold]amazon[/bold]: reviews_X_5.json.gz, meta_X.json.gz, image_features_X.b

    [bold]Examples[/bold]

      python -m recmm data import data/tiktok --from matrices \\
          --features visual=image_feat.npy --out data/mine

      python -m recmm data import data/baby --from mmrec --out data/mine \\
          --labels u_id_mapping.csv i_id_mapping.csv

      python -m recmm data import ratings.csv --from csv --out data/mine \\
          --min-rating 4 --min-interactions 5

      python -m recmm data import ratings.csv --from csv --out data/mine \\
          --items items.csv --text title --image file

      python -m recmm data import data/amazon --from amazon --out data/mine \\
          --split-seed 1
    """
    from recmm.ingest.importing.convert import convert

    convert(layout, source, out, name=name, given=_given(context))


def _given(context: typer.Context) -> dict[str, Any]:
    """Parameter -> value of the options on the command line, without those that apply to every layout."""
    common = ("context", "source", "layout", "out", "name")
    typed = {
        name: value
        for name, value in context.params.items()
        if name not in common and (origin := context.get_parameter_source(name)) and origin.name != "DEFAULT"
    }
    return {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items()}
