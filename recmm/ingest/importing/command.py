"""`python -m recmm data import`: other people's files to the canonical layout."""

import enum
from pathlib import Path
from typing import Annotated, Any

import typer


class Layout(enum.StrEnum):
    """What the source looks like."""

    mmrec = "mmrec"
    matrices = "matrices"
    json = "json"
    csv = "csv"
    amazon = "amazon"


class SplitKind(enum.StrEnum):
    """Where a table's split comes from."""

    random = "random"
    given = "given"


RELEASED, TABLES, AMAZON = "mmrec, matrices, json", "csv: tables with raw labels", "amazon: McAuley's files of 2014"
FILTERS = "csv and amazon: filter and split"


def import_(
    context: typer.Context,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="The folder with the files (csv: or the table itself). Files are named relative to it.",
        ),
    ],
    layout: Annotated[Layout, typer.Option("--from", help="What the files look like.")],
    out: Annotated[Path, typer.Option(help="The new canonical folder; one that is there already is not overwritten.")],
    name: Annotated[
        str | None, typer.Option(help="The catalogue's name in tables; if not given, that of --out.")
    ] = None,
    split_name: Annotated[
        str | None,
        typer.Option(
            help="A short name for the split, part of the data's digest; `given` or `random-s<seed>` if not given."
        ),
    ] = None,
    interactions: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="mmrec: the .inter table. csv: the table of interactions. amazon: the reviews. If not given, the only "
            "*.inter or reviews_*.json.gz of the folder.",
        ),
    ] = None,
    features: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=FILE",
            help="A .npy file of one row per item; once for each modality. All but amazon.",
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
        typer.Option(metavar="FILE", help="trnMat.pkl or train.json if not given.", rich_help_panel=RELEASED),
    ] = None,
    val: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="valMat.pkl or val.json if not given.", rich_help_panel=RELEASED),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="tstMat.pkl or test.json if not given.", rich_help_panel=RELEASED),
    ] = None,
    min_interactions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Keep users and items with at least K interactions, to a fixed point (k-core). csv: 1, amazon: 5.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="SEED", help="Seed of the random split; 0 if not given.", rich_help_panel=FILTERS),
    ] = None,
    split: Annotated[
        SplitKind | None,
        typer.Option(
            help="csv: per user at random as in the papers, or as a column gives it (train, val, test or 0, 1, 2); "
            "random if not given.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Found by its name if not given; so are the next four.", rich_help_panel=TABLES
        ),
    ] = None,
    item: Annotated[str | None, typer.Option(metavar="COLUMN", rich_help_panel=TABLES)] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Numbers, or dates and times in ISO 8601; `none`: go without.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    rating: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Read for --min-rating only.", rich_help_panel=TABLES)
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Read for --split given only.", rich_help_panel=TABLES)
    ] = None,
    min_rating: Annotated[
        float | None,
        typer.Option(metavar="RATING", help="Drop interactions that are rated lower.", rich_help_panel=TABLES),
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A table of items: CSV, TSV or Parquet.", rich_help_panel=TABLES),
    ] = None,
    item_id: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Its column of item labels; found by its name if not given.", rich_help_panel=TABLES
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="Its texts; once for each column, joined in this order.", rich_help_panel=TABLES
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Its image files.", rich_help_panel=TABLES)
    ] = None,
    audio: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Its sound files.", rich_help_panel=TABLES)
    ] = None,
    keep_all_items: Annotated[
        bool,
        typer.Option(
            "--keep-all-items", help="Keep its items that nobody interacted with; else dropped.", rich_help_panel=TABLES
        ),
    ] = False,
    feature_ids: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODALITY=FILE",
            help="Whose row is which in a --features file: a text file with one item label per line, or a table with a "
            "column of items. If not given, rows are in the order of --items.",
            rich_help_panel=TABLES,
        ),
    ] = None,
    meta: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="meta_<category>.json.gz if it is there.", rich_help_panel=AMAZON),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="image_features_<category>.b if it is there.", rich_help_panel=AMAZON),
    ] = None,
    text_without_description: Annotated[
        bool,
        typer.Option(
            "--text-without-description",
            help="Items without a description have a text, too, of brand, title and category; else none.",
            rich_help_panel=AMAZON,
        ),
    ] = False,
) -> None:
    """Turn other people's files into a canonical folder, to train with `dataset=canonical`.

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
    """The options that the person typed, beyond those that belong to every layout: parameter -> value."""
    common = ("context", "source", "layout", "out", "name")
    typed = {
        name: value
        for name, value in context.params.items()
        if name not in common and (origin := context.get_parameter_source(name)) and origin.name != "DEFAULT"
    }
    return {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items()}
