"""Convert a source in any of the layouts into a canonical folder, and print a summary."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recmm.data.files.atomic import atomic_folder
from recmm.data.formats.canonical_writer import fill_canonical
from recmm.errors import ConfigError, MissingFileError
from recmm.ingest.cli.help import train_line
from recmm.ingest.cli.options import Layout
from recmm.ingest.cli.progress import waiting
from recmm.ingest.importing.amazon import AmazonOptions, import_amazon
from recmm.ingest.importing.assembly import Imported
from recmm.ingest.importing.csv_tables import CsvOptions, import_csv
from recmm.ingest.importing.released import (
    MMRecOptions,
    SplitFilesOptions,
    import_json,
    import_matrices,
    import_mmrec,
)
from recmm.terminal import printable

READERS: Mapping[Layout, tuple[Callable[..., Imported], type[Any]]] = {
    Layout.mmrec: (import_mmrec, MMRecOptions),
    Layout.matrices: (import_matrices, SplitFilesOptions),
    Layout.json: (import_json, SplitFilesOptions),
    Layout.csv: (import_csv, CsvOptions),
    Layout.amazon: (import_amazon, AmazonOptions),
}


def convert(layout: Layout, source: Path, out: Path, *, name: str | None, given: Mapping[str, Any]) -> None:
    """Import ``source`` into the new folder ``out``, which is written completely or not at all, and print a summary.

    Args:
        layout: of the source; a key of ``READERS``.
        source: a folder, or for csv the table of interactions itself.
        name: of the catalogue; None: the name of ``out``.
        given: options of this layout, by the field names of its dataclass.

    Raises:
        MissingFileError: ``source`` does not exist.
        ConfigError: an option of another layout, or options that contradict each other.
        DataError: ``out`` exists already, a file is absent, or a reader refuses it.
    """
    read, kind = READERS[layout]
    folder, options = _place(layout, source, given)
    taken = [field.name for field in fields(kind)]
    if foreign := [option for option in given if option not in taken]:
        raise ConfigError(
            f"{_option(foreign[0])} does not apply to --from {layout}, which takes {', '.join(map(_option, taken))}."
        )
    settings = kind(**options)
    with atomic_folder(out) as new:
        # Amazon's readers show a progress bar of their own; the others are single library calls.
        with nullcontext() if layout is Layout.amazon else waiting(f"Reading {source}"):
            made = read(folder, name or out.resolve().name, settings, new)
        with waiting(f"Checking and writing {out}"):
            fill_canonical(made.dataset, new, raw=made.raw)
    Console().print(summary(made))
    for remark in made.remarks:
        Console().print(printable(remark), soft_wrap=True, highlight=False, markup=False)
    Console().print(f"Next: {train_line(out)}", soft_wrap=True, highlight=False, markup=False)


def summary(made: Imported) -> Table:
    """A table of what was imported and what was dropped."""
    dataset = made.dataset
    sizes = dataset.statistics()
    n_pairs = sum(len(pairs) for pairs in dataset.splits.values())
    table = Table(title=escape(printable(f"{dataset.name}, split {dataset.split.name}")), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for what, number in sizes.items():
        table.add_row(what, f"{number:,}")
    table.add_row("interactions", f"{n_pairs:,}")
    table.add_row("sparsity", f"{1 - n_pairs / (dataset.n_users * dataset.n_items):.4%}")
    table.add_section()
    for modality, values, observed in dataset.features.columns():
        lacking = int((~observed).sum())
        table.add_row(
            f"{modality} ({values.shape[1]:,} columns): items without features",
            f"{lacking:,} ({lacking / len(values):.1%})",
        )
    if made.raw is not None:
        for column in ("text", "image", "audio"):
            lacking = made.raw[column].null_count()
            if lacking < len(made.raw):
                table.add_row(
                    f"{column} in raw.parquet: items without content", f"{lacking:,} ({lacking / len(made.raw):.1%})"
                )
    table.add_section()
    notes = {
        "repeated pairs dropped": int(dataset.notes["duplicates_dropped"]),
        "users without training interactions": int(dataset.notes["users_without_history"]),
        "items without training interactions": int(dataset.notes["cold_items"]),
    }
    for what, number in (dict(made.counts) | {what: number for what, number in notes.items() if number}).items():
        table.add_row(what, f"{number:,}")
    return table


def _place(layout: Layout, source: Path, given: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The folder that file names are relative to, and the options, with the table if ``source`` is the table."""
    if source.is_dir():
        return source, dict(given)
    if not source.exists():
        raise MissingFileError(f"{source} does not exist: name the folder with the files, or for csv the table.")
    if layout is not Layout.csv or "interactions" in given:
        raise ConfigError(f"{source} is a file: name its folder, and the file with its own option.")
    return source.parent, {**given, "interactions": source.name}


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")
