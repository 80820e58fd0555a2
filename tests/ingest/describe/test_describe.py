"""`data describe`: numbers against hand counts, the tables, the JSON, and the page with its pictures."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from recmm.data.dataset import MultimodalDataset, Split, SplitColumns, assemble
from recmm.data.formats import write_canonical
from recmm.errors import DataError
from recmm.ingest.cli.commands import app
from recmm.ingest.describe.description import describe_dataset, patterns
from recmm.ingest.describe.page import write_page
from recmm.ingest.describe.pictures import pictures
from recmm.ingest.describe.tables import tables

PAIRS = {"train": [(0, 0), (0, 2), (1, 1), (2, 3)], "val": [(0, 3), (1, 0)], "test": [(2, 1), (3, 2)]}
EVIL = "<script>alert(1)</script>$x_"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["describe", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def toy() -> MultimodalDataset:
    """4 users, 5 items; item 4 occurs nowhere, user 3 has no history, and each modality lacks something."""
    observed = np.ones((5, 2), bool)
    observed[1, 0] = observed[3, 0] = observed[3, 1] = False
    visual = np.array([[3, 4], [np.nan, 0], [0, 0], [7, 7], [3, 4]], np.float32)
    columns = {part: SplitColumns(*np.array(pairs).T) for part, pairs in PAIRS.items()}
    return assemble(
        name="toy",
        split=Split("made", "by hand"),
        **columns,  # type: ignore[arg-type]
        n_users=4,
        n_items=5,
        features={"visual": visual, "textual": np.arange(15, dtype=np.float16).reshape(5, 3)},
        observed=observed,
    )


def test_numbers_counted_by_hand(toy: MultimodalDataset) -> None:
    told = describe_dataset(toy, "here").to_json()
    assert told["statistics"] == {"users": 4, "items": 5, "train": 4, "val": 2, "test": 2, "interactions": 8}
    assert told["sparsity_percent"] == pytest.approx(60.0)
    users, items = told["degrees"]["users"], told["degrees"]["items"]
    assert users["all splits"]["histogram"] == {1: 1, 2: 2, 3: 1}
    assert (users["training"]["mean"], users["training"]["median"], users["training"]["maximum"]) == (1.0, 1.0, 2.0)
    assert items["all splits"]["histogram"] == {0: 1, 2: 4} and items["training"]["histogram"] == {0: 1, 1: 4}
    assert told["missing_patterns"] == [
        {"modalities": ["visual", "textual"], "items": 3},
        {"modalities": [], "items": 1},
        {"modalities": ["textual"], "items": 1},
    ]
    visual, textual = told["modalities"]
    assert {key: visual[key] for key in ("dim", "dtype", "observed", "zero_rows", "duplicate_rows")} == {
        "dim": 2,
        "dtype": "float32",
        "observed": 3,
        "zero_rows": 1,
        "duplicate_rows": 1,
    }
    assert (visual["norms"]["minimum"], visual["norms"]["median"], visual["norms"]["maximum"]) == (0.0, 5.0, 5.0)
    assert visual["alignment"] is None  # user 2 trained on item 3, which has no picture
    assert textual["alignment"] is None


def test_patterns_are_ordered_by_frequency() -> None:
    observed = np.array([[1, 0], [0, 1], [0, 1], [1, 1], [1, 1], [1, 1]], bool)
    assert list(patterns(observed, ("a", "b")).items()) == [(("a", "b"), 3), (("b",), 2), (("a",), 1)]


def test_json_and_tables_say_the_same(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    write_canonical(tiny_dataset, tmp_path / "tiny")
    told = json.loads(run(tmp_path / "tiny", "--json").stdout)
    shown = run(tmp_path / "tiny").stdout
    numbers = told["statistics"]
    words = shown.split()
    assert all(f"{number:,}" in words for number in numbers.values())
    assert f"{told['sparsity_percent']:.3f}" in words
    for modality in told["modalities"]:
        found = modality["alignment"]
        assert f"{found['auc']:.3f} ± {found['error']:.3f}" in shown
    assert told["notes"]["cold_items"] > 0 and "items and" in shown
    assert sum(pattern["items"] for pattern in told["missing_patterns"]) == 40


def test_the_page_and_the_picture(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    write_canonical(tiny_dataset, tmp_path / "tiny")
    result = run(tmp_path / "tiny", "--json", "--out", tmp_path / "out")
    assert json.loads(result.stdout)["name"] == "synthetic"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["catalogue.html", "catalogue.png"]
    assert f"written: {tmp_path / 'out' / 'catalogue.html'}" in result.stderr
    page = (tmp_path / "out" / "catalogue.html").read_text(encoding="utf-8")
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(images) == 5
    assert all(b"<svg" in base64.b64decode(image) for image in images)
    assert "default-src 'none'" in page and "<script" not in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    for table in tables(describe_dataset(tiny_dataset, "")):
        assert table.title in page
    with Image.open(tmp_path / "out" / "catalogue.png") as image:
        assert image.width > 1500 and len(image.convert("L").getcolors()) > 20


def test_names_out_of_files_are_text_and_the_page_is_the_same_each_time(tmp_path: Path, toy: MultimodalDataset) -> None:
    described = replace(describe_dataset(toy, EVIL), name=EVIL)
    pages = [write_page(described, tmp_path / name)[0].read_text(encoding="utf-8") for name in "ab"]
    assert "<script" not in pages[0] and "&lt;script&gt;alert(1)" in pages[0]
    assert pages[0] == pages[1]


def test_without_modalities_there_are_degrees_alone(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    described = describe_dataset(tiny_dataset.select([]), "x")
    assert [picture.name for picture in pictures(described)] == ["degrees-users", "degrees-items"]
    assert [table.title for table in tables(described)] == ["Catalogue", "Interactions per user and per item"]
    assert all(path.stat().st_size > 10_000 for path in write_page(described, tmp_path))


def test_a_modality_that_nobody_has(tmp_path: Path, toy: MultimodalDataset) -> None:
    observed = np.zeros((5, 1), bool)
    described = describe_dataset(
        assemble(
            name="toy",
            split=toy.split,
            train=SplitColumns(toy.train.users, toy.train.items),
            val=SplitColumns(toy.val.users, toy.val.items),
            test=SplitColumns(toy.test.users, toy.test.items),
            n_users=4,
            n_items=5,
            features={"visual": np.full((5, 2), np.nan, np.float32)},
            observed=observed,
        ),
        "x",
    )
    assert described.to_json()["modalities"][0]["norms"] == {}
    assert all(path.stat().st_size > 10_000 for path in write_page(described, tmp_path))


def test_a_page_that_cannot_be_written_is_a_sentence(toy: MultimodalDataset, tmp_path: Path) -> None:
    write_canonical(toy, tmp_path / "toy")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file cannot be written \(File exists"):
        run(tmp_path / "toy", "--out", tmp_path / "file")


def test_baby_without_features(real_data: Path) -> None:
    arguments = ("dataset=baby", "dataset.modalities=[]", f"paths.data={real_data}", "--json")
    told = json.loads(run(*arguments, "dataset.interactions=baby_MMRec_order_reconstructed.inter").stdout)
    assert told["statistics"]["interactions"] == 160_792
    assert told["sparsity_percent"] == pytest.approx(100 * (1 - 160_792 / (19_445 * 7_050)))
    assert told["degrees"]["users"]["all splits"]["minimum"] == 5  # a 5-core
