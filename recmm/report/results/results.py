"""The table of results: the runs with every name, order and selection that the later stages show or sort by."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recmm.errors import RunError
from recmm.report.records.runs import Runs
from recmm.report.results.budgets import PUBLISHED, Budgets, budgets_of, with_equality
from recmm.report.results.order import with_order

FULL = "full"
_MONITOR = "val/recall@20"  # of records from before the key was written


@dataclass(frozen=True)
class Results:
    """The table of results.

    Attributes:
        frame: one row per run, the columns of ``Runs.frame`` and

            * link: the run's folder relative to the report's, with slashes on every system;
            * catalogue: dataset and split, with the data's digest where several data sets share both;
            * method: the variant, with a dagger where ``published``;
            * condition: shortened to ``rate 0.9`` where the rate alone distinguishes it;
            * published: the hyper-parameters are those of a paper, which chose them on its test set;
            * selected: of its model's variants under one condition this one has the best mean of ``monitor``. Taking
              the best by test numbers would select on the test set;
            * competes: selected and not published, so it may be called best;
            * equal_budget: whether its model had the budget that most models of the catalogue had;
            * condition_order, method_order: ranks, see ``with_order``.
        everywhere: the same with feature-free methods under every condition, see ``in_every_condition``.
        relative: the rows of ``everywhere`` of methods that ran with full modality, with ``relative/<metric>``, see
            ``relative_to_full``.
        metrics: those that the report shows, such as recall@20.
        budgets: what was spent on each model.
        monitor: the validation metric that selects, such as val/recall@20.
        hyper_parameters: as in ``Runs``.
    """

    frame: pl.DataFrame
    everywhere: pl.DataFrame
    relative: pl.DataFrame
    metrics: tuple[str, ...]
    budgets: Budgets
    monitor: str
    hyper_parameters: dict[str, list[str]]


def tabulate(runs: Runs, metrics: Sequence[str], out: Path) -> Results:
    """Make the table of results.

    Args:
        runs: finished runs.
        metrics: to show, such as recall@20.
        out: the report's folder.

    Raises:
        RunError: no run has one of the metrics.
    """
    _refuse_unknown(runs.frame, metrics)
    monitors = [record.get("monitor", _MONITOR) for record in runs.records.values()]
    monitor = max(monitors, key=monitors.count)  # it may differ among sweeps, but a comparison needs one
    named = _with_names(_with_links(runs.frame, out))
    budgets = budgets_of(named, runs)
    frame = with_order(with_equality(_with_selection(named, monitor), budgets))
    everywhere = in_every_condition(frame)
    relative = relative_to_full(everywhere, metrics)
    return Results(frame, everywhere, relative, tuple(metrics), budgets, monitor, runs.hyper_parameters)


def in_every_condition(frame: pl.DataFrame) -> pl.DataFrame:
    """The same runs, those of feature-free methods once for every condition of the others.

    A feature-free method runs once, since its numbers do not depend on the missing setting. Its rows take over missing,
    imputer, rate, condition (with its order) and the ``config/missing.*`` and ``config/imputer.*`` columns, without the
    mask seed, of every condition that occurs on the same data and split. Where there is none they stay as they are.
    """
    data = ["dataset", "split", "data_digest"]
    taken_over = [
        name
        for name in frame.columns
        if name in ("missing", "imputer", "rate", "condition", "condition_order")
        or (name.startswith(("config/missing.", "config/imputer.")) and name != "config/missing.seed")
    ]
    aware = frame.filter("uses_modalities")
    feature_free = frame.filter(~pl.col("uses_modalities"))
    settings = aware.select(data + taken_over).unique(maintain_order=True)
    repeated = feature_free.drop(taken_over).join(settings, on=data, how="inner", maintain_order="left_right")
    alone = feature_free.join(settings, on=data, how="anti")
    return pl.concat([aware, repeated.select(frame.columns), alone])


def relative_to_full(everywhere: pl.DataFrame, metrics: Sequence[str]) -> pl.DataFrame:
    """The rows of methods that ran with full modality, with ``relative/<metric>`` = test value / their mean at full.

    Full modality is the setting `full`, or of methods that did not run under it a missing rate of 0.
    """
    keys = ["catalogue", "method"]
    is_full = pl.col("condition") == FULL
    stand_in = (pl.col("rate") == 0) & ~is_full.any().over(keys)
    full = everywhere.filter(is_full | stand_in.fill_null(False)).group_by(keys)
    means_at_full = full.agg(pl.col(f"test/{metric}").mean().alias(f"full/{metric}") for metric in metrics)
    return everywhere.join(means_at_full, on=keys, how="inner", maintain_order="left").with_columns(
        (pl.col(f"test/{metric}") / pl.col(f"full/{metric}")).fill_nan(None).alias(f"relative/{metric}")
        for metric in metrics
    )


def _refuse_unknown(frame: pl.DataFrame, metrics: Sequence[str]) -> None:
    known = [name.removeprefix("test/") for name in frame.columns if name.startswith("test/")]
    for metric in metrics:
        if metric not in known:
            raise RunError(f"None of the runs has the metric {metric}: choose among {', '.join(known)}.")


def _with_links(frame: pl.DataFrame, out: Path) -> pl.DataFrame:
    here = out.resolve()
    links = [Path(os.path.relpath(Path(folder).resolve(), here)).as_posix() for folder in frame["folder"]]
    return frame.with_columns(link=pl.Series(links, dtype=pl.String))


def _with_names(frame: pl.DataFrame) -> pl.DataFrame:
    several = pl.col("data_digest").n_unique().over("dataset", "split") > 1
    digest = pl.when(several).then(pl.format(", data {}", pl.col("data_digest").str.head(8))).otherwise(pl.lit(""))
    published = pl.col("settings_source").fill_null("") == PUBLISHED
    dagger = pl.when(published).then(pl.lit("†")).otherwise(pl.lit(""))
    rated = pl.col("rate").is_not_null() & (pl.col("condition") == pl.col("missing"))
    condition = pl.when(rated).then(pl.format("{} {}", "missing", "rate")).otherwise(pl.col("condition"))
    return frame.with_columns(
        catalogue=pl.format("{} (split {}{})", "dataset", "split", digest),
        method=pl.format("{}{}", "variant", dagger),
        condition=condition.str.replace(r"^(\S+) \(rate=([^,)]+)\)$", "$1 $2"),
        published=published,
    )


def _with_selection(frame: pl.DataFrame, monitor: str) -> pl.DataFrame:
    group = ["catalogue", "condition", "model", "settings_source"]
    mean = pl.col(monitor).mean().over(*group, "method").fill_null(-1.0)
    selected = frame.with_columns(selected=mean == mean.max().over(group))
    return selected.with_columns(competes=pl.col("selected") & ~pl.col("published"))
