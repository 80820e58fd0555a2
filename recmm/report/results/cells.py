"""One number of the report: a mean over runs, with its spread and the runs behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

DIGITS = 4


@dataclass(frozen=True)
class Cell:
    """One number of a table, or one word, with the runs it came from.

    Attributes:
        value: the number at full precision, a text, or None where nothing was measured.
        sd: sample standard deviation over the runs, None with a single run.
        n: number of runs averaged.
        folders: the runs' folders, relative to the report's.
        digits: decimals shown of a float.
        ranked: whether it competes for best and second best of its column.
        mark: "best", "second" or "".
        star: whether it is the best of its column and better than every other method by the corrected test.
        below_popularity: whether it is less than what the popularity baseline reaches in the same column.
        below_feature_free: whether it is less than what a method that sees no feature reaches in the same column with
            no larger budget.
        published: what a paper prints for the same method, condition and metric, as it is printed.
    """

    value: float | int | str | None = None
    sd: float | None = None
    n: int | None = None
    folders: tuple[str, ...] = ()
    digits: int = DIGITS
    ranked: bool = True
    mark: str = ""
    star: bool = False
    below_popularity: bool = False
    below_feature_free: bool = False
    published: str | None = None

    @property
    def shown(self) -> str:
        """The value as every form of the table prints it."""
        return show(self.value, self.digits)

    @property
    def shown_sd(self) -> str:
        """The standard deviation with the value's decimals, "" without one."""
        return "" if self.sd is None else show(self.sd, self.digits)


def show(value: float | int | str | None, digits: int = DIGITS) -> str:
    """A float with ``digits`` decimals, an integer or text as it is, "" for None and for infinite values and NaN."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def means(frame: pl.DataFrame, keys: Sequence[str], column: str, digits: int = DIGITS) -> dict[tuple[Any, ...], Cell]:
    """Mean, sample standard deviation, number and folders of the runs of each group.

    Args:
        frame: a part of the table of results.
        keys: columns by which runs are grouped.
        column: what is averaged. Runs without a value are left out, and so are groups of such runs only.
        digits: decimals to show.
    """
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
