"""Labels of two sides that should name the same items."""

import polars as pl
import pytest

from recmm.data.joins import check_join, warn_of_twins
from recmm.errors import IdError


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            [" i1", " i2"],
            ["i2", "i1"],
            r"a label there is 'i1', one of ratings.csv .* is ' i1'. 2 .* without the blanks",
        ),
        (["7", "8"], ["0007", "0008"], r"'0007', one of .* is '7'. 2 of the others would match .* leading zeros"),
        (["7", "8"], ["7.0", "8.0"], r"'7\.0', .* '7'\. 2 .* '\.0' at their end"),
        (["caf\u00e9"], ["cafe\u0301"], r"'cafe\\u0301', .* is 'café'. 1 .* Unicode forms"),
        (["B1"], ["b1"], "upper and lower case"),
        (["i1"], ['"i1"'], "quotation marks"),
        (["\ufeffi1"], ["i1"], r"'i1', .* '\\ufeffi1'. 1 .* blanks"),
        (["I1"], [' "i1"'], "all of these differences"),
        (["i1"], ["x"], r"names none of the 1 items of ratings.csv: a label there is 'x', .* is 'i1'\.$"),
        (["i1"], [], r"one of ratings.csv that has no match is 'i1'"),
        (["i\x1b[2J"], ["x"], r"is 'i\\x1b\[2J'"),
    ],
)
def test_no_match_is_an_error_that_shows_both_sides(ours: list[str], theirs: list[str], message: str) -> None:
    with pytest.raises(IdError, match=message):
        check_join(ours, theirs, source="items.csv", catalogue="ratings.csv")


def test_few_matches_are_a_warning_and_enough_are_none(caplog: pytest.LogCaptureFixture) -> None:
    items = [f"i{k}" for k in range(10)]
    check_join(items, [*items[:5], "x"], source="items.csv")
    assert not caplog.messages
    check_join(items, [*items[:4], "x"], source="items.csv")
    assert "items.csv names 4 of the 10 items of the catalogue (40%): a label there is 'x'" in caplog.messages[-1]
    check_join(items, [*items[:9], "i9 "], source="items.csv")
    assert "1 of the others would match without the blanks" in caplog.messages[-1]


def test_labels_that_differ_in_blanks_alone(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_twins(pl.Series(["a", "b", "c "]), "item", "ratings.csv")
    assert not caplog.messages
    warn_of_twins(pl.Series(["a", "b", " a"]), "item", "ratings.csv")
    assert caplog.messages == [
        "ratings.csv: 2 item labels differ in blanks alone, such as 'a' and ' a'; each counts as another item."
    ]
