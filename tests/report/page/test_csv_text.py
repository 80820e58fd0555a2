"""Tables as CSV."""

import csv
import io

from recmm.report.comparison.tables import Row, Table
from recmm.report.page.csv_text import to_csv
from recmm.report.results.cells import Cell


def table(*rows: Row, wide: bool = False) -> Table:
    return Table("name", "Title", "Note.", ("method",), ("rate 0.1", "rate 0.9"), rows, wide=wide)


def test_csv_has_one_line_per_number_with_its_runs() -> None:
    first = Cell(1 / 3, 0.125, 2, ("../a", "../b"), mark="best", star=True, published="0.0220")
    row = Row(("a,b",), (first, Cell()))
    other = Row(("c",), (Cell(0.5, n=1, folders=("../c",), below_popularity=True), Cell(7, n=1)))
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


def test_a_label_that_a_spreadsheet_would_execute_is_text() -> None:
    written = to_csv(table(Row(("=cmd|' /C calc'!A0",), (Cell(-0.5, n=1), Cell()))))
    assert "'=cmd|' /C calc'!A0,rate 0.1,-0.5," in written
