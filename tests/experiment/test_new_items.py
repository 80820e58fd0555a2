"""Runs on new items, from the command line: methods with and without item ids, and what tells such runs apart."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recmm.experiment.check import check_arguments
from recmm.experiment.identity import config_hash, identity
from recmm.experiment.launch import config_folder

SMALL = ("dataset.n_users=150", "dataset.n_items=90", "trainer.max_epochs=2", "trainer.threads=1", "logger=csv")
NEW = ("split=item_cold_start", "dataset.cold_start.share=0.3", "eval.candidates=cold")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["milk", "lightgcn", "popularity"])
def test_methods_run_on_new_items(
    model: str, hydra_here: pytest.MonkeyPatch, start: Callable[..., int], tmp_path: Path
) -> None:
    assert start(f"model={model}", *SMALL, *NEW, f"hydra.run.dir={tmp_path / 'run'}") == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "done" and result["data"]["split"] == "synthetic-cold0.3-s0"
    assert result["data"]["notes"]["cold_items"] == 27
    assert result["identity"]["eval.candidates"] == "cold"
    assert result["identity"]["dataset.cold_start.share"] == 0.3
    ranks = pl.read_parquet(tmp_path / "run" / "ranks.parquet")
    assert set(ranks["candidates"]) == {27} and ranks["rank"].max() <= 27
    if model == "popularity":  # nobody has met a new item: all tie, and ties count against the method
        assert result["test/recall@5"] == 0


def test_a_run_in_the_given_split_is_what_it_was() -> None:
    """Its identity has no key of this choice, so that finished runs keep their signatures and folders."""
    given, new, other = (
        check_arguments(list(arguments), config_folder())[0]
        for arguments in ((), ("split=item_cold_start",), ("split=item_cold_start", "dataset.cold_start.seed=1"))
    )
    assert not [
        key for key in identity(given, "d", "s", True) if "cold" in key or ("split" in key and key != "data.split")
    ]
    assert len({config_hash(cfg) for cfg in (given, new, other)}) == 3
