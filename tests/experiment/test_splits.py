"""Runs under other protocols, from the command line: methods with and without item ids, and what tells runs apart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recmm.errors import ConfigError
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import config_hash, identity
from recmm.experiment.config.jobs import check_arguments

SMALL = ("dataset.n_users=150", "dataset.n_items=90", "trainer.threads=1", "logger=csv")
NEW = ("split=item_cold_start", "dataset.protocol.share=0.3", "eval.candidates=cold", "trainer.max_epochs=2")
LATER = ("split=global_temporal", "dataset.timestamps=true", "eval.candidates=cold", "trainer.max_epochs=1")


@pytest.fixture
def record(
    hydra_here: pytest.MonkeyPatch, start: Callable[..., int], tmp_path: Path
) -> Callable[..., tuple[dict[str, Any], pl.DataFrame]]:
    """Runs a method on the small catalogue and returns its record and its ranks."""

    def record(*arguments: str) -> tuple[dict[str, Any], pl.DataFrame]:
        folder = tmp_path / "run"
        assert start(*arguments, *SMALL, f"hydra.run.dir={folder}") == 0
        return json.loads((folder / "result.json").read_text()), pl.read_parquet(folder / "ranks.parquet")

    return record


@pytest.mark.slow
@pytest.mark.parametrize("model", ["milk", "lightgcn", "popularity"])
def test_methods_run_on_new_items(model: str, record: Callable[..., tuple[dict[str, Any], pl.DataFrame]]) -> None:
    result, ranks = record(f"model={model}", *NEW)
    assert result["status"] == "done" and result["data"]["split"] == "synthetic-cold0.3-s0"
    assert result["data"]["notes"]["cold_items"] == 27
    assert result["identity"]["eval.candidates"] == "cold"
    assert result["identity"]["dataset.protocol.share"] == 0.3
    assert set(ranks["candidates"]) == {27} and ranks["rank"].max() <= 27
    if model == "popularity":  # nobody has met a new item: all tie, and ties count against the method
        assert result["test/recall@5"] == 0


@pytest.mark.slow
def test_milk_runs_on_items_that_come_later(record: Callable[..., tuple[dict[str, Any], pl.DataFrame]]) -> None:
    result, ranks = record("model=milk", *LATER)
    assert result["status"] == "done" and result["data"]["split"] == "temporal-val0.1-test0.1"
    assert "in the source's unit: validation from 16" in result["data"]["recipe"]
    n_cold = result["data"]["notes"]["cold_items"]
    assert 0 < n_cold < 90 and set(ranks["candidates"]) == {n_cold}
    assert result["identity"]["data.split"] == result["data"]["split"]


def test_a_run_in_the_given_split_is_what_it_was() -> None:
    """Its identity has no key of this choice, so that finished runs keep their signatures and folders."""
    (given,) = check_arguments([], config_folder())
    assert not [
        key for key in identity(given, "d", "s", True) if "protocol" in key or ("split" in key and key != "data.split")
    ]


def test_values_of_a_protocol_that_was_not_chosen_name_the_group() -> None:
    with pytest.raises(ConfigError, match=r"no key dataset\.protocol: choose one with split=item_cold_start"):
        check_arguments(["dataset.protocol.share=0.1"], config_folder())
    with pytest.raises(ConfigError, match=r"There is no key dataset\.protocol\.shar; did you mean 'share'"):
        check_arguments(["split=item_cold_start", "dataset.protocol.shar=0.1"], config_folder())


def test_no_two_protocols_share_a_folder_or_a_signature() -> None:
    chosen = (
        ("split=given",),
        ("split=item_cold_start",),
        ("split=item_cold_start", "dataset.protocol.seed=1"),
        ("split=random_per_user",),
        ("split=random_per_user", "dataset.protocol.seed=1"),
        ("split=temporal_leave_one_out",),
        ("split=global_temporal",),
        ("split=global_temporal", "dataset.protocol.test_share=0.2"),
        ("split=global_temporal", "dataset.protocol.val_from=1600000000", "dataset.protocol.test_from=1603000000"),
    )
    composed = [check_arguments(list(arguments), config_folder())[0] for arguments in chosen]
    assert len({config_hash(cfg) for cfg in composed}) == len(chosen)
    # and even where data digest and split name were the same
    assert len({json.dumps(identity(cfg, "d", "s", True)) for cfg in composed}) == len(chosen)
