"""`python -m recmm data describe`: the tables, the JSON and the files it writes."""

import base64
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from recmm.data.dataset import MultimodalDataset
from recmm.data.formats import write_canonical
from recmm.errors import DataError
from recmm.ingest.commands import app
from recmm.ingest.describe.statistics import describe_dataset
from recmm.ingest.describe.tables import tables


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["describe", *map(str, arguments)], catch_exceptions=False)


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
