"""`--from csv`: tables with raw labels."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmm.data.formats import read_canonical
from recmm.data.protocols import TemporalLeaveOneOut
from recmm.errors import (
    ColumnError,
    ConfigError,
    DataError,
    FeatureShapeError,
    FeatureValueError,
    IdError,
    MissingFileError,
)
from tests.ingest.importing.running import pairs_of, run, write_csv


def test_csv_is_split_per_user_and_reads_back(table: Path, tmp_path: Path) -> None:
    result = run(table, "--from", "csv", "--out", tmp_path / "made", "--split-seed", "3")
    data = read_canonical(tmp_path / "made")
    assert data.split.name == "random-s3"
    assert data.name == "made"
    assert data.item_ids == ["b", "a", "c"]
    assert data.statistics() == {"users": 3, "items": 3, "train": 3, "val": 3, "test": 3}
    assert set.union(*pairs_of(data).values()) == {(user, item) for user in ("ann", "bob", "cid") for item in "abc"}
    assert "0.0000%" in result.stdout  # every user has every item
    run(table, "--from", "csv", "--out", tmp_path / "again", "--split-seed", "3")
    assert read_canonical(tmp_path / "again").digest == data.digest
    assert not (tmp_path / "made" / "raw.parquet").exists()


def test_csv_with_a_given_split(table: Path, tmp_path: Path) -> None:
    table.write_text("user,item,fold\nann,a,train\nbob,a,val\nann,b,test\nann,a,train\n")
    arguments = ("--split", "given", "--split-column", "fold", "--split-name", "ours")
    result = run(table.parent, "--from", "csv", "--interactions", table.name, "--out", tmp_path / "made", *arguments)
    data = read_canonical(tmp_path / "made")
    assert pairs_of(data) == {"train": {("ann", "a")}, "val": {("bob", "a")}, "test": {("ann", "b")}}
    assert data.split.name == "ours"
    assert re.search(r"earliest stays\s*│\s*1 ", result.stdout)


def test_csv_with_items_texts_and_features(table: Path, tmp_path: Path) -> None:
    np.save(table.parent / "v.npy", np.array([[1, 1], [4, 4], [3, 3]], np.float16))
    np.save(table.parent / "t.npy", np.array([[7.0], [np.nan], [8.0]]))
    (table.parent / "ids.txt").write_text("c\na\nunknown\n")
    arguments = ["--items", "items.csv", "--text", "title", "--image", "file", "--features", "visual=v.npy"]
    arguments += ["--features", "textual=t.npy", "--feature-ids", "textual=ids.txt"]
    run(table, "--from", "csv", "--out", tmp_path / "made", *arguments)
    data = read_canonical(tmp_path / "made")
    assert data.item_ids == ["b", "a", "c"]
    assert data.features.observed.tolist() == [[False, False], [True, False], [True, True]]
    assert data.features.values["visual"].tolist() == [[0, 0], [1, 1], [3, 3]]
    assert data.features.values["visual"].dtype == np.float16
    assert data.features.values["textual"].tolist() == [[0], [0], [7]]
    raw = pl.read_parquet(tmp_path / "made" / "raw.parquet")
    assert raw.columns == ["item", "text", "image", "audio"]
    assert raw.rows() == [
        ("b", None, None, None),
        ("a", "An apple", "a.png", None),
        ("c", None, "c.png", None),
    ]
    assert raw.dtypes == [pl.String] * 4
    assert "raw.parquet" in json.loads((tmp_path / "made" / "manifest.json").read_text())["files"]

    run(table, "--from", "csv", "--out", tmp_path / "all", *arguments, "--keep-all-items")
    data = read_canonical(tmp_path / "all")
    assert data.item_ids == ["b", "a", "c", "d"]
    assert data.features.values["visual"].tolist() == [[0, 0], [1, 1], [3, 3], [4, 4]]


def test_csv_core_and_threshold(table: Path, tmp_path: Path) -> None:
    rows = [f"{user},{item},5" for user in ("ann", "bob", "cid") for item in "abc"]
    table.write_text("\n".join(["user,item,stars", *rows, "ann,d,5", "bob,d,5", "cid,d,1", "dan,a,5"]))
    result = run(table, "--from", "csv", "--out", tmp_path / "made", "--min-rating", "2", "--min-interactions", "3")
    assert read_canonical(tmp_path / "made").item_ids == ["a", "b", "c"]
    assert re.search(r"ratings below 2\s*│\s*1 ", result.stdout)
    assert re.search(r"fewer than 3 interactions .*│\s*3 ", result.stdout)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=30))
def test_import_and_read_give_the_same_pairs(
    tmp_path_factory: pytest.TempPathFactory, pairs: set[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    labelled = [(f"u{user}", f"i{item}") for user, item in pairs]
    write_csv(folder / "x.csv", labelled)
    run(folder / "x.csv", "--from", "csv", "--out", folder / "made")
    found = pairs_of(read_canonical(folder / "made"))
    assert set.union(*found.values()) == set(labelled)
    assert sum(map(len, found.values())) == len(pairs)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--meta", "m.json"], ConfigError, "--meta does not apply to --from csv, which takes --interactions, --user"),
        (["--text", "title"], ConfigError, "apply to a table of items: name one with --items"),
        (["--features", "visual"], ConfigError, "expected MODALITY=FILE"),
        (["--features", "../x=v.npy"], DataError, "cannot name a file"),
        (["--features", "visual=v.npy"], ConfigError, "which row belongs to which item"),
        (["--feature-ids", "visual=v.txt"], ConfigError, "there is no --features visual=FILE"),
        (["--split", "given", "--split-seed", "1"], ConfigError, "--split given draws nothing"),
        (["--split-column", "x"], ConfigError, "applies to --split given"),
        (["--rating", "x"], ConfigError, "applies to --min-rating"),
        (["--split", "given"], ColumnError, "none is called split"),
        (["--min-interactions", "4"], DataError, "no interaction is left of 9"),
        (["--items", "absent.csv"], MissingFileError, "the table of items"),
        (["--items", "items.csv", "--features", "visual=short.npy"], FeatureShapeError, "2 rows for 3 item labels"),
        (["--items", "items.csv", "--features", "visual=nan.npy"], FeatureValueError, "first in row 2 "),
    ],
)
def test_what_does_not_go_leaves_nothing(
    table: Path, tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    np.save(table.parent / "short.npy", np.ones((2, 2)))
    np.save(table.parent / "nan.npy", np.array([[1, 1], [1, 1], [1, np.nan]]))
    with pytest.raises(error, match=message):
        run(table, "--from", "csv", "--out", tmp_path / "made", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_features_in_a_table_with_a_column_of_items_are_joined_by_it(table: Path, tmp_path: Path) -> None:
    features = pl.DataFrame({"item": ["c", "a", "zz"], "x": [3.0, 1.0, 9.0], "y": [3.0, 1.0, 9.0]})
    features.write_parquet(table.parent / "v.parquet")
    run(table, "--from", "csv", "--out", tmp_path / "made", "--features", "visual=v.parquet")
    data = read_canonical(tmp_path / "made")
    assert data.item_ids == ["b", "a", "c"]
    assert data.features.observed.ravel().tolist() == [False, True, True]
    assert data.features.values["visual"].tolist() == [[0, 0], [1, 1], [3, 3]]


def test_labels_that_match_nothing_are_refused(table: Path, tmp_path: Path) -> None:
    (table.parent / "blank.csv").write_text("item,title\n a,x\n b,y\n c,z\n")
    with pytest.raises(IdError, match=r"blank\.csv \(--items\) names none of the 3 .*' b'.*'b'.* the blanks"):
        run(table, "--from", "csv", "--out", tmp_path / "made", "--items", "blank.csv", "--text", "title")
    np.save(table.parent / "v.npy", np.ones((1, 2), np.float32))
    (table.parent / "ids.txt").write_text("A\n")
    arguments = ("--features", "visual=v.npy", "--feature-ids", "visual=ids.txt")
    with pytest.raises(IdError, match=r"ids\.txt .* names none of the 3 items .*'A'.*upper and lower case"):
        run(table, "--from", "csv", "--out", tmp_path / "made", *arguments)


def test_dates_in_another_order_are_refused_and_may_be_named(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    rows = [f"u,i{k},0{9 - k}/12/2024" for k in range(5)]
    table.write_text("\n".join(["user,item,date", *rows]) + "\n")
    with pytest.raises(ColumnError, match=r"'09/12/2024' in line 2; expected .* --time-format"):
        run(table, "--from", "csv", "--out", tmp_path / "made")
    result = run(table, "--from", "csv", "--out", tmp_path / "made", "--time-format", "%d/%m/%Y")
    assert "Times: dates and times such as '%d/%m/%Y', kept as seconds since 1970." in result.stdout
    manifest = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert manifest["timestamp_unit"] == read_canonical(tmp_path / "made").notes["timestamp_unit"] == "s"
    with pytest.raises(ConfigError, match="--time-format 'soon': expected auto, iso, s, ms, us, ns, or a pattern"):
        run(table, "--from", "csv", "--out", tmp_path / "other", "--time-format", "soon")
    with pytest.raises(ConfigError, match="leave it or --timestamp none out"):
        run(table, "--from", "csv", "--out", tmp_path / "other", "--time-format", "s", "--timestamp", "none")


def test_fractions_of_a_second_survive_the_import(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    rows = [f"u,i{k},2024-12-01T10:00:00.{9 - k}Z" for k in range(5)]
    table.write_text("\n".join(["user,item,time", *rows]) + "\n")
    run(table, "--from", "csv", "--out", tmp_path / "made")
    data = read_canonical(tmp_path / "made")
    assert data.notes["timestamp_unit"] == "ms"
    made = TemporalLeaveOneOut().apply(data)
    assert [data.item_ids[item] for item in made.test.items] == ["i0"]
    assert [data.item_ids[item] for item in made.val.items] == ["i1"]
    assert made.notes["time_ties"] == 0
