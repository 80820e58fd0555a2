"""CSV and TSV files as text: the separator, what quotation marks mean, and in which line something is wrong."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from recmm.data.files.quoting import shown
from recmm.data.files.text_lines import first_line

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars"}
LINE_END = b"\n"
BLOCK = 1 << 20  # bytes


class Dialect(NamedTuple):
    """How a table is written; ``quote`` is the mark around values, None where quotation marks are text."""

    separator: str
    quote: str | None


TABS = Dialect("\t", None)


def dialect(path: Path) -> Dialect:
    """The separator that occurs most often in the first line, and what quotation marks mean with it.

    In a tab-separated file they are text, unless all names in the first line are quoted, as R and others write them.
    """
    header = first_line(path)
    separator = max(SEPARATORS, key=header.count) if any(map(header.count, SEPARATORS)) else ","
    names = header.split(separator)
    quoted = all(len(name) > 1 and name.startswith('"') and name.endswith('"') for name in names)
    return TABS if separator == "\t" and not quoted else Dialect(separator, '"')


def fault(path: Path, form: Dialect) -> str:
    """A sentence on the first line that is no row of the table, and the remedy; empty if there is none."""
    n_columns = 0
    try:
        for start, _, values in _records(path, form):
            n_columns = n_columns or len(values)
            if any("\udc80" <= letter <= "\udcff" for value in values for letter in value):
                return f"line {start} is not text in UTF-8; save the table as UTF-8"
            if len(values) > n_columns:
                remedy = (
                    "a value must not hold a tab, as quotation marks are text in a tab-separated file; replace it, or "
                    "save the table with commas"
                    if form.quote is None
                    else f"put values that hold {SEPARATORS[form.separator]} in quotation marks, and double the marks "
                    "inside"
                )
                return f"line {start} has {len(values):,} values for {n_columns:,} columns: {remedy}"
    except csv.Error as error:
        line = int(str(error).rpartition(" ")[2])
        return (
            f"the quotation marks of the row that begins in line {line} do not fit together: double each mark inside a "
            "quoted value, or save the table with tabs, where quotation marks are text"
        )
    return ""


def several_lines(path: Path, form: Dialect, n_rows: int) -> tuple[list[int], list[tuple[int, int]]]:
    """The line in which each row begins, and the first and last line of rows that span several.

    Args:
        n_rows: that were read, without the header; a file with as many lines is not read again.

    Returns:
        Two lists, empty where no row spans several lines.
    """
    if form.quote is None or _n_lines(path) == n_rows + 1:
        return [], []
    rows = [(start, end) for start, end, values in _records(path, form, strict=False) if values]
    spans = [(start, end) for start, end in rows if end > start]
    return ([start for start, _ in rows[1:]], spans) if spans else ([], [])


def told_spans(path: Path, spans: list[tuple[int, int]]) -> str:
    """The warning that rows span several lines."""
    first, last = spans[0]
    rows = "a row" if len(spans) == 1 else f"{len(spans):,} rows"
    return (
        f"{shown(path)}: quoted values of {rows} span several lines, the first from line {first} to {last}. If the "
        f"quotation mark in line {first} is text, double it and quote the value, or save the table with tabs, where "
        "quotation marks are text."
    )


def _records(path: Path, form: Dialect, *, strict: bool = True) -> Iterator[tuple[int, int, list[str]]]:
    """First and last line, from 1, and values of each row; raises csv.Error, which ends with the row's first line."""
    quoting: Literal[0, 3] = csv.QUOTE_NONE if form.quote is None else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=form.separator, quoting=quoting, strict=strict)
        start = 1
        try:
            for values in reader:
                yield start, reader.line_num, values
                start = reader.line_num + 1
        except csv.Error as error:
            raise csv.Error(f"{error}: line {start}") from error


def _n_lines(path: Path) -> int:
    with path.open("rb") as file:
        n_lines, last = 0, LINE_END
        while block := file.read(BLOCK):
            n_lines += block.count(LINE_END)
            last = block[-1:]
    return n_lines + (last != LINE_END)
