"""A small league on made data."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from recmm import RESULTS_VERSION
from recmm.league.command import PLACE
from recmm.league.jobs import Jobs
from recmm.league.league import read_league
from recmm.league.rows import SCHEMA, Row
from recmm.league.runner import Runner

TINY = {
    "experiment": "league",
    "arguments": "trainer.max_epochs=1 trainer.limit_train_batches=1",
    "datasets": {"made": "dataset=synthetic dataset.n_users=40 dataset.n_items=30"},
    "settings": {"full": "missing=full", "rate0.9": "missing=rate missing.rate=0.9"},
    "seeds": [0, 1],
    "trials": 2,
    "cpu_seconds": 0,
    "methods": {
        "vbpr": {"seconds": 9, "trials": "model.training.lr=0.001,0.01"},
        "mfbpr": {"seconds": 3, "trials": "model.training.lr=0.001,0.01 model.dim=4"},
        "popularity": {"seconds": 1},
    },
}


@pytest.fixture
def league_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``league_file(seeds=[0])`` writes a league with these keys replaced, and returns its path.

    The working directory is a folder of the test's own.
    """
    monkeypatch.chdir(tmp_path)

    def write(**keys: Any) -> str:
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(TINY | keys))
        return str(path)

    return write


@pytest.fixture(scope="session")
def made_league(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny league was run; `tiny.yaml` is its file."""
    folder = tmp_path_factory.mktemp("league")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("hydra._internal.utils.is_under_debugger", lambda: False)
        patch.setattr("recmm.experiment.run.draw_curves", lambda *args: None)  # as long as all the rest
        assert Runner(Jobs(read_league("tiny.yaml")), PLACE).run()
    return folder


@pytest.fixture
def finished(made_league: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``made_league``, as the working directory."""
    folder = shutil.copytree(made_league, tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def row() -> Callable[..., Row]:
    """``row(model="mgcn", **{"val_recall@20": 0.1})``: a row with these columns replaced."""

    def make(**columns: Any) -> Row:
        values: Row = dict.fromkeys(SCHEMA)
        values |= {"model": "mgcn", "dataset": "made", "missing": "full", "seed": 0, "mask_seed": 0, "trials": 2}
        values |= {"val_recall@20": 0.2, "test_recall@20": 0.1, "results_version": RESULTS_VERSION, "kind": "trial"}
        values |= {"status": "done", "signature": "s", "configuration": "c", "data_digest": "d", "overrides": "a=1"}
        return values | {"cpu_seconds": 2.0, "wall_seconds": 3.0} | columns

    return make
