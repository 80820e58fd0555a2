"""What a column of times means, at full resolution, and which times tie."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from recmm.data.times import Times, UnreadableTimeError, leave_one_out_ties, read_times, resolution

SECOND = 1_405_382_400  # 2014-07-15


def read(values: Any, form: str = "auto", **options: Any) -> Times:
    return read_times(values if isinstance(values, pl.Series) else pl.Series(values), form, **options)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        (["2014-07-15", "2014-07-16"], "s", [SECOND, SECOND + 86400]),
        (["2014-07-15T00:00:01Z", "2014-07-15 00:00", "20140715T000003"], "s", [SECOND + 1, SECOND, SECOND + 3]),
        (["2014-07-15T02:00:00+02:00", "2014-07-14T22:30:00-01:30"], "s", [SECOND, SECOND]),
        (["2014-07-15T00:00:00.25Z", "2014-07-15T00:00:00"], "ms", [SECOND * 1000 + 250, SECOND * 1000]),
        (["2014-07-15T00:00:00,000001"], "us", [SECOND * 10**6 + 1]),
        (["2014-07-15 00:00:00.000000002 UTC"], "ns", [SECOND * 10**9 + 2]),
        (["1960-01-01T00:00:00.5"], "ms", [-315619199500]),
        (["1001-01-01", "9999-12-31"], "s", [-30578688000, 253402214400]),
    ],
)
def test_iso_8601_keeps_fractions_and_zones(text: list[str], unit: str, expected: list[int]) -> None:
    found = read(text)
    assert (found.unit, found.values.tolist()) == (unit, expected)
    assert found.values.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "unit"),
    [([SECOND, 5], "s"), ([SECOND * 1000], "ms"), ([SECOND * 10**6], "us"), ([SECOND * 10**9 + 1], "ns")],
)
@pytest.mark.parametrize("kind", [int, str])
def test_the_unit_of_epoch_numbers_follows_from_their_size(values: list[int], unit: str, kind: type) -> None:
    found = read([kind(value) for value in values])
    assert (found.unit, found.values.tolist()) == (unit, values)
    assert "look like" in found.said and "since 1970" in found.said


def test_small_numbers_are_an_order_without_a_unit() -> None:
    assert read(["1", "3", "2"]).unit is None
    assert "an order without a unit" in read([20140715, 20140716]).said


def test_decimals_stay_numbers_unless_they_would_become_equal() -> None:
    plain = read([f"{SECOND}.5", f"{SECOND}.25"])
    assert (plain.unit, plain.values.tolist()) == ("s", [SECOND + 0.5, SECOND + 0.25])
    for kind in (str, Decimal):
        fine = read([kind(f"{SECOND}.123456789"), kind(f"{SECOND}.123456788"), kind(f"-{SECOND}.1")])
        assert fine.unit == "ns"
        assert fine.values.tolist() == [SECOND * 10**9 + 123456789, SECOND * 10**9 + 123456788, -SECOND * 10**9 - 10**8]


def test_columns_of_dates_keep_their_resolution() -> None:
    assert read([date(2014, 7, 15)]).values.tolist() == [SECOND]
    moments = read([datetime(2014, 7, 15, 0, 0, 0, 1000), datetime(2014, 7, 15)])
    assert (moments.unit, moments.values.tolist()) == ("ms", [SECOND * 1000 + 1, SECOND * 1000])
    fine = read(pl.Series([SECOND * 10**9 + 7]).cast(pl.Datetime("ns", "Europe/Berlin")))
    assert (fine.unit, fine.values.tolist()) == ("ns", [SECOND * 10**9 + 7])


def test_another_form_has_to_be_named() -> None:
    american, european = read(["02/01/2024"], "%m/%d/%Y"), read(["01/02/2024"], "%d/%m/%Y")
    assert american.values.tolist() == european.values.tolist() == [1706745600]
    assert read(["02/01/2024 10:00:00.5"], "%m/%d/%Y %H:%M:%S.%f").values.tolist() == [1706781600500]
    assert (read(["5", "7"], "ms").unit, read(["5", "7"], "ms").values.tolist()) == ("ms", [5, 7])


@pytest.mark.parametrize(
    ("values", "form", "row"),
    [
        (["01/12/2024", "02/11/2024"], "auto", 0),
        (["2024-12-01", "12/02/2024"], "auto", 1),
        (["2024-12-01", "2024-02-30"], "auto", 1),
        (["2024/12/01"], "auto", 0),
        (["Dec 1, 2024"], "auto", 0),
        (["2024-12-01T10:00:00+99:00"], "auto", 0),
        ([str(SECOND), "soon"], "auto", 1),
        ([str(SECOND), None], "auto", 1),
        ([str(SECOND), str(SECOND + 1), str(SECOND * 1000)], "auto", 2),
        ([float("nan"), 1.0], "auto", 0),
        (["12/01/2024", "13/01/2024"], "%m/%d/%Y", 1),
        (["2024-12-01"], "s", 0),
        (["12"], "iso", 0),
    ],
)
def test_everything_else_is_refused_with_its_row(values: list[Any], form: str, row: int) -> None:
    with pytest.raises(UnreadableTimeError, match=r"expected|looks like") as caught:
        read(values, form)
    assert caught.value.row == row


def test_several_units_may_be_allowed() -> None:
    assert read([SECOND, SECOND * 1000], mixed=True).unit is None


def test_the_resolution_of_a_type() -> None:
    assert resolution(np.array([SECOND], np.float32)) == 128
    assert resolution(np.array([SECOND * 10**9], np.float64)) == 256
    assert resolution(np.array([SECOND * 10**9])) == 1


def test_ties_of_leave_one_out() -> None:
    users = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2])
    times = np.array([1, 2, 2, 9, 5, 5, 7, 3, 3])
    assert leave_one_out_ties(users, times) == (4, 1)
    assert leave_one_out_ties(users, np.zeros(9)) == (4, 4)
    assert leave_one_out_ties(users[:0], times[:0]) == (0, 0)
