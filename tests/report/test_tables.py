"""Cells, their marks, and CSV."""

import csv
import io

import pytest

from recmm.report.tables import Cell, Row, Table, mark_best, show, to_csv


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


@pytest.mark.parametrize(
    ("value", "shown"), [(0.08794, "0.0879"), (3, "3"), ("text", "text"), (None, ""), (float("nan"), "")]
)
def test_how_values_are_shown(value: float | int | str | None, shown: str) -> None:
    assert show(value) == shown


def table(*rows: Row, wide: bool = False) -> Table:
    return Table("name", "Title", "Note.", ("method",), ("rate 0.1", "rate 0.9"), rows, wide=wide)


def test_csv_has_one_line_per_number_with_its_runs() -> None:
    first = Cell(1 / 3, 0.125, 2, ("../a", "../b"), mark="best", star=True, published="0.0220")
    row = Row(("a,b",), (first, Cell()))
    other = Row(("c",), (Cell(0.5, n=1, folders=("../c",), below_floor=True), Cell(7, n=1)))
    read = list(csv.DictReader(io.StringIO(to_csv(table(row, other)))))
    assert [(line["method"], line["column"]) for line in read] == [
        ("a,b", "rate 0.1"),
        ("c", "rate 0.1"),
        ("c", "rate 0.9"),
    ]
    assert float(read[0]["value"]) == 1 / 3
    assert {name: read[0][name] for name in ("sd", "n", "shown", "mark", "star", "published", "folders")} == {
        "sd": "0.125",
        "n": "2",
        "shown": "0.3333",
        "mark": "best",
        "star": "*",
        "published": "0.0220",
        "folders": "../a;../b",
    }
    assert (read[1]["below_popularity"], read[1]["sd"], read[2]["shown"]) == ("yes", "", "7")


def test_a_wide_table_has_one_line_per_run() -> None:
    row = Row(("m",), (Cell(0.25, folders=("../a",)), Cell(None, folders=("../a",))))
    assert to_csv(table(row, wide=True)) == "method,rate 0.1,rate 0.9,folders\nm,0.25,,../a\n"
