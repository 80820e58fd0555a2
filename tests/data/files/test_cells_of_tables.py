import io

import pytest

from recmm.data.files.quoting import inert, write_rows


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\tx=1", '=HYPERLINK("x")'])
def test_a_text_that_a_spreadsheet_executes_gets_an_apostrophe(cell):
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e-9", "-inf", "i7", "", "-", "a=b", 7, -0.5, None])
def test_numbers_and_other_texts_stay(cell):
    assert inert(cell) == cell


def test_rows():
    file = io.StringIO()
    write_rows(file, [("item", "reason"), ("=1", "a, b"), (3, "-2")])
    assert file.getvalue() == 'item,reason\n\'=1,"a, b"\n3,-2\n'
