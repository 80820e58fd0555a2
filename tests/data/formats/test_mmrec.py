"""MMRec's table of interactions."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_matrices, read_mmrec
from recmm.errors import (
    ColumnError,
    EmptySplitError,
    FeatureShapeError,
    IdError,
    MissingFileError,
    SplitOverlapError,
)

FEATURES = {"visual": "visual.npy", "text": "text.npy"}
HEADER = "userID\titemID\tx_label\n"
ROWS = "0\t0\t0\n0\t2\t0\n3\t4\t2\n1\t1\t0\n0\t3\t1\n2\t3\t0\n1\t0\t1\n2\t1\t2\n"


@pytest.fixture
def folder(feature_folder: Path) -> Path:
    (feature_folder / "toy.inter").write_text(HEADER + ROWS)
    return feature_folder


def read(folder: Path, table: str | None = None, **changes: Any) -> MultimodalDataset:
    """Read the folder, with ``table`` in place of its own."""
    if table is not None:
        (folder / "toy.inter").write_bytes(table.encode())
    arguments = {"name": "toy", "split": Split("toy", "By hand."), "interactions": "toy.inter", "features": FEATURES}
    return read_mmrec(folder, **(arguments | changes))


@pytest.mark.parametrize(
    "table",
    [
        HEADER + ROWS,
        (HEADER + ROWS).replace("\n", "\r\n"),
        "\ufeff" + HEADER + ROWS + "\n\n",
        (HEADER + ROWS).rstrip("\n"),
        "\n".join("\t".join(["4.5", *line.split("\t")[::-1]]) for line in (HEADER + ROWS).splitlines()),
    ],
    ids=["plain", "windows", "byte order mark and blank lines", "no last newline", "other order, one more column"],
)
def test_reads_the_catalogue(folder: Path, catalogue: MultimodalDataset, table: str) -> None:
    dataset = read(folder, table.replace("4.5", "rating", 1))
    assert dataset.digest == catalogue.digest
    assert dataset.item_ids == list("01234")
    assert isinstance(dataset.features.values["visual"], np.memmap)


@pytest.mark.parametrize("names", ["line", "rating\trating", "\tuserID_"])
def test_further_columns_may_be_called_anything(folder: Path, catalogue: MultimodalDataset, names: str) -> None:
    more = "\tx" * (names.count("\t") + 1)
    rows = "".join(line + more + "\n" for line in ROWS.splitlines())
    assert read(folder, HEADER.strip() + f"\t{names}\n" + rows).digest == catalogue.digest


def test_a_line_with_nothing_but_further_columns_is_not_blank(folder: Path) -> None:
    rows = "".join(line + "\t5\n" for line in ROWS.splitlines())
    with pytest.raises(IdError, match=r"'userID' are not integers, the first is '' in line 11"):
        read(folder, HEADER.strip() + "\tline\n" + rows + "\t\t\t\n\t\t\t5\n")


@pytest.mark.parametrize("column", ["userID", "itemID", "x_label", "timestamp"])
def test_a_column_that_is_read_must_not_stand_twice(folder: Path, column: str) -> None:
    names = HEADER.strip() + ("\ttimestamp" * 2 if column == "timestamp" else f"\tother\t{column}")
    rows = "".join(line + "\t1\t1\n" for line in ROWS.splitlines())
    with pytest.raises(ColumnError, match=rf"toy\.inter .*so {column} stands there more than once"):
        read(folder, names + "\n" + rows)


@pytest.mark.parametrize(("time", "kind"), [("{}", np.int64), ("{}.5", np.float64)])
def test_timestamps_are_kept(folder: Path, time: str, kind: type) -> None:
    lines = [line + "\t" + time.format(row) for row, line in enumerate(ROWS.splitlines())]
    dataset = read(folder, "\n".join([HEADER.strip() + "\ttimestamp", *lines]))
    assert dataset.train.timestamps is not None
    assert dataset.train.timestamps.dtype == kind
    np.testing.assert_array_equal(dataset.train.timestamps.astype(int), [0, 1, 3, 5])


def test_timestamps_must_be_times(folder: Path) -> None:
    with pytest.raises(ColumnError, match=r"toy\.inter: column 'timestamp' holds 'yesterday' in line 2; expected"):
        read(folder, "userID\titemID\tx_label\ttimestamp\n0\t0\t0\tyesterday\n")


def test_a_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(MissingFileError, match=r"other\.inter, the table of interactions, does not exist"):
        read(folder, interactions="other.inter")
    (folder / "text.npy").unlink()
    with pytest.raises(MissingFileError, match=r"text\.npy, the features of 'text', does not exist"):
        read(folder)
    assert read(folder, features={"visual": "visual.npy"}).modalities == ("visual",)


@pytest.mark.parametrize(
    ("separator", "word"), [(",", "commas"), (";", "semicolons"), ("|", "vertical bars"), (" ", "spaces")]
)
def test_another_separator_is_named(folder: Path, separator: str, word: str) -> None:
    with pytest.raises(ColumnError, match=rf"toy\.inter: the first line, .* is separated by {word} .*expected tabs"):
        read(folder, (HEADER + ROWS).replace("\t", separator))


def test_an_empty_table_is_refused(folder: Path) -> None:
    with pytest.raises(ColumnError, match="separated by nothing"):
        read(folder, "")
    with pytest.raises(EmptySplitError, match=r"toy\.inter has no interaction in split 'train'"):
        read(folder, HEADER, features={})


def test_wrong_column_names_are_listed(folder: Path) -> None:
    with pytest.raises(ColumnError, match=r"toy\.inter has the columns user, itemID, split, but lacks userID, x_label"):
        read(folder, HEADER.replace("userID", "user").replace("x_label", "split") + ROWS)


def test_lines_with_too_many_fields_are_refused(folder: Path) -> None:
    with pytest.raises(ColumnError, match=r"toy\.inter cannot be read as a table"):
        read(folder, HEADER + ROWS + "1\t2\t0\t9\n")


@pytest.mark.parametrize(("value", "shown"), [("1.5", "1.5"), ("2.0", "2.0"), ("A1HK", "A1HK"), ("", "")])
@pytest.mark.parametrize("column", ["userID", "itemID"])
def test_ids_that_are_not_integers_are_refused_with_their_line(
    folder: Path, column: str, value: str, shown: str
) -> None:
    row = f"{value}\t1\t0\n" if column == "userID" else f"1\t{value}\t0\n"
    with pytest.raises(
        IdError, match=rf"toy\.inter: 1 entries of column '{column}' are not integers.*'{shown}' in line 10"
    ):
        read(folder, HEADER + ROWS + row)


@pytest.mark.parametrize(("row", "kind"), [("-1\t0\t0\n", "user"), ("0\t-7\t0\n", "item")])
def test_negative_ids_are_refused(folder: Path, row: str, kind: str) -> None:
    with pytest.raises(IdError, match=rf"toy\.inter: 1 {kind} ids are negative"):
        read(folder, HEADER + ROWS + row)


def test_raw_ids_in_place_of_dense_ones_are_refused(folder: Path) -> None:
    with pytest.raises(IdError, match=r"user ids run up to 7,000,000,000 .*out of range for dense ids"):
        read(folder, HEADER + ROWS + "7000000000\t0\t0\n")


@pytest.mark.parametrize(
    ("value", "sentence"), [("3", r"'x_label' holds \[3\]; expected 0"), ("train", "not integers")]
)
def test_other_labels_are_refused(folder: Path, value: str, sentence: str) -> None:
    with pytest.raises(ColumnError, match=sentence):
        read(folder, HEADER + ROWS + f"1\t2\t{value}\n")


def test_an_empty_split_and_an_overlap_are_refused(folder: Path) -> None:
    with pytest.raises(EmptySplitError, match=r"toy\.inter has no interaction in split 'val'"):
        read(folder, HEADER + ROWS.replace("\t1\n", "\t2\n"))
    with pytest.raises(SplitOverlapError, match=r"'train' .* 'val' .*user 1, item 1\."):
        read(folder, HEADER + ROWS + "1\t1\t1\n")


def test_duplicates_are_counted(folder: Path) -> None:
    assert read(folder, HEADER + ROWS + "1\t1\t0\n").notes["duplicates_dropped"] == 1


def test_fewer_feature_rows_than_items_are_refused(folder: Path, features: dict[str, np.ndarray]) -> None:
    np.save(folder / "visual.npy", features["visual"][:4])
    with pytest.raises(FeatureShapeError, match=r"visual\.npy has 4 rows, but .*toy\.inter names 5 items"):
        read(folder)


def test_feature_files_must_agree(folder: Path) -> None:
    np.save(folder / "text.npy", np.ones((6, 2), np.float32))
    with pytest.raises(FeatureShapeError, match=r"text\.npy has 6 rows, but .*visual\.npy has another number"):
        read(folder)


def test_items_beyond_the_table_come_from_the_features(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(folder / "text.npy", np.ones((7, 2), np.float32))
    with caplog.at_level(logging.WARNING):
        assert read(folder, features={"text": "text.npy"}).n_items == 7
    assert "the last 2 feature rows have no interaction" in caplog.text


def test_mapping_files_give_the_raw_labels(folder: Path) -> None:
    (folder / "u.csv").write_text("user_id\tuserID\nU2\t2\nU0\t0\nU3\t3\nU1\t1\n")
    (folder / "i.csv").write_text("line\titemID\n" + "".join(f"00{dense}X\t{dense}\n" for dense in range(5)))
    dataset = read(folder, labels=("u.csv", "i.csv"))
    assert dataset.user_ids == ["U0", "U1", "U2", "U3"]
    assert dataset.item_ids == ["000X", "001X", "002X", "003X", "004X"]


@pytest.mark.parametrize(
    ("mapping", "error", "sentence"),
    [
        ("user_id\tuserID\nU0\t0\nU1\t1\nU3\t3\n", IdError, r"u\.csv maps 3 ids; expected each id from 0 to 3 once"),
        ("user_id\tuserID\nU0\t0\nU1\t1\nU2\t2\nU9\t2\n", IdError, r"u\.csv maps 4 ids"),
        ("user_id\tuser\nU0\t0\n", ColumnError, r"u\.csv .*lacks userID"),
        ("userID\n0\n", ColumnError, r"u\.csv"),
        ("userID\tuserID\n0\t0\n", ColumnError, r"u\.csv .*userID stands there more than once"),
    ],
)
def test_mapping_files_that_do_not_fit_are_refused(
    folder: Path, mapping: str, error: type[Exception], sentence: str
) -> None:
    (folder / "u.csv").write_text(mapping)
    with pytest.raises(error, match=sentence):
        read(folder, labels=("u.csv", "u.csv"))


def test_the_real_tiktok_is_the_same_in_both_layouts(real_data: Path) -> None:
    folder, split = real_data / "tiktok", Split("released", "-")
    features = {"visual": "image_feat.npy"}
    table = read_mmrec(folder, name="tiktok", split=split, interactions="tiktok.inter", features=features)
    matrices = read_matrices(folder, name="tiktok", split=split, features=features)
    assert table.statistics() == {"users": 9308, "items": 6710, "train": 59541, "val": 3051, "test": 6130}
    for part, pairs in matrices.splits.items():
        np.testing.assert_array_equal(table.splits[part].users, pairs.users)
        np.testing.assert_array_equal(table.splits[part].items, pairs.items)
    assert table.digest == matrices.digest


@pytest.mark.parametrize(
    ("file", "sizes"),
    [
        ("amazon_baby/baby_MMRec_order_reconstructed.inter", (19445, 7050, 118551, 20559, 21682)),
        ("amazon_clothing/clothing_LATTICE_order.inter", (39387, 23033, 197338, 41189, 40150)),
        ("amazon_sports/sports_LATTICE_order.inter", (35598, 18357, 218409, 40029, 37899)),
        ("amazon_sports/sports_MMRec_order_reconstructed.inter", (35598, 18357, 218409, 37899, 40029)),
    ],
)
def test_reads_the_real_amazon_tables(real_data: Path, file: str, sizes: tuple[int, ...]) -> None:
    path = real_data / file
    dataset = read_mmrec(path.parent, name="amazon", split=Split("-", "-"), interactions=path.name, features={})
    assert tuple(dataset.statistics().values()) == sizes


def test_real_mapping_files_label_every_item(real_data: Path) -> None:
    dataset = read_mmrec(
        real_data / "amazon_baby",
        name="baby",
        split=Split("mmrec", "-"),
        interactions="baby_MMRec_order_reconstructed.inter",
        features={},
        labels=("u_id_mapping.csv", "i_id_mapping.csv"),
    )
    assert {len(asin) for asin in dataset.item_ids} == {10}
