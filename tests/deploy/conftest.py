"""One tiny run for all tests of this part, and a deployed method without training."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch
from typer.testing import CliRunner, Result

from recmm.cli import app
from recmm.data.catalog import Catalog
from recmm.deploy.checkpoint import Deployed
from tests.experiment.runs import run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a method with features, whose validation and test see different ones."""
    folder = tmp_path_factory.mktemp("deploy") / "vbpr"
    setting = ("missing=mtmt", "missing.validation=independent", "missing.train_rate=0.3", "missing.test_rate=0.8")
    assert run(folder, "model=vbpr", "model.training.lr=0.05", *setting) == 0
    return folder


@pytest.fixture(scope="session")
def test_lists(finished: Path) -> pl.DataFrame:
    """The run's own lists of the test, dense ids."""
    return pl.read_parquet(finished / "topk.parquet").filter(split="test")


@pytest.fixture
def item_weights() -> Deployed:
    """Four users, five items, and a matrix by which item i recommends i + 1."""
    users, items = torch.tensor([0, 0, 2, 3]), torch.tensor([1, 3, 1, 4])
    catalog = Catalog(4, 5, {}, users, items, ["a", "b", "c", "d"], ["v", "w", "x", "y", "z"])
    matrix = torch.diag(torch.ones(4), 1)
    tensors = {"item_item": matrix, "popularity": catalog.item_counts() / 2}
    return Deployed(catalog, tensors, {"_target_": "recmm.models.Anything"}, Path("best.ckpt"))


@pytest.fixture
def recmm() -> Callable[..., Result]:
    """`python -m recmm` within this process; an error of ours stays an exception in the result."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke
