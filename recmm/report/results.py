"""The report's tables of results, from a frame of runs with names (``labels.with_names``) and links."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from recmm.report.labels import competing, conditions_of, is_published, methods_of, metric_name
from recmm.report.published import Printed
from recmm.report.tables import Cell, Row, Table, mark_best

Place = tuple[str, str, str]
"""Catalogue, condition, metric: one column of an overall table."""

FULL = "full"


def means(frame: pl.DataFrame, keys: Sequence[str], column: str, digits: int = 4) -> dict[tuple[Any, ...], Cell]:
    """Mean, sample standard deviation, number and folders of the runs of each group; without groups that lack it."""
    groups = (
        frame.drop_nulls(column)
        .group_by(keys, maintain_order=True)
        .agg(mean=pl.col(column).mean(), sd=pl.col(column).std(), n=pl.len(), folders=pl.col("link").unique().sort())
    )
    return {
        tuple(row[key] for key in keys): Cell(
            value=row["mean"], sd=row["sd"], n=row["n"], folders=tuple(row["folders"]), digits=digits
        )
        for row in groups.to_dicts()
    }


def overall(
    frame: pl.DataFrame,
    metrics: Sequence[str],
    monitor: str,
    stars: Mapping[Place, str],
    published: Printed,
) -> list[Table]:
    """Methods by conditions, one table per catalogue and metric.

    Args:
        frame: with the runs of methods without modalities in every condition.
        metrics: such as recall@20.
        monitor: the validation metric by which the setting of a model that is ranked was selected.
        stars: catalogue, condition and metric -> the method that is better than all others by the corrected test.
        published: what papers print for the same method, condition and metric; see ``published.match``.
    """
    tables = []
    for (catalogue,), group in frame.group_by("catalogue", maintain_order=True):
        conditions = conditions_of(group)
        ranked = set(competing(group, monitor)["method", "condition"].rows())
        several = group.filter(~is_published()).group_by("model", "condition").agg(pl.col("method").n_unique())
        for metric in metrics:
            cells = means(group, ("method", "condition"), f"test/{metric}")
            floors = means(group.filter(pl.col("model") == "popularity"), ("condition",), f"test/{metric}")
            rows = []
            for method in methods_of(group):
                row = [cells.get((method, condition), Cell()) for condition in conditions]
                row = [
                    replace(
                        cell,
                        ranked=(method, condition) in ranked,
                        star=stars.get((str(catalogue), condition, metric)) == method,
                        below_floor=_below(cell, floors.get((condition,))),
                        published=published.get((str(catalogue), method, condition, metric)),
                    )
                    for cell, condition in zip(row, conditions, strict=True)
                ]
                rows.append(Row((method,), tuple(row)))
            marked = mark_best(rows)
            what = f"{metric_name(metric)} on test, mean ± standard deviation over seeds and mask seeds"
            if (several["method"] > 1).any():
                what += f". Of several settings of one model only the best by {monitor} is ranked"
            note = _notes(marked, what)
            name = file_name("overall", str(catalogue), metric)
            title = f"{metric_name(metric)} on {catalogue}"
            tables.append(Table(name, title, note, ("method",), tuple(conditions), marked))
    return tables


def degradation(frame: pl.DataFrame, metrics: Sequence[str]) -> list[Table]:
    """What is left of each method's own result at full modality (1 = all of it); none where nothing ran with full."""
    tables = []
    for (catalogue,), group in relative_to_full(frame, metrics).group_by("catalogue", maintain_order=True):
        conditions = [condition for condition in conditions_of(group) if condition != FULL]
        for metric in metrics:
            cells = means(group, ("method", "condition"), f"relative/{metric}", digits=3)
            rows = tuple(
                Row((method,), tuple(cells.get((method, condition), Cell()) for condition in conditions))
                for method in methods_of(group)
            )
            note = _notes(
                rows,
                f"{metric_name(metric)} of each run divided by the mean of the same method with all modalities; the "
                "spread of that mean is not in the standard deviation",
            )
            name = file_name("degradation", str(catalogue), metric)
            title = f"Share of full-modality {metric_name(metric)} on {catalogue}"
            tables.append(Table(name, title, note, ("method",), tuple(conditions), rows))
    return [table for table in tables if table.columns and any(cell.n for row in table.rows for cell in row.cells)]


