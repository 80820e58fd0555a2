"""Readers of other people's layouts, from which ``data import`` makes a catalogue, and anything that may lie there."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recmm.data.assembly import assemble
from recmm.data.dataset import Split
from recmm.data.files.arrays import load_features
from recmm.data.files.row_file import row_file
from recmm.data.formats import tables as table_files
from recmm.data.formats.amazon import read_reviews, read_texts
from recmm.data.formats.amazon_images import DIM, ROW, copy_image_rows
from recmm.data.formats.csv_table import read_interactions, read_items, read_labels
from recmm.data.formats.json_splits import FILES, read_json
from recmm.data.raw import RawInteractions
from tests.data.fuzz import LONG, NUMBERS, fuzzed, jsons, npy_files, parquets, read_or_refuse, tables

PAIRS = {"train": {"0": [0, 2], "1": [1], "2": [3]}, "val": {"0": [3], "1": [0]}, "test": {"2": [1], "3": [4]}}
SPLIT = Split("toy", "By hand.")
NAMES = ["user_id", "item_id", "timestamp", "rating", "split"]
RATINGS = [(f"u{n % 4}", f"B{n % 3}", 1_400_000_000 + n, 1 + n % 5, ("train", "val", "test")[n % 3]) for n in range(24)]
ITEMS = ["asin", "title", "description", "picture", "sound"]
ASINS = pl.Series([f"B{n:09d}" for n in range(3)])


def finish(raw: RawInteractions, *, core: int = 1) -> object:
    """What an import makes of what it has read."""
    raw = raw.without_repetitions().core(core).dense()
    raw = raw if raw.parts is not None else raw.split_at_random(0)
    return assemble(
        name="toy",
        split=SPLIT,
        splits=raw.columns(),
        n_users=len(raw.user_labels),
        n_items=len(raw.item_labels),
        features={},
        user_ids=raw.user_labels.to_list(),
        item_ids=raw.item_labels.to_list(),
    )


def write_jsons(folder: Path) -> None:
    np.save(folder / "visual.npy", np.arange(15, dtype=np.float32).reshape(5, 3))
    for part, file in FILES.items():
        (folder / file).write_text(json.dumps(PAIRS[part]))


def read_jsons(folder: Path) -> object:
    return read_json(folder, name="toy", split=SPLIT, features={"visual": "visual.npy"})


def dictionaries() -> st.SearchStrategy[bytes]:
    """Objects of lists, with keys that stand there twice, and text that only some readers take for JSON."""
    ids = st.one_of(st.sampled_from([*map(str, NUMBERS), '"4"', '" 4"', '"٤"', "1.0", "1e3", "true", "null", "[1]"]))
    keys = st.sampled_from(['"0"', '"1"', '"01"', '"-1"', '""', '"\\ud800"', '"\\u001b[31m"', f'"{"x" * 5000}"', "1"])
    lists = st.lists(ids, max_size=4).map(lambda values: f"[{', '.join(values)}]")
    pairs = st.lists(st.tuples(keys, lists | ids), max_size=4)
    odd = [
        "NaN",
        "Infinity",
        "1" * 5000,
        "[" * 20_000,
        '{"a":' * 20_000,
        '{"0": [1e999]}',
        '{"0": [' + "9" * 5000 + "]}",
    ]
    return st.one_of(
        pairs.map(lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}"),
        jsons(["0", "1", "\ud800", "\x1b[31m"]).map(json.dumps),
        st.sampled_from(odd),
    ).map(lambda text: text.encode("utf-8", "surrogatepass"))


def write_table(name: str, header: list[str], rows: list[tuple[object, ...]]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text("\n".join(",".join(map(str, row)) for row in [header, *rows]) + "\n")

    return write


def read_ratings(folder: Path) -> object:
    return finish(read_interactions(folder / "ratings.csv", min_rating=2), core=2)


def read_given(folder: Path) -> object:
    return finish(read_interactions(folder / "ratings.csv", given_split=True))


def read_item_table(folder: Path) -> object:
    return read_items(folder / "items.csv", text=["title", "description"], image="picture", audio="sound")


write_ratings = write_table("ratings.csv", NAMES, RATINGS)
write_items = write_table("items.csv", ITEMS, [(asin, "a", '"b, c"', f"{asin}.jpg", "") for asin in ASINS])
csvs = tables(NAMES, separator=","), tables(NAMES), tables(NAMES[:2], separator=";")
item_csvs = tables(ITEMS, separator=","), tables(ITEMS[:2])


def write_parquet(frame: pl.DataFrame, name: str) -> Callable[[Path], None]:
    return lambda folder: frame.write_parquet(folder / name)


RATING_COLUMNS = dict(pl.DataFrame(RATINGS, schema=NAMES, orient="row").to_dict())
ITEM_COLUMNS = {name: pl.Series([f"{name}{n}" for n in range(3)]) for name in ITEMS}


def compressed(lines: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The same as it is, packed, packed in two streams, and packed with something behind or cut off."""
    packed = lines.map(lambda content: gzip.compress(content, mtime=0))
    return st.one_of(
        lines, packed, packed.map(lambda c: c + c), packed.map(lambda c: c + b"more"), packed.map(lambda c: c[:-5])
    )


