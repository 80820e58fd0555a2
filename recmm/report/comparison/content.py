"""What content contributes: each method with its real features beside the same method under each control."""

from dataclasses import replace
from typing import Any

import polars as pl

from recmm.errors import RunError
from recmm.evaluation.significance import holm
from recmm.report.comparison.compare import compare_with_control
from recmm.report.comparison.tables import Row, Table, note_of
from recmm.report.results.cells import Cell, means
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results

REAL = ("full", "natural")
"""Missing settings under which a method sees all features that the data has, the preferred one first."""

_COLUMNS = {
    "difference": "difference",
    "difference_low": "95 % low",
    "difference_high": "95 % high",
    "difference_crossed": "interval over",
    "test": "test",
    "p": "p",
    "p_holm": "p (Holm)",
}


def content(results: Results) -> tuple[list[Table], list[str]]:
    """One table per catalogue and metric, a row for each method and control.

    Returns:
        The tables; there is none without a run under a control. And a sentence for each comparison that was refused.
    """
    tables: list[Table] = []
    refused: dict[str, None] = {}
    for (catalogue,), group in results.frame.group_by("catalogue", maintain_order=True):
        for metric in results.metrics:
            rows = []
            for method in in_order(group, "method"):
                own = group.filter(pl.col("method") == method)
                for control in in_order(own.filter("control"), "condition"):
                    try:
                        rows.append((method, control, *_compared(own, control, metric)))
                    except RunError as error:
                        refused[f"What content contributes to {method} on {catalogue} under {control}: {error}"] = None
            if rows:
                tables.append(_table(str(catalogue), metric, rows))
    return tables, list(refused)


def _compared(own: pl.DataFrame, control: str, metric: str) -> tuple[Cell, Cell, dict[str, Any]]:
    """The means with real features and under the control over the seeds that both have, and their test."""
    replaced = own.filter(pl.col("condition") == control)
    real = own.filter(~pl.col("control"), pl.col("imputer") == replaced["imputer"][0], pl.col("missing").is_in(REAL))
    real = real.filter(pl.col("condition_order") == pl.col("condition_order").min())
    real, replaced = real.join(replaced, on="seed", how="semi"), replaced.join(real, on="seed", how="semi")
    if real.is_empty():
        raise RunError(
            f"no run with real features has the same seed and imputer. Run it with missing={' or '.join(REAL)}, too."
        )
    cells = [means(frame, ("method",), f"test/{metric}").get((frame["method"][0],)) for frame in (real, replaced)]
    if cells[0] is None or cells[1] is None:
        raise RunError(f"there is no {metric} of it.")
    return cells[0], cells[1], compare_with_control(real, replaced, metric)


def _table(catalogue: str, metric: str, compared: list[tuple[str, str, Cell, Cell, dict[str, Any]]]) -> Table:
    corrected = holm([test["p"] for *_, test in compared])
    rows = []
    for (method, control, real, replaced, test), p in zip(compared, corrected, strict=True):
        folders = (*real.folders, *replaced.folders)
        values = test | {"p_holm": p}
        kept = Cell(_share(replaced.value, real.value), folders=folders, digits=3)
        tested = [replace(Cell(values[name]), folders=folders) for name in _COLUMNS]
        rows.append(Row((method, control), (real, replaced, kept, *tested)))
    note = note_of(
        rows,
        f"{metric_name(metric)} on test, mean ± standard deviation over the seeds that both were run with. Real "
        f"features: missing={REAL[0]}, or {REAL[1]} where a method did not run under it, with the same imputer. Kept: "
        "the result under the control as a share of that with real features; the method does not owe it to the content "
        "of the items. Difference: real features minus control; values per user are averaged over seeds and mask seeds "
        "and paired over users. p values are corrected by Holm's method over this table",
    )
    columns = ("real features", "under the control", "kept", *_COLUMNS.values())
    title = f"What content contributes to {metric_name(metric)} on {catalogue}"
    return Table(file_name("content", catalogue, metric), title, note, ("method", "control"), columns, tuple(rows))


def _share(part: Any, whole: Any) -> float | None:
    return part / whole if whole else None
