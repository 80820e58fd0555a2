"""`--from amazon`: files in the exact formats of 2014."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recmm.data.formats import read_canonical
from recmm.errors import ConfigError, DataError, MissingFileError
from tests.ingest.importing.running import run


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
        r"visual \(4,096 columns\): items without features": r"1 \(20",
        r"text in raw.parquet: items without content": r"2 \(40",
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
