"""Tables with raw labels: what is which column, and what is wrong in which line."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.formats.csv_table import InteractionColumns, read_interactions, read_items, read_labels
from recmm.errors import ColumnError, DataError, IdError, MissingFileError

TABLE = "user_id,movieId,rating,timestamp\nann,7,5,30\nbob,7,2.5,10\nann,x,4,20\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratings.csv"


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace(",", "\t"),
        TABLE.replace(",", ";").replace("\n", "\r\n"),
        "\ufeff" + TABLE + "\n\n",
        TABLE.replace("user_id", "user_id:token").replace("movieId", "item_id:token"),
        TABLE.replace("ann", '"ann"'),
        TABLE.replace("30", "1970-01-01T00:00:30")
        .replace(",10", ",1970-01-01T00:00:10")
        .replace("20", "1970-01-01T00:00:20"),
    ],
    ids=["csv", "tsv", "semicolons, windows", "byte order mark, blank lines", "RecBole", "quoted", "dates"],
)
def test_reads_labels_and_times(path: Path, text: str) -> None:
    path.write_text(text)
    raw = read_interactions(path)
    assert raw.user_labels.gather(raw.users).to_list() == ["ann", "bob", "ann"]
    assert raw.item_labels.gather(raw.items).to_list() == ["7", "7", "x"]
    assert raw.timestamps is not None
    assert raw.timestamps.tolist() == [30, 10, 20]
    assert raw.parts is None


def test_reads_parquet(path: Path) -> None:
    table = pl.DataFrame({"uid": [11, 12], "item": ["a", "b"], "date": ["2014-07-23", "2014-07-24"]})
    table.with_columns(pl.col("date").str.to_date()).write_parquet(path)
    raw = read_interactions(path)
    assert raw.user_labels.to_list() == ["11", "12"]
    assert raw.timestamps is not None
    assert np.diff(raw.timestamps).tolist() == [86_400]


def test_a_name_is_not_a_pattern(path: Path) -> None:
    path.write_text("user,item\na,b\n")
    with pytest.raises(MissingFileError):
        read_interactions(path.with_name("rat*.csv"))
    for name in ("rat*.csv", "[1].csv", "~?.csv"):
        path.with_name(name).write_text("user,item\nc,d\n")
        assert read_interactions(path.with_name(name)).user_labels.to_list() == ["c"]
        pl.DataFrame({"user": ["e"], "item": ["f"]}).write_parquet(path.with_name(name))
        assert read_interactions(path.with_name(name)).user_labels.to_list() == ["e"]


def test_dates_without_a_time(path: Path) -> None:
    path.write_text("user,item,date\na,b,1970-01-02\n")
    times = read_interactions(path).timestamps
    assert times is not None
    assert times.tolist() == [86_400]


def test_a_threshold_on_ratings(path: Path) -> None:
    path.write_text(TABLE)
    raw = read_interactions(path, min_rating=4)
    assert len(raw) == 2
    assert raw.dropped == {"ratings below 4": 1}


def test_columns_by_name(path: Path) -> None:
    path.write_text("who,what,item\na,b,c\n")
    raw = read_interactions(path, InteractionColumns(user="who", item="what"))
    assert raw.item_labels.to_list() == ["b"]
    assert raw.timestamps is None


def test_a_given_split(path: Path) -> None:
    path.write_text("user,item,x_label\na,b,0\na,c,valid\na,d, Test \n")
    parts = read_interactions(path, given_split=True).parts
    assert parts is not None
    assert parts.tolist() == [0, 1, 2]


def test_a_column_of_times_that_nobody_can_read_can_be_left_out(path: Path) -> None:
    path.write_text('user,item,date\na,b,"07 23, 2013"\n')
    with pytest.raises(ColumnError, match="--timestamp none"):
        read_interactions(path)
    assert read_interactions(path, InteractionColumns(timestamp="none")).timestamps is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_data_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "ratings.csv"
    path.write_bytes((b"user,item,timestamp,rating\n" if header else b"") + content)
    try:
        read_interactions(path, min_rating=2)
    except DataError as error:
        assert "ratings.csv" in str(error)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("who,item\na,b\n", ColumnError, r"has the columns who, item .* --user"),
        ("user,uid,item\na,b,c\n", ColumnError, "both 'user' and 'uid' may be the user. Name one with --user"),
        ("a,B1,5,13\nb,B2,4,12\n", ColumnError, "add a first line with names"),
        ("user,item\na,b\n,c\n", IdError, "1 entries of column 'user' are empty, the first in line 3"),
        (
            "user,item,time\na,b,1\na,c,soon\n",
            ColumnError,
            "'time' holds 'soon' in line 3; expected dates and times in ISO 8601.* --time-format",
        ),
        ("user,item,time\na,b,1\na,c,\n", ColumnError, "'time' holds None in line 3"),
        (
            "user,item,time\na,b,soon\n",
            ColumnError,
            "'time' holds 'soon' in line 2; expected dates and times in ISO 8601",
        ),
        ("user,item\na,b,c,d\n", ColumnError, "not readable as a table"),
        ("", ColumnError, "not readable as a table"),
    ],
)
def test_what_is_wrong_where(path: Path, text: str, error: type[Exception], message: str) -> None:
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        read_interactions(path)
    assert "ratings.csv" in str(caught.value)


def test_ratings_and_splits_are_looked_at_only_if_needed(path: Path) -> None:
    path.write_text("user,item,rating,split\na,b,good,sometimes\n")
    assert len(read_interactions(path)) == 1
    with pytest.raises(ColumnError, match="'rating' holds 'good' in line 2"):
        read_interactions(path, min_rating=3)
    with pytest.raises(ColumnError, match="'split' holds 'sometimes' in line 2; expected train, val or test"):
        read_interactions(path, given_split=True)


def test_another_encoding_and_compression(path: Path) -> None:
    path.write_bytes(b"user,item\n\xff\xfe,b\n")
    with pytest.raises(ColumnError, match="not readable as a table"):
        read_interactions(path)
    path.write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(ColumnError, match="is compressed"):
        read_interactions(path)
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ColumnError, match="not a readable Parquet file"):
        read_interactions(path)
    with pytest.raises(MissingFileError):
        read_interactions(path.with_name("absent.csv"))


def test_labels_are_never_floats(path: Path) -> None:
    pl.DataFrame({"user": [1.0], "item": ["a"]}).write_parquet(path)
    with pytest.raises(ColumnError, match="'user' is of type Float64; expected text or integers"):
        read_interactions(path)


def test_items_with_their_texts_and_files(path: Path) -> None:
    path.write_text('sku,title,blurb,picture\n7,A title,"two\nlines, quoted",7.jpg\nx, ,,\ny,Only,,y.png\n')
    table = read_items(path, item="sku", text=["title", "blurb"], image="picture")
    assert table["item"].to_list() == ["7", "x", "y"]
    assert table["text"].to_list() == ["A title two\nlines, quoted", None, "Only"]
    assert table["image"].to_list() == ["7.jpg", None, "y.png"]
    assert table["audio"].to_list() == [None, None, None]
    assert table.dtypes == [pl.String] * 4
    backwards = read_items(path, item="sku", text=["blurb", "title"])
    assert backwards["text"][0] == "two\nlines, quoted A title"


def test_items_that_are_wrong(path: Path) -> None:
    path.write_text("item,title\na,x\nb,y\na,z\n")
    with pytest.raises(IdError, match="1 rows name an item for a second time, the first is 'a' in line 4"):
        read_items(path)
    with pytest.raises(ColumnError, match=r"there is no 'titel' \(--text\)"):
        read_items(path, text=["titel"])
    with pytest.raises(ColumnError, match=r"there is no 'file' \(--image\)"):
        read_items(path, image="file")


def test_labels_of_feature_rows(path: Path) -> None:
    text = path.with_suffix(".txt")
    text.write_text("b\na\n")
    assert read_labels(text).to_list() == ["b", "a"]
    path.write_text("asin,more\nb,1\na,2\n")
    assert read_labels(path).to_list() == ["b", "a"]
    text.write_text("b\na\nb\n")
    with pytest.raises(IdError, match="line 3: 'b' is empty or a repetition"):
        read_labels(text)
    text.write_bytes(b"\xff\n")
    with pytest.raises(ColumnError, match="not text in UTF-8"):
        read_labels(text)


def test_splits_are_never_lists(path: Path) -> None:
    pl.DataFrame({"user": ["a"], "item": ["b"], "split": [["train"]]}).write_parquet(path)
    with pytest.raises(ColumnError, match=r"'split' is of type List\(String\); expected text or integers"):
        read_interactions(path, given_split=True)


def test_tables_in_utf_16_are_named(path: Path) -> None:
    path.write_bytes("user,item\na,b\n".encode("utf-16"))
    with pytest.raises(ColumnError, match=r"the first line is not text in UTF-8 .*Save the table as UTF-8"):
        read_interactions(path)


def test_between_tabs_quotation_marks_are_text(tmp_path: Path) -> None:
    (tmp_path / "items.tsv").write_text('item\ttitle\ni0\t"Half open\ni1\tThing\ni2\tclosing"\ni3\t5" ruler\n')
    assert read_items(tmp_path / "items.tsv", text=["title"])["text"].to_list() == [
        '"Half open',
        "Thing",
        'closing"',
        '5" ruler',
    ]


def test_a_quoted_value_that_spans_lines_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text('item,title\ni0,"Half open\ni1,Thing\ni2,closing"\ni3,x\n,y\n')
    with pytest.raises(IdError, match="the first in line 6"):
        read_items(path, text=["title"])
    assert "quoted values of a row span several lines, the first from line 2 to 4" in caplog.text


@pytest.mark.parametrize("kind", [pl.Float32, pl.Datetime("ns"), pl.Decimal(20, 2)])
def test_times_of_parquet_keep_what_their_type_can_hold(kind: Any, tmp_path: Path, caplog: Any) -> None:
    second = 1_405_382_400
    times = pl.Series("time", [second, second + 1]).cast(pl.Float64 if kind != pl.Datetime("ns") else pl.Int64)
    table = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "time": times.cast(kind)})
    table.write_parquet(tmp_path / "t.parquet")
    found = read_interactions(tmp_path / "t.parquet").timestamps
    assert found is not None
    assert (len(set(found.tolist())) == 1) == ("cannot hold times less than 128 seconds apart" in caplog.text)
    assert ("less than 128 seconds" in caplog.text) == (kind == pl.Float32)
