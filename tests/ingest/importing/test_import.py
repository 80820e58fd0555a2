"""`python -m recmm data import`, as a person calls it, from files in the exact formats."""

import gzip
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recmm.cli import app
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.formats import read_canonical, read_matrices
from recmm.errors import ColumnError, ConfigError, DataError, FeatureShapeError, FeatureValueError, MissingFileError

Pair = tuple[str, str]


def run(*arguments: object) -> Result:
    """The command's output; its own errors are raised, as the entry point sees them."""
    result = CliRunner().invoke(app, ["data", "import", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def pairs_of(dataset: MultimodalDataset) -> dict[str, set[Pair]]:
    return {
        part: {(dataset.user_ids[u], dataset.item_ids[i]) for u, i in zip(pairs.users, pairs.items, strict=True)}
        for part, pairs in dataset.splits.items()
    }


def write_csv(path: Path, pairs: Sequence[Pair]) -> None:
    path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in pairs))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three users with 3 items each; item `d` is in no interaction."""
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "ratings.csv"
    write_csv(path, [(user, item) for user in ("ann", "bob", "cid") for item in "bac"])
    (path.parent / "items.csv").write_text("id;item;title;file\n0;a;An apple;a.png\n1;d;A date;d.png\n2;c;;c.png\n")
    return path


def test_help_shows_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "recmm data import data/amazon --from amazon" in " ".join(re.sub(r"\x1b\[\d*m", "", result.output).split())


def test_a_typo_in_the_layout() -> None:
    result = run("x", "--from", "cvs", "--out", "y")
    assert result.exit_code == 2
    assert "'cvs' is not one of" in " ".join(result.output.replace("│", " ").split())


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
        (["--meta", "m.json"], ConfigError, "--meta does not belong to --from csv, which takes --interactions, --user"),
        (["--text", "title"], ConfigError, "speak of a table of items: name it with --items"),
        (["--features", "visual"], ConfigError, "expected MODALITY=FILE"),
        (["--features", "../x=v.npy"], DataError, "cannot name a file"),
        (["--features", "visual=v.npy"], ConfigError, "which row is whose"),
        (["--feature-ids", "visual=v.txt"], ConfigError, "there is no --features visual=FILE"),
        (["--split", "given", "--split-seed", "1"], ConfigError, "a given split is not drawn"),
        (["--split-column", "x"], ConfigError, "read for --split given only"),
        (["--rating", "x"], ConfigError, "read for --min-rating only"),
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


def test_sources_and_targets(table: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        run(tmp_path / "nowhere", "--from", "json", "--out", tmp_path / "made")
    with pytest.raises(ConfigError, match="is a file: name its folder"):
        run(table, "--from", "mmrec", "--out", tmp_path / "made")
    with pytest.raises(ConfigError, match="Which table"):
        run(table.parent, "--from", "csv", "--out", tmp_path / "made")
    with pytest.raises(DataError, match="exists already and is not overwritten"):
        run(table, "--from", "csv", "--out", table.parent)
    table.write_text("user,item\n")
    with pytest.raises(DataError, match="of 0 in all"):
        run(table, "--from", "csv", "--out", tmp_path / "made")


def test_json_and_mmrec_agree(tmp_path: Path) -> None:
    splits = {"train": {"0": [0, 1], "1": [1]}, "val": {"0": [2]}, "test": {"1": ["0"]}}
    for part, content in splits.items():
        (tmp_path / f"{part}.json").write_text(json.dumps(content))
    np.save(tmp_path / "v.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "toy.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n0\t1\t0\n1\t1\t0\n0\t2\t1\n1\t0\t2\n")
    digests = set()
    for layout in ("json", "mmrec"):
        run(tmp_path, "--from", layout, "--out", tmp_path / layout, "--features", "visual=v.npy")
        digests.add(read_canonical(tmp_path / layout).digest)
    assert len(digests) == 1
    shutil.copy(tmp_path / "toy.inter", tmp_path / "other.inter")
    with pytest.raises(ConfigError, match=r"holds other.inter, toy.inter: say with --interactions"):
        run(tmp_path, "--from", "mmrec", "--out", tmp_path / "more")
    with pytest.raises(MissingFileError, match=r"holds no \.inter table"):
        run(tmp_path / "json", "--from", "mmrec", "--out", tmp_path / "more")


def amazon(folder: Path, reviews: list[tuple[str, str, int]]) -> None:
    """The three files of 2014; item B000000002 has no description, B000000003 no line at all."""
    folder.mkdir()
    lines = [json.dumps({"reviewerID": u, "asin": i, "overall": 5.0, "unixReviewTime": t}) for u, i, t in reviews]
    (folder / "reviews_Toys_5.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    meta = [
        {"asin": f"B00000000{item}", "title": f"Toy {item}", "categories": [["Toys"]]}
        | ({} if item == 2 else {"description": "Fun."})
        for item in (1, 2, 4, 5, 6)
    ]
    (folder / "meta_Toys.json.gz").write_bytes(gzip.compress("\n".join(map(repr, meta)).encode()))
    rows = [f"B00000000{item}".encode() + np.full(4096, item, "<f4").tobytes() for item in (6, 5, 3, 1, 2)]
    (folder / "image_features_Toys.b").write_bytes(b"".join(rows))


# Five users with five items each stay. X has four of them and B000000006, whose other users have nothing else: the
# first pass takes these users, the second the item, the third X.
BLOCK = [(f"U{user}", f"B00000000{item}", 100 * user + item) for item in range(1, 6) for user in range(5)]
FALLING = [("X", f"B00000000{item}", 7) for item in (1, 2, 3, 4, 6)] + [(f"P{n}", "B000000006", 8) for n in range(4)]


def test_amazon_from_the_files_of_2014(tmp_path: Path) -> None:
    amazon(tmp_path / "raw", [*FALLING, *BLOCK, ("U0", "B000000001", 50), ("U0", "B000000001", 900)])
    result = run(tmp_path / "raw", "--from", "amazon", "--out", tmp_path / "toys")
    data = read_canonical(tmp_path / "toys")
    assert data.item_ids == [f"B00000000{item}" for item in (1, 2, 3, 4, 5)]
    assert data.user_ids == [f"U{user}" for user in range(5)]
    assert data.statistics() == {"users": 5, "items": 5, "train": 15, "val": 5, "test": 5}
    times = {
        (u, i): int(t)
        for pairs in data.splits.values()
        for u, i, t in zip(pairs.users, pairs.items, pairs.timestamps, strict=True)  # type: ignore[arg-type]
    }
    user = data.user_ids.index("U0")
    assert times[user, 0] == 1  # of the three reviews the earliest
    assert times[data.user_ids.index("U3"), 4] == 305
    assert data.features.observed[:, 0].tolist() == [True, True, True, False, True]
    assert data.features.values["visual"][:, -1].tolist() == [1, 2, 3, 0, 5]
    raw = pl.read_parquet(tmp_path / "toys" / "raw.parquet")
    assert raw["text"].to_list() == ["Toy 1 Fun. Toys", None, None, "Toy 4 Fun. Toys", "Toy 5 Fun. Toys"]
    assert raw["image"].null_count() == 5
    for what, number in {
        "earliest stays": 2,
        r"\(to a fixed point\)": 9,
        "image rows of other items": 1,
        r"visual \(4,096 columns\): items without": r"1 \(20",
        r"text in raw.parquet: items without": r"2 \(40",
    }.items():
        assert re.search(rf"{what}\s*│\s*{number}", result.stdout), what

    run(
        tmp_path / "raw",
        "--from",
        "amazon",
        "--out",
        tmp_path / "more",
        "--text-without-description",
        "--split-seed",
        1,
    )
    assert pl.read_parquet(tmp_path / "more" / "raw.parquet")["text"][1] == "Toy 2 Toys"
    assert read_canonical(tmp_path / "more").split.name == "random-s1"


def test_amazon_without_images_and_metadata(tmp_path: Path) -> None:
    amazon(tmp_path / "raw", BLOCK)
    for name in ("meta_Toys.json.gz", "image_features_Toys.b"):
        (tmp_path / "raw" / name).unlink()
    run(tmp_path / "raw", "--from", "amazon", "--out", tmp_path / "toys")
    assert read_canonical(tmp_path / "toys").modalities == ()
    with pytest.raises(MissingFileError, match=r"other.json, the metadata"):
        run(tmp_path / "raw", "--from", "amazon", "--out", tmp_path / "more", "--meta", "other.json")
    (tmp_path / "raw" / "reviews_Other.json").write_text("")
    with pytest.raises(ConfigError, match=r"holds reviews_Other.json, reviews_Toys_5.json.gz"):
        run(tmp_path / "raw", "--from", "amazon", "--out", tmp_path / "more")
    with pytest.raises(MissingFileError, match=r"holds no reviews_<category>_5\.json\.gz"):
        run(tmp_path / "toys", "--from", "amazon", "--out", tmp_path / "more")
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("name", ["reviews_Toys_5.json.gz", "meta_Toys.json.gz", "image_features_Toys.b"])
def test_a_truncated_file_of_amazon_leaves_nothing(tmp_path: Path, name: str) -> None:
    amazon(tmp_path / "raw", BLOCK)
    path = tmp_path / "raw" / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=name):
        run(tmp_path / "raw", "--from", "amazon", "--out", tmp_path / "toys")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_tiktok(real_data: Path, tmp_path: Path) -> None:
    features = {"visual": "image_feat.npy", "acoustic": "audio_feat.npy"}
    options = [part for modality, file in features.items() for part in ("--features", f"{modality}={file}")]
    run(real_data / "tiktok", "--from", "matrices", "--out", tmp_path / "made", *options)
    expected = read_matrices(real_data / "tiktok", name="x", split=Split("given", ""), features=features)
    assert read_canonical(tmp_path / "made").digest == expected.digest


@pytest.mark.parametrize(("name", "first"), [("baby", "097293751X"), ("sports", "1881509818")])
def test_amazon_in_the_ids_of_mmrec(real_data: Path, tmp_path: Path, name: str, first: str) -> None:
    labels = ("--labels", "u_id_mapping.csv", "i_id_mapping.csv")
    table = ("--interactions", f"{name}_MMRec_order_reconstructed.inter")
    result = run(real_data / f"amazon_{name}", "--from", "mmrec", "--out", tmp_path / "made", *labels, *table)
    assert read_canonical(tmp_path / "made").item_ids[0] == first
    assert {"baby": "160,792", "sports": "296,337"}[name] in result.stdout
