"""`python -m recmm data describe`: prints statistics of a catalogue, or writes them as a page."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recmm.ingest.cli.options import FeaturesOption, InteractionsOption, JsonOption, LayoutOption, Target
from recmm.terminal import printable


def describe(
    target: Target,
    layout: LayoutOption = None,
    interactions: InteractionsOption = None,
    features: FeaturesOption = None,
    as_json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Also write catalogue.html and catalogue.png into this folder."),
    ] = None,
) -> None:
    """Show sizes, sparsity, interactions per user and item, missing modalities, and how well features fit the items.

    [bold]Examples[/bold]

      python -m recmm data describe my_folder --out my_folder_described

      python -m recmm data describe tiktok_va

      python -m recmm data describe dataset=synthetic dataset.scale=0.5 --json
    """
    from recmm.ingest.describe.statistics import describe_dataset
    from recmm.ingest.open_catalogue import catalogue

    dataset = catalogue(target, layout, interactions, features or []).dataset
    description = describe_dataset(dataset, " ".join(target))
    if as_json:
        typer.echo(json.dumps(description.to_json(), indent=2))
    else:
        _print(description)
    if out is not None:
        from recmm.data.files.atomic import writing
        from recmm.ingest.describe.page import write_page

        with writing(out):
            written = write_page(description, out)
        for path in written:
            typer.echo(f"written: {path}", err=as_json)


def _print(description: Any) -> None:
    from recmm.ingest.describe.tables import tables

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)  # a file or a pipe has no width
    for table in tables(description):
        shown = Table(title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(table.columns):
            shown.add_column(Text(column), justify="right" if number else "left")
        for row in table.rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        console.print(shown)
        if table.note:
            console.print(Text(printable(table.note), style="dim"))
            console.print()