def records(keys: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Lines of JSON and of Python literals, records and others, some of them code."""
    odd = st.sampled_from(
        [
            b"{'asin': __import__('os').system('false')}",
            b"{'asin': 'B' * 10**9}",
            b"{'asin': " + b"(" * 5000,
            b"{'asin': 'B000000001', 'description': " + b"-" * 9999 + b"1}",
            b"{'asin': 'B000000001', 'title': 1" + b"0" * 5000 + b"}",
            b"{'asin': 'B000000001', 'title': '\\ud800', 'description': '\\x1b'}",
            b"{'asin': {1: 2}, **{}}",
            b"{'asin': {[]: 2}}",
            b"{'asin': f'{1}'}",
            b"{'asin': " + b"1+" * 2_000 + b"1}",
            b"{'asin': " + b"'a' " * 2_000 + b"}",
            b"{'reviewerID': 'A1', 'asin': 'B1', 'unixReviewTime': 0x" + b"f" * 5000 + b"}",
            b"\xff\xfe",
            b"{'asin': '\xff'}",
            b"[" * 100_000,
            b"\x00",
            b"{'asin': '\x00'}",
        ]
    )
    record = st.dictionaries(st.sampled_from(keys), values | jsons(keys), max_size=6)
    written = record.map(lambda value: json.dumps(value).encode()) | record.map(lambda value: repr(value).encode())
    return st.lists(written | odd, max_size=6).map(b"\n".join)


def write_lines(name: str, rows: list[dict[str, Any]], *, pack: bool, literal: bool = False) -> Callable[[Path], None]:
    text = "\n".join(map(repr if literal else json.dumps, rows)).encode() + b"\n"
    return lambda folder: (folder / name).write_bytes(gzip.compress(text, mtime=0) if pack else text)


REVIEWS = [
    {"reviewerID": f"A{n % 4}", "asin": f"B{n % 3:09d}", "overall": 5.0, "unixReviewTime": n, "reviewText": "x\ny"}
    for n in range(24)
]
METADATA = [
    {"asin": asin, "title": "it's", "description": "a\\b", "categories": [["Baby", "Beds"]], "price": 9.5}
    for asin in ASINS
]
reviews = records(["reviewerID", "asin", "unixReviewTime"], st.sampled_from(["A1", "B000000001", 12, 2**70, "é"]))
metadata = records(["asin", "title", "brand", "description", "categories"], st.sampled_from([*ASINS, "", ["a", ["b"]]]))


def read_amazon(name: str) -> Callable[[Path], object]:
    return lambda folder: finish(read_reviews(folder / name), core=2)


def read_meta(name: str) -> Callable[[Path], object]:
    return lambda folder: read_texts(folder / name, ASINS, without_description=True)


def image_rows() -> st.SearchStrategy[bytes]:
    """Whole rows, of items known and unknown, in any order, some with numbers that are none, and pieces of rows."""
    value = st.sampled_from([0, 1.5, np.nan, np.inf, -np.inf, 3e38])
    asin = st.sampled_from(
        [*(asin.encode() for asin in ASINS), b"B000000009", bytes(10), b"\xff" * 10, b"B00000000\x00"]
    )
    row = st.tuples(asin, value).map(lambda pair: np.array([(pair[0], np.full(DIM, pair[1]))], ROW).tobytes())
    return st.builds(
        lambda rows, more: b"".join(rows) + bytes(more), st.lists(row, max_size=3), st.sampled_from([0, 0, 7])
    )


def write_images(folder: Path) -> None:
    rows = [(asin.encode(), np.full(DIM, number)) for number, asin in enumerate(ASINS)]
    (folder / "images.b").write_bytes(np.array(rows, ROW).tobytes())


def read_images(folder: Path) -> object:
    with row_file(folder / "new" / "visual.npy", len(ASINS), DIM, np.dtype("<f4")) as target:
        copy_image_rows(folder / "images.b", ASINS, target)
    values = load_features(folder / "new" / "visual.npy", "the image features")
    assert np.isfinite(values).all() and not values[~target.written].any()
    return values


test_json = fuzzed(write_jsons, read_jsons, "train.json", dictionaries(), dictionaries())
test_json_features = fuzzed(write_jsons, read_jsons, "visual.npy", npy_files(), examples=20)
test_ratings = fuzzed(write_ratings, read_ratings, "ratings.csv", *csvs)
test_given_split = fuzzed(write_ratings, read_given, "ratings.csv", *csvs)
test_items = fuzzed(write_items, read_item_table, "items.csv", *item_csvs)
test_item_labels = fuzzed(write_items, lambda folder: read_labels(folder / "items.csv"), "items.csv", *item_csvs)
test_lines_of_labels = fuzzed(
    lambda folder: (folder / "ids.txt").write_text("a\nb\nc\n"),
    lambda folder: read_labels(folder / "ids.txt"),
    "ids.txt",
    st.text(st.sampled_from("ab\n\r\x0b\x85 \x1b\u2028")).map(str.encode),
)
test_reviews = fuzzed(write_lines("r.json", REVIEWS, pack=False), read_amazon("r.json"), "r.json", compressed(reviews))
test_packed_reviews = fuzzed(
    write_lines("r.json.gz", REVIEWS, pack=True), read_amazon("r.json.gz"), "r.json.gz", compressed(reviews)
)
test_metadata = fuzzed(
    write_lines("m.json", METADATA, pack=False, literal=True), read_meta("m.json"), "m.json", compressed(metadata)
)
test_packed_metadata = fuzzed(
    write_lines("m.json.gz", METADATA, pack=True, literal=True),
    read_meta("m.json.gz"),
    "m.json.gz",
    compressed(metadata),
)
test_images = fuzzed(write_images, read_images, "images.b", image_rows(), image_rows())
test_damaged_parquet = fuzzed(
    write_parquet(pl.DataFrame(RATING_COLUMNS), "ratings.csv"), read_ratings, "ratings.csv", examples=4
)


@pytest.mark.parametrize(
    ("read", "name", "columns"),
    [
        (read_ratings, "ratings.csv", RATING_COLUMNS),
        (read_given, "ratings.csv", RATING_COLUMNS),
        (read_item_table, "items.csv", ITEM_COLUMNS),
    ],
)
def test_parquet_of_other_types(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Path], object],
    name: str,
    columns: dict[str, pl.Series],
) -> None:
    """The trial in another process is left out, since these files are whole."""
    monkeypatch.setattr(table_files, "try_parquet", lambda path: None)

    @settings(
        max_examples=LONG or 40,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=parquets(columns))
    def fuzz(content: bytes) -> None:
        (tmp_path / name).write_bytes(content)
        read_or_refuse(lambda: read(tmp_path), tmp_path)

    fuzz()


def test_dictionaries_of_nothing_take_little_memory(tmp_path: Path) -> None:
    write_jsons(tmp_path)
    (tmp_path / "train.json").write_text("{" + ",".join(f'"{user}":[]' for user in range(20_000)) + "}")
    read_or_refuse(lambda: read_jsons(tmp_path), tmp_path)


def test_a_little_file_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    line = json.dumps(REVIEWS[0] | {"reviewText": "x" * 4000}).encode() + b"\n"
    (tmp_path / "r.json.gz").write_bytes(gzip.compress(line * 2000, mtime=0))
    refusal = read_or_refuse(lambda: read_reviews(tmp_path / "r.json.gz"), tmp_path)
    assert "unpacks to more than 100 times its size" in str(refusal)
