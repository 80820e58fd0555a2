"""The page with its tables and plots."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset
from recmm.ingest.describe.page import write_page
from recmm.ingest.describe.plots import plots
from recmm.ingest.describe.statistics import describe_dataset
from recmm.ingest.describe.tables import tables

EVIL = "<script>alert(1)</script>$x_"


def test_names_out_of_files_are_text_and_the_page_is_the_same_each_time(tmp_path: Path, toy: MultimodalDataset) -> None:
    described = replace(describe_dataset(toy, EVIL), name=EVIL)
    pages = [write_page(described, tmp_path / name)[0].read_text(encoding="utf-8") for name in "ab"]
    assert "<script" not in pages[0] and "&lt;script&gt;alert(1)" in pages[0]
    assert pages[0] == pages[1]


def test_without_modalities_there_are_degrees_alone(tmp_path: Path, tiny_dataset: MultimodalDataset) -> None:
    described = describe_dataset(tiny_dataset.select([]), "x")
    assert [plot.name for plot in plots(described)] == ["degrees-users", "degrees-items"]
    assert [table.title for table in tables(described)] == ["Catalogue", "Interactions per user and per item"]
    assert all(path.stat().st_size > 10_000 for path in write_page(described, tmp_path))


def test_a_modality_that_nobody_has(tmp_path: Path, toy: MultimodalDataset) -> None:
    observed = np.zeros((5, 1), bool)
    described = describe_dataset(
        assemble(
            name="toy",
            split=toy.split,
            splits={part: SplitColumns(pairs.users, pairs.items) for part, pairs in toy.splits.items()},
            n_users=4,
            n_items=5,
            features={"visual": np.full((5, 2), np.nan, np.float32)},
            observed=observed,
        ),
        "x",
    )
    assert described.to_json()["modalities"][0]["norms"] == {}
    assert all(path.stat().st_size > 10_000 for path in write_page(described, tmp_path))
