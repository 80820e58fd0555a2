"""Exports: what other software reads back ranks as the run did."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse
import torch
from safetensors.numpy import load_file
from typer.testing import Result

from recmm.deploy.checkpoint import Deployed
from recmm.deploy.export.forms import export
from recmm.errors import ConfigError, DataError


def vectors_of(folder: Path, form: str) -> tuple[np.ndarray, np.ndarray]:
    if form == "parquet":
        return tuple(pl.read_parquet(folder / f"{name}.parquet")["vector"].to_numpy() for name in ("users", "items"))
    read = {"npz": lambda: dict(np.load(folder / "vectors.npz"))}.get(form)
    found = read() if read else load_file(folder / "vectors.safetensors")
    return found["users"], found["items"]


@pytest.mark.parametrize("form", ["safetensors", "npz", "parquet", "hf"])
def test_the_best_items_from_the_export_are_those_of_the_run(
    recmm: Callable[..., Result], finished: Path, test_lists: pl.DataFrame, tmp_path: Path, form: str
) -> None:
    done = recmm("export", finished, "--to", form, "--out", tmp_path / "out")
    assert done.exit_code == 0 and "about.json" in done.stdout
    users, items = vectors_of(tmp_path / "out", form)
    scores = users @ items.T
    seen = pl.read_parquet(tmp_path / "out" / "training_pairs.parquet")
    scores[seen["user"].to_numpy(), seen["item"].to_numpy()] = -np.inf
    theirs = test_lists.filter(pl.col("position") <= 5)
    best = np.argsort(-scores[theirs["user"].unique().sort().to_numpy()], axis=1)[:, :5]
    assert best.flatten().tolist() == theirs["item"].to_list()
    assert pl.read_parquet(tmp_path / "out" / "items.parquet")["label"][3] == "item3"
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["method"] == "VBPR" and about["n_users"] == 40
    if form == "hf":
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\n") and "| recall@20 |" in card and "missing=mtmt" in card
    with pytest.raises(DataError, match="exists already"):
        export(finished, form, tmp_path / "out")


@pytest.mark.parametrize("sparse", [False, True])
def test_matrices_are_scipys(
    item_weights: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparse: bool
) -> None:
    matrix = item_weights.tensors["item_item"]
    given = replace(item_weights, tensors={"item_item": matrix.to_sparse_csr() if sparse else matrix})
    monkeypatch.setattr("recmm.deploy.export.forms.read_deployed", lambda run: given)
    assert "item_item.npz" in export(Path("run"), "npz", tmp_path / "out")
    assert torch.equal(torch.from_numpy(scipy.sparse.load_npz(tmp_path / "out" / "item_item.npz").toarray()), matrix)
    with pytest.raises(ConfigError, match="--to npz writes its matrix"):
        export(Path("run"), "parquet", tmp_path / "other")


@pytest.mark.parametrize(("form", "library"), [("faiss", "faiss"), ("hnsw", "hnswlib"), ("onnx", "onnx")])
def test_libraries_that_are_not_installed_are_named(finished: Path, tmp_path: Path, form: str, library: str) -> None:
    if find_spec(library):
        assert len(export(finished, form, tmp_path / "out")) >= 5
        return
    with pytest.raises(ConfigError, match=r"recmm\[export\]"):
        export(finished, form, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_other_forms_are_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose one of safetensors"):
        export(finished, "pickle", tmp_path / "out")
