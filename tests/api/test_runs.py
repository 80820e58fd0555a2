"""A finished run as an object, and two of them compared."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import recmm
from recmm.cli import app
from recmm.errors import CheckpointError, DataError, RunError
from tests.experiment.runs import run


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for model in ("mfbpr", "random"):
        assert run(folder / model, f"model={model}", epochs=2) == 0
    return [folder / "mfbpr", folder / "random"]


def test_a_checkpoint_alone_recommends_but_has_no_record(folders: list[Path], tmp_path: Path) -> None:
    shutil.copy(folders[0] / "checkpoints" / "best.ckpt", tmp_path / "mine.ckpt")
    alone, whole = recmm.load_run(tmp_path / "mine.ckpt"), recmm.load_run(folders[0] / "checkpoints" / "best.ckpt")
    assert alone.recommend(["user1"], k=3).equals(whole.recommend(["user1"], k=3))
    assert whole.metrics["test/recall@20"] > 0 and whole.config["seed"] == 0
    with pytest.raises(RunError, match="lies in no folder of a run"):
        alone.metrics  # noqa: B018
    with pytest.raises(CheckpointError):
        recmm.load_run(tmp_path)


def test_unknown_users_are_refused_or_served(folders: list[Path]) -> None:
    loaded = recmm.load_run(folders[0])
    with pytest.raises(DataError, match="1 of 2 users are not in the catalogue: nobody"):
        loaded.recommend(["user1", "nobody"])
    popular = loaded.recommend(["nobody"], k=2, cold="popular")
    counts = loaded.scorer.deployed.catalog.item_counts()
    best = [loaded.scorer.deployed.catalog.item_ids[item] for item in counts.argsort(descending=True, stable=True)[:2]]
    assert popular["item"].to_list() == best
    assert loaded.recommend(["nobody"], cold="nothing").is_empty()
    assert loaded.similar_items(["item3"], k=4).height == 4
    with pytest.raises(DataError, match="nothing"):
        loaded.similar_items(["nothing"])


def test_runs_are_compared_by_the_reports_test(folders: list[Path]) -> None:
    table = recmm.compare([recmm.load_run(folders[0]), folders[1]], metrics=["recall@20"])
    assert table["metric"].to_list() == ["recall@20"] * 2 and table["variant"].n_unique() == 2
    assert table["p"].null_count() == 1 and table["best"].to_list() == [True, False]
    shown = CliRunner().invoke(app, ["compare", *map(str, folders), "--metric", "recall@10"])
    assert shown.exit_code == 0 and "test recall@10 on synthetic" in shown.stdout
    assert "random" in shown.stdout and "mfbpr" in shown.stdout


def test_the_public_names_are_there() -> None:
    assert set(recmm.__all__) <= set(dir(recmm)) and all(getattr(recmm, name) for name in recmm.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        recmm.no_such_name  # noqa: B018


@pytest.mark.slow
def test_nothing_is_loaded_before_it_is_used() -> None:
    program = "import sys, recmm; assert not {'torch', 'polars', 'recmm.api'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
