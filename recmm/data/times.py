"""Times of interactions: what the text or the numbers of a column mean, at full resolution, and which of them tie.

Times order interactions, so two different ones must stay different: dates become whole numbers in the coarsest of the
units below that holds all of them, and numbers stay as they are.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from recmm.data.splitting import FEWEST

UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}  # decimal places of a second
EARLIEST, LATEST = 10**8, 41 * 10**8  # seconds since 1970 that are recognised: from March 1973 to 2099
FORMATS = ("auto", "iso", *UNITS)  # of a column; any other one is a pattern such as %m/%d/%Y
EXPECTED = (
    "expected dates and times in ISO 8601, such as 2014-07-23 or 2014-07-23T10:00:00.5+02:00, or seconds, "
    "milliseconds, microseconds or nanoseconds since 1970"
)
ISO = (  # extended and basic format: year, month, day, hour, minute, second, fraction; the zone's sign, hours, minutes
    r"^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]| UTC|([+-])(\d\d)(?::?(\d\d))?)?)?$",
    r"^(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(?:(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?$",
)
ZONE = r"([Zz]|UTC|[+-]\d\d(:?\d\d)?)$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
DECIMAL = r"^([+-]?)(\d{1,18})(?:\.(\d*))?$"


class UnreadableTimeError(ValueError):
    """An entry that is no time; ``row`` is its place, the message says what was expected."""

    def __init__(self, row: int, expected: str = EXPECTED) -> None:
        super().__init__(expected)
        self.row = row


@dataclass(frozen=True, eq=False)
class Times:
    """A column of times.

    Attributes:
        values: int64 or float64 [n].
        unit: a key of ``UNITS``, counted from 1970; None for numbers that look like none, which are an order only.
        source: how they were written, in words.
    """

    values: np.ndarray
    unit: str | None
    source: str

    @property
    def said(self) -> str:
        """One sentence on what the times were taken for."""
        kept = f"kept as {UNITS[self.unit]} since 1970" if self.unit else "kept as they are, as an order without a unit"
        return f"Times: {self.source}, {kept}."


def read_times(values: pl.Series, form: str = "auto", *, mixed: bool = False) -> Times:
    """The times of a column of text, numbers, dates or moments.

    Text and numbers of the form ``auto`` are ISO 8601 (without a zone taken as UTC) or numbers, whose unit is
    recognised by their size. Fractions are kept to nanoseconds.

    Args:
        form: one of ``FORMATS``, or a pattern of strptime.
        mixed: whether numbers may be of several units; then none is recognised.

    Raises:
        UnreadableTimeError: the first entry that is no time of this form, or that is in another unit than most.
    """
    if isinstance(values.dtype, pl.Date | pl.Datetime):
        return _moments(values)
    if values.dtype.is_decimal():
        values = values.cast(pl.String)
    if values.dtype != pl.String:
        return _numbers(values, form, mixed)
    text = values.str.strip_chars()
    if form == "iso":
        return _iso(text)
    if "%" in form:
        return _pattern(text, form)
    numeric = text.str.contains(NUMBER).fill_null(False)
    if form != "auto" or numeric.all() or (len(numeric) and numeric[0]):
        _require(numeric)
        return _numbers(text, form, mixed)
    return _iso(text)


def recognised_unit(values: np.ndarray) -> np.ndarray:
    """int64 [n]: the place in ``UNITS`` that each number looks like; -1 for none."""
    size = np.abs(values.astype(np.float64))
    found = np.full(len(values), -1)
    for place, digits in enumerate(DIGITS.values()):
        found[(size >= EARLIEST * 10.0**digits) & (size < LATEST * 10.0**digits)] = place
    return found


def resolution(values: np.ndarray) -> float:
    """The distance from the largest of the times [n] to the next number that their type can hold; 1 for integers."""
    if not len(values) or values.dtype.kind != "f":
        return 1.0
    return float(np.spacing(np.abs(values).max()))


def leave_one_out_ties(users: np.ndarray, times: np.ndarray) -> tuple[int, int]:
    """How many choices ``splitting.temporal_leave_one_out`` makes, two for each user it divides, and how many are ties.

    A choice is a tie if the chosen pair has the time of a pair that is left for later, so the order does not decide it.

    Args:
        users: int [n]. times: [n].
    """
    order = np.lexsort((times, users))
    _, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    last = (starts + counts - 1)[counts >= FEWEST]
    ordered = times[order]
    tied = [int(np.count_nonzero(ordered[last - k] == ordered[last - k - 1])) for k in (0, 1)]
    return 2 * len(last), sum(tied)


def _moments(values: pl.Series) -> Times:
    _require(values.is_not_null())
    unit: Literal["s", "ms", "us", "ns"] = getattr(values.dtype, "time_unit", None) or "s"
    kind = "dates" if values.dtype == pl.Date else "dates and times"
    stored = values.dt.epoch(unit).to_numpy()
    scale = 10 ** DIGITS[unit]
    return _coarsest(stored // scale, stored % scale * (10**9 // scale), f"a column of {kind}")


def _numbers(values: pl.Series, form: str, mixed: bool) -> Times:
    if values.dtype == pl.String:
        found = values.cast(pl.Int64, strict=False)
        if found.null_count():
            found = values.cast(pl.Float64, strict=False)
    else:
        found = values.cast(pl.Float64) if values.dtype.is_float() else values.cast(pl.Int64, strict=False)
    _require(found.is_not_null() & found.is_finite() if found.dtype.is_float() else found.is_not_null())
    numbers = found.to_numpy()
    places = recognised_unit(numbers)
    present, first, counts = np.unique(places[places >= 0], return_index=True, return_counts=True)
    if form in UNITS:
        return Times(*_exact(values, numbers, form), f"numbers given as {UNITS[form]}")
    if len(present) > 1 and not mixed:
        names = list(UNITS.values())
        most, least = (names[present[pick]] for pick in (int(counts.argmax()), int(counts.argmin())))
        row = np.flatnonzero(places >= 0)[first[int(counts.argmin())]]
        raise UnreadableTimeError(int(row), f"it looks like {least} since 1970 where most look like {most}")
    if len(present) == 1:
        unit = list(UNITS)[present[0]]
        return Times(*_exact(values, numbers, unit), f"numbers that look like {UNITS[unit]}")
    return Times(numbers, None, "numbers")


def _exact(values: pl.Series, numbers: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """``numbers`` and their ``unit``; where decimals in text collapse as float64, whole numbers in a finer unit."""
    if values.dtype != pl.String or numbers.dtype.kind != "f" or not values.str.contains(DECIMAL).all():
        return numbers, unit
    sign, whole, fraction = _groups(values, DECIMAL, 3)
    fraction = fraction.fill_null("").str.strip_chars_end("0")
    places = DIGITS[unit] + int(fraction.str.len_chars().to_numpy().max(initial=0))
    finer = next((name for name, digits in DIGITS.items() if digits >= places), "ns")
    digits = DIGITS[finer] - DIGITS[unit]
    units, parts = _integers(whole), _integers(fraction.str.slice(0, digits).str.pad_end(digits, "0"))
    if np.abs(units).max(initial=0) >= (1 << 62) // 10**digits:
        return numbers, unit
    exact = np.where((sign == "-").to_numpy(), -1, 1) * (units * 10**digits + parts)
    return (exact, finer) if len(np.unique(exact)) > len(np.unique(numbers)) else (numbers, unit)


def _iso(text: pl.Series) -> Times:
    basic = text.str.contains(ISO[1]).fill_null(False)
    groups = [
        pl.Series(pl.select(pl.when(basic).then(short).otherwise(long)).to_series())
        for long, short in zip(*(_groups(text, pattern, 10) for pattern in ISO), strict=True)
    ]
    year, month, day, hour, minute, second, fraction, sign, zone_hours, zone_minutes = groups
    clock = [part.fill_null("00") for part in (hour, minute, second)]
    stamps = pl.select(pl.format("{}-{}-{} {}:{}:{}", year, month, day, *clock)).to_series()
    moments = stamps.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="ms")
    _require(moments.is_not_null())
    offset = 3600 * _integers(zone_hours) + 60 * _integers(zone_minutes)
    _require(pl.Series(offset < 24 * 3600))
    seconds = moments.dt.epoch("s").to_numpy() - np.where((sign == "-").to_numpy(), -offset, offset)
    zoned = text.str.contains(ZONE) & hour.is_not_null()
    naive = int((hour.is_not_null() & ~zoned).sum())
    source = "dates in ISO 8601" if hour.null_count() == len(text) else "dates and times in ISO 8601"
    if naive:
        source += f" ({naive:,} without a zone are taken as UTC)"
    return _coarsest(seconds, _integers(fraction.str.slice(0, 9).str.pad_end(9, "0")), source)


def _pattern(text: pl.Series, form: str) -> Times:
    expected = f"expected dates and times such as {form!r} (--time-format)"
    try:
        moments = text.str.to_datetime(form.replace(".%f", "%.f"), strict=False, time_unit="ns")
    except pl.exceptions.PolarsError:
        raise UnreadableTimeError(0, expected) from None
    _require(moments.is_not_null(), expected)
    made = _moments(moments)
    return Times(made.values, made.unit, f"dates and times such as {form!r}")


def _coarsest(seconds: np.ndarray, nanoseconds: np.ndarray, source: str) -> Times:
    """``seconds`` since 1970 and ``nanoseconds`` of each [n] in the coarsest unit in which all are whole."""
    unit = next(unit for unit, digits in DIGITS.items() if not (nanoseconds % 10 ** (9 - digits)).any())
    scale = 10 ** DIGITS[unit]
    _require(pl.Series(np.abs(seconds) < (1 << 62) // scale))  # nanoseconds reach from 1824 to 2116 here
    return Times(seconds * scale + nanoseconds // (10**9 // scale), unit, source)


def _groups(text: pl.Series, pattern: str, n: int) -> list[pl.Series]:
    found = text.str.extract_groups(pattern).struct.unnest()
    return [found.to_series(place) for place in range(n)]


def _integers(digits: pl.Series) -> np.ndarray:
    """int64 [n]; 0 where there are no digits."""
    return digits.cast(pl.Int64, strict=False).fill_null(0).to_numpy()


def _require(good: pl.Series, expected: str = EXPECTED) -> None:
    if not good.all():
        raise UnreadableTimeError(int((~good).arg_max() or 0), expected)
