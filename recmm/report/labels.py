"""Names, and the order in which the report shows conditions and methods."""

import math
from typing import Any

import polars as pl

CONFIG = "config/"
PUBLISHED = "published"
_FIRST_CONDITIONS = ("full", "natural")
_FLOORS = ("random", "popularity")


def with_names(frame: pl.DataFrame) -> pl.DataFrame:
    """Add *catalogue*, dataset and split (and the data's digest where that leaves several), and *method*.

    *method* is the variant, with a dagger where the values of its hyper-parameters are published ones. A condition that
    is told by its rate alone becomes ``rate 0.9``.
    """
    several = pl.col("data_digest").n_unique().over("dataset", "split") > 1
    digest = pl.when(several).then(pl.format(", data {}", pl.col("data_digest").str.head(8))).otherwise(pl.lit(""))
    dagger = pl.when(is_published()).then(pl.lit("†")).otherwise(pl.lit(""))
    rated = pl.col("rate").is_not_null() & (pl.col("condition") == pl.col("missing"))
    condition = pl.when(rated).then(pl.format("{} {}", "missing", "rate")).otherwise(pl.col("condition"))
    return frame.with_columns(
        catalogue=pl.format("{} (split {}{})", "dataset", "split", digest),
        method=pl.format("{}{}", "variant", dagger),
        condition=condition.str.replace(r"^(\S+) \(rate=([^,)]+)\)$", "$1 $2"),
    )


def is_published() -> pl.Expr:
    """Rows whose settings a paper published, and so chose on its test set; they enter no ranking."""
    return pl.col("settings_source").fill_null("") == PUBLISHED


def selected(frame: pl.DataFrame, monitor: str) -> pl.DataFrame:
    """Of each model under a condition the runs of the variant that is best on validation.

    Whoever took the best of several settings by their test numbers would have chosen on the test set.

    Args:
        frame: runs with names.
        monitor: the validation metric that selects, such as val/recall@20.
    """
    group = ["catalogue", "condition", "model", "settings_source"]
    mean = pl.col(monitor).mean().over(*group, "method").fill_null(-1.0)
    return frame.filter(mean == mean.max().over(group))


def competing(frame: pl.DataFrame, monitor: str) -> pl.DataFrame:
    """The runs that may be called best: those ``selected``, without published settings."""
    return selected(frame.filter(~is_published()), monitor)


def conditions_of(frame: pl.DataFrame) -> list[str]:
    """The conditions of a frame: full, natural, then by name and rate."""

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        missing = row["missing"]
        first = _FIRST_CONDITIONS.index(missing) if missing in _FIRST_CONDITIONS else len(_FIRST_CONDITIONS)
        return first, missing, -1.0 if row["rate"] is None else row["rate"], row["condition"]

    rows = frame.select("missing", "rate", "condition").unique().to_dicts()
    return list(dict.fromkeys(row["condition"] for row in sorted(rows, key=place)))


def methods_of(frame: pl.DataFrame) -> list[str]:
    """The methods of a frame with names: the floors first, then by model and by the values of their settings."""
    settings = [name for name in frame.columns if name.startswith(CONFIG) and frame[name].dtype.is_numeric()]

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        model = row["model"]
        floor = _FLOORS.index(model) if model in _FLOORS else len(_FLOORS)
        values = [-math.inf if row[name] is None else row[name] for name in settings]
        return floor, model, row["method"].endswith("†"), values, row["method"]

    rows = frame.select("model", "method", *settings).to_dicts()
    return list(dict.fromkeys(row["method"] for row in sorted(rows, key=place)))


def short_name(column: str) -> str:
    """``config/model.n_layers`` -> ``n_layers``, ``test/recall@20`` -> ``recall@20``."""
    return column.rpartition("/")[2].rpartition(".")[2]


def metric_name(metric: str) -> str:
    """``recall@20`` -> ``Recall@20``, ``ndcg@20`` -> ``NDCG@20``."""
    return metric.upper() if metric.startswith(("ndcg", "map", "mrr")) else metric[:1].upper() + metric[1:]
