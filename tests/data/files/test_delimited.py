"""Tables as text: quotation marks, and the line in which something is wrong."""

from pathlib import Path

import pytest

from recmm.data.files.delimited import TABS, Dialect, dialect, fault, several_lines


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("user\titem\n", TABS),
        ('"user"\t"item"\n', Dialect("\t", '"')),
        ('user\t"item\n', TABS),
        ("user,item\n", Dialect(",", '"')),
        ("user;item\n", Dialect(";", '"')),
        ("user\n", Dialect(",", '"')),
    ],
)
def test_quotation_marks_are_text_between_tabs(path: Path, header: str, expected: Dialect) -> None:
    path.write_text(header)
    assert dialect(path) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 values for 2 columns: put values that hold commas in quotation marks"),
        (b'a,b\n1,2\n3,"x" y\n', "row that begins in line 3 do not fit together: double each mark"),
        (b'a,b\n1,"2\n3"\n4,"open\n5,6\n', "row that begins in line 4"),
        (b"a,b\n1,2\n\xe9,3\n", "line 3 is not text in UTF-8"),
        (b'a\tb\n1\t2\n3\t"x\ty"\n', "line 3 has 3 values for 2 columns: a value must not hold a tab"),
    ],
)
def test_a_fault_names_its_line_and_the_remedy(path: Path, text: bytes, message: str) -> None:
    path.write_bytes(text)
    assert message in fault(path, dialect(path))


def test_a_good_table_has_no_fault(path: Path) -> None:
    path.write_text('a,b\n1,"2, and\nthree"\n5" ruler,6\n')
    assert fault(path, dialect(path)) == ""


def test_rows_that_span_lines(path: Path) -> None:
    path.write_text('a,b\n1,"2\n\n3"\n4,5\n')
    assert several_lines(path, dialect(path), 2) == ([2, 5], [(2, 4)])
    path.write_text("a,b\n1,2\n4,5")
    assert several_lines(path, dialect(path), 2) == ([], [])
