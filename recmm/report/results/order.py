"""The order in which the report shows conditions and methods."""

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from recmm.experiment.sweep.marks import BASELINES

_CONFIG = "config/"
_FIRST_CONDITIONS = ("full", "natural")


def with_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the ranks of each row's condition and method, *condition_order* and *method_order*; see ``in_order``.

    Conditions: full, natural, then by name and rate. Methods: the baselines random and popularity, then by model,
    published settings last, then by the values of their settings.

    Args:
        frame: with the columns condition, method, published and those of ``Runs.frame``.
    """
    settings = [name for name in frame.columns if name.startswith(_CONFIG) and frame[name].dtype.is_numeric()]
    rows = frame.to_dicts()
    return frame.with_columns(
        condition_order=pl.Series(_ranks([_condition_place(row) for row in rows])),
        method_order=pl.Series(_ranks([_method_place(row, settings) for row in rows])),
    )


def in_order(frame: pl.DataFrame, name: str) -> list[str]:
    """The conditions or methods of a part of the table of results, by the lowest rank that each has in this part.

    Args:
        frame: with the columns ``name`` and ``<name>_order``.
        name: condition or method.
    """
    return frame.sort(f"{name}_order", maintain_order=True)[name].unique(maintain_order=True).to_list()


def _ranks(places: Sequence[tuple[Any, ...]]) -> list[int]:
    """The rank of each place; equal places share one."""
    ranks = {place: rank for rank, place in enumerate(sorted(set(places)))}
    return [ranks[place] for place in places]


def _condition_place(row: dict[str, Any]) -> tuple[Any, ...]:
    missing = row["missing"]
    first = _FIRST_CONDITIONS.index(missing) if missing in _FIRST_CONDITIONS else len(_FIRST_CONDITIONS)
    return first, missing, -1.0 if row["rate"] is None else row["rate"], row["condition"]


def _method_place(row: dict[str, Any], settings: list[str]) -> tuple[Any, ...]:
    model = row["model"]
    first = BASELINES.index(model) if model in BASELINES else len(BASELINES)
    values = tuple(-math.inf if row[name] is None else row[name] for name in settings)
    return first, model, row["published"], values, row["method"]
