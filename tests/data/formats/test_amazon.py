"""McAuley's reviews, metadata and image rows of 2014, in the exact formats."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recmm.data.files.row_file import row_file
from recmm.data.formats.amazon import assemble_text, read_reviews, read_texts
from recmm.data.formats.amazon_images import DIM, copy_image_rows
from recmm.errors import ColumnError, DataError, IdError, TruncatedFileError

REVIEW = {
    "reviewerID": "A1",
    "asin": "B000000001",
    "reviewerName": "a name",
    "helpful": [0, 0],
    "reviewText": 'It says "asin": "B9" here.',
    "overall": 5.0,
    "summary": "s",
    "unixReviewTime": 1374537600,
    "reviewTime": "07 23, 2013",
}
META = {
    "asin": "B000000001",
    "title": "Soft  cot\n blanket",
    "description": "Warm.",
    "price": 9.99,
    "imUrl": "picture.jpg",
    "related": {"also_bought": ["B000000002"]},
    "salesRank": {"Baby": 12},
    "brand": "Acme",
    "categories": [["Baby", "Nursery"], ["Baby", "Bedding"]],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.json.gz"


def write(path: Path, lines: list[Any], *, literal: bool = False) -> None:
    text = "\n".join(line if isinstance(line, str) else repr(line) if literal else json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress(text.encode()))


@pytest.mark.parametrize("literal", [False, True])
def test_reviews(path: Path, literal: bool) -> None:
    write(path, [REVIEW, REVIEW | {"reviewerID": "A2", "unixReviewTime": 5}, REVIEW | {"asin": "X"}], literal=literal)
    raw = read_reviews(path)
    assert raw.user_labels.gather(raw.users).to_list() == ["A1", "A2", "A1"]
    assert raw.item_labels.gather(raw.items).to_list() == ["B000000001", "B000000001", "X"]
    assert raw.timestamps is not None
    assert raw.timestamps.tolist() == [1374537600, 5, 1374537600]


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ({"asin": "B1", "unixReviewTime": 1}, ColumnError, "the record has no 'reviewerID'"),
        (REVIEW | {"unixReviewTime": "today"}, IdError, "unixReviewTime 'today'"),
        (REVIEW | {"unixReviewTime": True}, IdError, "unixReviewTime True"),
        (REVIEW | {"unixReviewTime": 1 << 70}, IdError, "unixReviewTime"),
        (REVIEW | {"reviewerID": ""}, IdError, "two labels in ASCII"),
        (REVIEW | {"asin": ["B1"]}, IdError, "asin"),
        ("[1, 2]", DataError, "a list; expected a record"),
        ("{'reviewerID': 'A1', 'asin': ", DataError, "neither JSON nor a Python dictionary"),
        ("nothing of the kind", DataError, "neither JSON nor a Python dictionary"),
        ("[" * 50_000, DataError, "neither JSON nor a Python dictionary"),
        ("-" * 50_000 + "1", DataError, "neither JSON nor a Python dictionary"),
        ("{'a': " + "1+" * 50_000 + "1j}", DataError, "neither JSON nor a Python dictionary"),
        ("{'a': " + "9" * 10_000 + "}", DataError, "neither JSON nor a Python dictionary"),
        ("{[]: 1}", DataError, "neither JSON nor a Python dictionary"),
        ("{'a': '\0'}", DataError, "neither JSON nor a Python dictionary"),
    ],
)
def test_lines_that_are_no_review(path: Path, line: Any, error: type[Exception], message: str) -> None:
    write(path, [REVIEW, line, REVIEW])
    with pytest.raises(error, match=rf"file.json.gz, line 2: .*{message}"):
        read_reviews(path)


@pytest.mark.parametrize(
    "code", ["__import__('os').{call}", "{{'asin': __import__('os').{call}}}", "[x for x in __import__('os').{call}]"]
)
def test_a_line_that_is_code_is_refused_and_not_executed(path: Path, code: str) -> None:
    witness = path.with_name("witness")
    write(path, [code.format(call=f"mkdir({str(witness)!r})")])
    for read in (read_reviews, lambda path: read_texts(path, pl.Series(["B000000001"]))):
        with pytest.raises(DataError, match=r"line 1: .*nothing else is read, and nothing is executed"):
            read(path)
    assert not witness.exists()


def test_a_file_without_reviews(path: Path) -> None:
    write(path, ["", ""])
    with pytest.raises(DataError, match="holds no review"):
        read_reviews(path)


@settings(deadline=None)
@given(st.binary(max_size=300))
@example(b'{"reviewerID": "\\ud800", "asin": "B", "unixReviewTime": 1}')
def test_any_bytes_are_data_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "reviews.json"
    path.write_bytes(content)
    for read in (read_reviews, lambda path: read_texts(path, pl.Series(["B"]))):
        try:
            read(path)
        except DataError as error:
            assert "reviews.json" in str(error)


def test_text_is_brand_title_description_and_categories() -> None:
    assert assemble_text(META) == "Acme Soft cot blanket Warm. Baby Nursery Bedding"
    newer = META | {"description": ["Warm.", " ", "And soft."], "category": ["Baby"]}
    del newer["categories"]
    assert assemble_text(newer) == "Acme Soft cot blanket Warm. And soft. Baby"


def test_without_a_description_there_is_no_text_unless_that_is_wanted() -> None:
    for nothing in ({}, {"description": ""}, {"description": " \n"}, {"description": None}, {"description": []}):
        record = {key: value for key, value in META.items() if key != "description"} | nothing
        assert assemble_text(record) is None
        assert assemble_text(record, without_description=True) == "Acme Soft cot blanket Baby Nursery Bedding"
    assert assemble_text({"asin": "B"}, without_description=True) is None
    assert assemble_text({"description": "Alone", "title": 7}) == "Alone"


@pytest.mark.parametrize("literal", [False, True])
def test_texts_in_the_order_of_the_items(path: Path, literal: bool) -> None:
    records = [
        META,
        {"asin": "OTHER", "description": "not ours"},
        {"description": "asin comes last: \\d", "asin": "B000000003"},
        META | {"description": "a second line"},
        {"asin": "B000000004"},
    ]
    write(path, records, literal=literal)
    items = pl.Series(["B000000004", "B000000003", "B000000002", "B000000001"])
    assert read_texts(path, items).to_list() == [
        None,
        "asin comes last: \\d",
        None,
        "Acme Soft cot blanket Warm. Baby Nursery Bedding",
    ]


def test_lines_of_other_items_are_not_looked_at(path: Path) -> None:
    write(path, ["{'asin': 'OTHER', 'description': __import__('os')}", repr(META)])
    assert read_texts(path, pl.Series(["B000000001"])).null_count() == 0
    write(path, ["{'title': 'no asin'}", repr(META)])
    with pytest.raises(ColumnError, match="line 1: the record has no asin"):
        read_texts(path, pl.Series(["B000000001"]))


def test_metadata_of_another_category(path: Path) -> None:
    write(path, [META])
    with pytest.raises(IdError, match=r"none of the 1 items of the reviews: a label there is .*, .* is 'B7'"):
        read_texts(path, pl.Series(["B7"]))


def image_rows(*rows: tuple[bytes, float]) -> bytes:
    return b"".join(asin + np.full(DIM, value, "<f4").tobytes() for asin, value in rows)


def test_image_rows_are_joined_by_asin(path: Path) -> None:
    blocks = [(b"B00000000%d" % digit, float(digit)) for digit in (9, 3, 1, 1, 4)]
    repeated = [(b"B000000003", 7.0), (b"OTHERITEM0", 8.0)]
    path.write_bytes(
        image_rows(*blocks, *repeated, *[(b"OTHERITEM1", 0.0)] * 300, (b"B000000001", 5.0), (b"B000000005", np.nan))
    )
    items = pl.Series([f"B00000000{digit}" for digit in (1, 2, 3, 4, 5)] + ["a label of more than 10 bytes"])
    with row_file(path.with_suffix(".npy"), len(items), DIM, np.dtype("<f4")) as target:
        passed = copy_image_rows(path, items, target)
    found = np.load(path.with_suffix(".npy"))
    assert found[:, 0].tolist() == [1, 0, 3, 4, 0, 0]
    assert (found == found[:, :1]).all()
    assert target.written.tolist() == [True, False, True, True, False, False]
    assert passed == {"image rows of other items": 302, "repeated image rows": 3, "image rows with NaN or Inf": 1}


@pytest.mark.parametrize("cut", [1, 4 * DIM, 4 * DIM + 9])
def test_a_truncated_image_file(path: Path, cut: int) -> None:
    path.write_bytes(image_rows((b"B000000001", 1.0), (b"B000000002", 2.0))[:-cut])
    with (
        row_file(path.with_suffix(".npy"), 1, DIM, np.dtype("<f4")) as target,
        pytest.raises(TruncatedFileError, match=r"file.json.gz has [\d,]+ bytes, which is 1 rows of 16,394 bytes"),
    ):
        copy_image_rows(path, pl.Series(["B000000001"]), target)


def test_images_of_another_category(path: Path) -> None:
    path.write_bytes(image_rows((b"B000000001", 1.0)))
    with (
        row_file(path.with_suffix(".npy"), 1, DIM, np.dtype("<f4")) as target,
        pytest.raises(IdError, match="none of the 1 items of the reviews: a label there is 'B000000001'"),
    ):
        copy_image_rows(path, pl.Series(["B7"]), target)
