"""McAuley's Amazon review data of 2014: reviews and metadata, one record per line, JSON or a Python literal.

reviews_<category>.json.gz, reviews_<category>_5.json.gz   reviewerID, asin, unixReviewTime, ...
meta_<category>.json.gz                                    asin, title, brand, description, categories, ...
image_features_<category>.b                                see ``formats.amazon_images``

Literals are parsed and never evaluated: a line that holds anything but a dictionary of plain values is refused.
"""

import ast
import json
import re
import warnings
from array import array
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recmm.data.files.quoting import shown_value
from recmm.data.files.text_lines import lines
from recmm.data.joins import check_join
from recmm.data.raw import RawInteractions
from recmm.errors import ColumnError, DataError, IdError

TEXT = ("brand", "title", "description", "category")  # the order in which they are joined
ASIN_FIRST = re.compile(rb"""\{\s*(['"])asin\1\s*:\s*(['"])([^'"\\]*)\2""")  # how every line of the 2014 files begins
CHUNK = 50_000  # texts that are Python objects at a time
REFUSED = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)  # by what is not a literal


def read_reviews(path: Path) -> RawInteractions:
    """All reviews of a file, each an interaction with its time in seconds since 1970; ratings and texts are not read.

    Raises:
        MissingFileError, DataError: as ``text_lines.lines``; a line that is no record.
        ColumnError, IdError: a record without reviewerID, asin or unixReviewTime, or with an impossible one.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    user_codes, item_codes, times = array("q"), array("q"), array("q")
    for number, record in _records(path, "the reviews"):
        try:
            user, item, time = record["reviewerID"], record["asin"], record["unixReviewTime"]
        except KeyError as error:
            raise ColumnError(
                f"{path}, line {number}: the record has no {error}; expected reviewerID, asin and unixReviewTime."
            ) from error
        labelled = type(user) is type(item) is str and user and item and user.isascii() and item.isascii()
        if not (labelled and type(time) is int and abs(time) < 1 << 62):
            raise IdError(
                f"{path}, line {number}: reviewerID {shown_value(user)}, asin {shown_value(item)} and unixReviewTime "
                f"{shown_value(time)}; expected two labels in ASCII and a whole number of seconds."
            )
        user_codes.append(users.setdefault(user, len(users)))
        item_codes.append(items.setdefault(item, len(items)))
        times.append(time)
    if not times:
        raise DataError(f"{path} holds no review. Is it the right file?")
    return RawInteractions(
        np.frombuffer(user_codes, np.int64),
        np.frombuffer(item_codes, np.int64),
        pl.Series(list(users), dtype=pl.String),
        pl.Series(list(items), dtype=pl.String),
        timestamps=np.frombuffer(times, np.int64),
        parts=None,
        source=str(path),
        time_unit="s",
    )


def read_texts(path: Path, items: pl.Series, *, without_description: bool = False) -> pl.Series:
    """The text of each of these ``items`` (raw labels, unique), or null: see ``assemble_text``.

    Lines of other items are not parsed beyond the ASIN. Of several lines of one item the first is used.

    Raises:
        MissingFileError, DataError: as ``text_lines.lines``; a line that is no record.
        IdError: no line of any of the items.
        ColumnError: a record without asin.
    """
    wanted = {asin: row for row, asin in enumerate(items)}
    rows: list[int] = []
    made: list[str | None] = []
    chunks = []
    n_found = 0
    for _, record in _records(path, "the metadata", wanted):
        row = wanted.pop(record["asin"], None)
        if row is None:
            continue
        n_found += 1
        rows.append(row)
        made.append(assemble_text(record, without_description=without_description))
        if len(rows) == CHUNK:
            chunks.append(_chunk(rows, made))
            rows, made = [], []
    if n_found < len(items):
        theirs = [record["asin"] for _, record in islice(_records(path, "the metadata"), 1) if "asin" in record]
        known = [asin for asin in items if asin not in wanted]
        check_join(items, [*known, *theirs], source=str(path), catalogue="the reviews")
    table = pl.concat([*chunks, _chunk(rows, made)])
    return pl.DataFrame({"row": range(len(items))}, schema={"row": pl.Int64}).join(
        table, on="row", how="left", maintain_order="left"
    )["text"]


def assemble_text(record: dict[str, Any], *, without_description: bool = False) -> str | None:
    """Brand, title, description and category with a blank between them, and every run of blanks made one.

    Of the categories, which are paths such as [["Baby", "Nursery"], ["Baby", "Bedding"]], each name counts once, in
    the order of the paths. None for an item that has no description, unless ``without_description`` is true and it
    has one of the others.
    """
    parts = {name: list(_strings(record.get(name))) for name in TEXT}
    if "categories" in record:  # so it is called in 2014's files
        parts["category"] = list(_strings(record["categories"]))
    parts["category"] = list(dict.fromkeys(parts["category"]))
    if not (parts["description"] or without_description):
        return None
    return " ".join(chain.from_iterable(parts.values())) or None


def _strings(value: Any) -> Iterator[str]:
    """The texts in a text or in lists of texts, without those that are blank; numbers and the rest are no text."""
    if isinstance(value, str):
        # A literal may hold halves of surrogate pairs, which no file can store.
        text = " ".join(value.encode("utf-8", "replace").decode().split())
        if text:
            yield text
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _chunk(rows: list[int], texts: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame({"row": rows, "text": texts}, schema={"row": pl.Int64, "text": pl.String})


def _records(path: Path, role: str, wanted: dict[str, int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and record of each line; with ``wanted`` only of those whose ASIN is a key."""
    for number, line in lines(path, role):
        if wanted is not None:
            first = ASIN_FIRST.match(line)
            if first and first[3].decode(errors="replace") not in wanted:
                continue
        try:
            record = json.loads(line.decode())  # bytes would be searched for their encoding first
        except (ValueError, RecursionError):
            record = _literal(line, path, number)
        if not isinstance(record, dict):
            raise DataError(f"{path}, line {number}: a {type(record).__name__}; expected a record with keys.")
        if wanted is not None and not isinstance(record.get("asin"), str):
            raise ColumnError(f"{path}, line {number}: the record has no asin; expected one in each line.")
        yield number, record


def _literal(line: bytes, path: Path, number: int) -> Any:
    """The value of a literal; parsing takes up to some 230 times its length, which ``lines.LONGEST`` bounds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash that escapes nothing is no fault here
            return ast.literal_eval(line.decode().strip())
    except REFUSED as error:
        start = line[:60].decode(errors="replace").strip()
        raise DataError(
            f"{path}, line {number}: {start!r} is neither JSON nor a Python dictionary of plain values; nothing "
            "else is read, and nothing is executed. Is the file damaged?"
        ) from error
