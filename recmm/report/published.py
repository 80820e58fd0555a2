"""Numbers that papers print, beside what was measured under the same dataset, setting, method and metric."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from recmm.errors import RunError
from recmm.report.tables import Cell, Row, Table

COLUMNS = ("table", "dataset", "missing", "method", "variant", "rate", "metric", "value", "note")
EXPERIMENTS = Path("experiments")

Printed = Mapping[tuple[str, str, str, str], str]
"""Catalogue, method, condition and metric -> the number as it is printed."""

_KEYS = ("dataset", "missing", "model", "rate", "metric")
_ROW = ("table", "dataset", "missing", "rate", "method", "variant")


def find_published(folders: Sequence[Path]) -> list[Path]:
    """``published.csv`` of the experiments that the sweeps are named after, in the sweep or under ``experiments/``."""
    places = [path for folder in folders for path in (folder, EXPERIMENTS / folder.resolve().name)]
    return list(dict.fromkeys(path / "published.csv" for path in places if (path / "published.csv").exists()))


def read_published(paths: Sequence[Path]) -> pl.DataFrame:
    """The files as one frame of ``COLUMNS``; rate is a number, the rest text, what is left empty null.

    Raises:
        RunError: a file cannot be read, lacks a column, or holds a rate or value that is no number.
    """
    empty = pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String) | {"rate": pl.Float64})
    return pl.concat([empty, *map(_read, paths)])


def _read(path: Path) -> pl.DataFrame:
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise RunError(f"{path} cannot be read as CSV ({error}); it needs the columns {', '.join(COLUMNS)}.") from error
    if lacking := [name for name in COLUMNS if name not in table.columns]:
        raise RunError(f"{path} lacks the columns {', '.join(lacking)}; it needs {', '.join(COLUMNS)}.")
    try:
        table["value"].cast(pl.Float64)  # kept as printed: 0.0220 has one digit more than 0.022
        return table.select(COLUMNS).with_columns(pl.col("rate").cast(pl.Float64))
    except pl.exceptions.PolarsError as error:
        raise RunError(f"{path}: rate and value have to be numbers or empty ({error}).") from error


def match(frame: pl.DataFrame, published: pl.DataFrame) -> tuple[Printed, pl.DataFrame]:
    """Join printed numbers to measured ones on dataset, missing, method (the model's name), metric and rate.

    A model with several variants under one condition takes none, as the file does not say which of them the paper has;
    neither does a place for which different numbers are printed.

    Args:
        frame: runs with names, those without modalities in every condition.
        published: as ``read_published`` returns it.

    Returns:
        What stands beside a measured number, and the rows that do not.
    """
    wanted = published.rename({"method": "model"}).with_row_index("row")
    printed = wanted.drop_nulls("value").filter(pl.col("value").n_unique().over(_KEYS) == 1)
    places = ("dataset", "missing", "model", "rate")
    measured = frame.select("catalogue", "method", "condition", *places).unique(maintain_order=True)
    alone = measured.filter(pl.len().over("catalogue", "condition", "model") == 1)
    joined = alone.join(printed, on=places, how="inner", nulls_equal=True)
    found = {
        (row["catalogue"], row["method"], row["condition"], row["metric"]): row["value"] for row in joined.to_dicts()
    }
    return found, wanted.filter(~pl.col("row").is_in(joined["row"].implode())).rename({"model": "method"}).drop("row")


def published_table(rest: pl.DataFrame) -> Table | None:
    """The printed numbers that stand beside nothing measured, a column per metric; None where there are none."""
    if rest.is_empty():
        return None
    metrics = tuple(rest["metric"].unique(maintain_order=True))
    rows = []
    for key, group in rest.group_by(_ROW, maintain_order=True):
        values = dict(group.select("metric", "value").rows())
        notes = "; ".join(group["note"].drop_nulls().unique(maintain_order=True))
        labels = tuple("" if part is None else str(part) for part in key)
        rows.append(Row(labels, (*(Cell(values.get(metric)) for metric in metrics), Cell(notes or None))))
    note = "As the papers print them; a row without numbers stands for a figure without printed ones."
    title = "Published numbers with nothing measured beside them"
    return Table("published", title, note, _ROW, (*metrics, "note"), tuple(rows), wide=True)