def relative_to_full(frame: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """The rows of methods that also ran with full modality, with ``relative/<metric>`` = test value / full mean.

    Full modality is the setting `full`, or of methods that did not run under it a missing rate of 0.
    """
    keys = ["catalogue", "method"]
    is_full = pl.col("condition") == FULL
    stand_in = (pl.col("rate") == 0) & ~is_full.any().over(keys)
    full = frame.filter(is_full | stand_in.fill_null(False)).group_by(keys)
    means_at_full = full.agg(pl.col(f"test/{metric}").mean().alias(f"full/{metric}") for metric in metrics)
    return frame.join(means_at_full, on=keys, how="inner", maintain_order="left").with_columns(
        (pl.col(f"test/{metric}") / pl.col(f"full/{metric}")).fill_nan(None).alias(f"relative/{metric}")
        for metric in metrics
    )


def strata(pairs: pl.DataFrame, metrics: Sequence[str]) -> list[Table]:
    """Test pairs by what their item has left: one row per condition and method, one column per set of modalities.

    Args:
        pairs: as ``strata_of`` returns them.
        metrics: those that strata do not have are left out.
    """
    tables = []
    for (catalogue,), group in pairs.group_by("catalogue", maintain_order=True) if not pairs.is_empty() else ():
        columns = sorted(set(group["stratum"]), key=lambda name: (name == "none", -name.count("+"), name))
        for metric in metrics:
            of_metric = group.filter(pl.col("metric") == metric)
            if of_metric.is_empty():
                continue
            cells = means(of_metric, ("condition", "method", "stratum"), "value")
            rows = [
                Row((condition, method), tuple(cells.get((condition, method, column), Cell()) for column in columns))
                for condition in conditions_of(of_metric)
                for method in methods_of(of_metric.filter(pl.col("condition") == condition))
            ]
            sizes = of_metric.group_by("stratum").agg(pl.col("n").min(), most=pl.col("n").max()).sort("stratum")
            shown = (f"{name} {least}" + (f" to {most}" if most > least else "") for name, least, most in sizes.rows())
            note = _notes(
                rows,
                f"{metric_name(metric)} over the test pairs whose item has just these modalities at test; every pair "
                "weighs the same. A method without modalities is a repetition under each mask. Pairs per run: "
                + ", ".join(shown),
                of="repetitions",
            )
            name = file_name("strata", str(catalogue), metric)
            title = f"{metric_name(metric)} by the modalities of the target item, {catalogue}"
            tables.append(Table(name, title, note, ("condition", "method"), tuple(columns), tuple(rows)))
    return tables


_COSTS = {
    "epochs": ("epochs", 1),
    "seconds_per_epoch": ("s per epoch", 2),
    "wall_seconds": ("s in total", 1),
    "peak_memory_mb": ("peak memory, MB", 0),
}


def costs(own: pl.DataFrame) -> list[Table]:
    """Epochs, time and memory of each method, as recorded on the machine that ran it."""
    tables = []
    for (catalogue,), group in own.group_by("catalogue", maintain_order=True):
        cells = {name: means(group, ("method",), name, digits) for name, (_, digits) in _COSTS.items()}
        rows = [
            Row((method,), tuple(cells[name].get((method,), Cell()) for name in _COSTS)) for method in methods_of(group)
        ]
        note = _notes(
            rows,
            "Mean ± standard deviation over all runs; seconds per epoch are the median of each run's training, "
            "without validation; memory is the host's. Machines and their load are not compared",
        )
        name, columns = file_name("costs", str(catalogue)), tuple(heading for heading, _ in _COSTS.values())
        tables.append(Table(name, f"Time and memory on {catalogue}", note, ("method",), columns, tuple(rows)))
    return tables


def all_runs(own: pl.DataFrame, metrics: Sequence[str]) -> Table:
    """Every run with what tells it apart and its metrics."""
    told_apart = ("method", "catalogue", "condition", "imputer", "settings_source")
    numbers = {"seed": "seed", "mask_seed": "mask seed", "best_epoch": "best epoch"}
    numbers |= {f"{split}/{metric}": f"{split} {metric}" for split in ("test", "val") for metric in metrics}
    numbers |= {"wall_seconds": "s in total", "signature": "signature"}
    rows = [
        Row(
            tuple(str(row[name] if row[name] is not None else "") for name in told_apart),
            tuple(
                Cell(row[name], n=1, folders=(row["link"],), digits=1 if name == "wall_seconds" else 4)
                for name in numbers
            ),
        )
        for row in own.to_dicts()
    ]
    labels = ("method", "data", "condition", "imputer", "settings")
    note = "One row per finished run, as its result.json has it; the first column leads to its folder."
    return Table("runs", "All runs", note, labels, tuple(numbers.values()), tuple(rows), wide=True)


def file_name(*parts: str) -> str:
    """The parts as one lower-case file name: ``rate``, ``tiktok (split 5-core)`` -> ``rate-tiktok-split-5-core``."""
    return "-".join(re.sub(r"[^\w.@-]+", "-", part.lower()).strip("-.") for part in parts)


def _below(cell: Cell, floor: Cell | None) -> bool:
    if floor is None or not isinstance(cell.value, float) or not isinstance(floor.value, float):
        return False
    return cell.value < floor.value


def _notes(rows: Sequence[Row], what: str, of: str = "runs") -> str:
    """The note under a table: what it shows, over how many runs, and the marks that occur in it."""
    cells = [cell for row in rows for cell in row.cells if cell.n]
    least, most = min((cell.n or 0 for cell in cells), default=0), max((cell.n or 0 for cell in cells), default=0)
    sentences = [what, f"n = {least} {of} per number" if least == most else f"n = {least} to {most} {of} per number"]
    if any(cell.mark for cell in cells):
        sentences.append("Bold: best, underlined: second best of the column")
    if any(cell.star for cell in cells):
        sentences.append("*: better than every other method of the column, paired test, Holm-corrected p < 0.05")
    if any(cell.below_floor for cell in cells):
        sentences.append("▽: below popularity")
    if any(cell.published is not None for cell in cells):
        sentences.append("In brackets: what the paper prints")
    if any(label.endswith("†") for row in rows for label in row.labels):
        sentences.append("†: settings that a paper published, chosen on its test set, and so not ranked")
    return ". ".join(sentences) + "."
