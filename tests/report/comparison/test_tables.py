"""Marks of the best numbers of a table."""

from recmm.report.comparison.tables import Row, mark_best
from recmm.report.results.cells import Cell


def marks(*values: float | None, ranked: list[bool] | None = None) -> list[str]:
    ranked = ranked or [True] * len(values)
    rows = [Row(("",), (Cell(value, ranked=r),)) for value, r in zip(values, ranked, strict=True)]
    return [row.cells[0].mark for row in mark_best(rows)]


def test_the_highest_two_numbers_of_a_column_are_marked() -> None:
    assert marks(0.2, 0.4, 0.3, 0.1) == ["", "best", "second", ""]


def test_numbers_shown_alike_share_their_mark() -> None:
    assert marks(0.40001, 0.39999, 0.2, 0.20004, 0.1) == ["best", "best", "second", "second", ""]


def test_what_is_not_ranked_neither_gets_nor_takes_a_mark() -> None:
    assert marks(0.9, 0.4, 0.3, ranked=[False, True, True]) == ["", "best", "second"]


def test_a_number_alone_in_its_column_is_best_of_nothing() -> None:
    assert marks(0.9, 0.4, None, ranked=[False, True, True]) == ["", "", ""]
