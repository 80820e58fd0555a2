"""Runs from Python: the record of `train.py`, and a process that is as it was."""

import logging
import os
import random
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hydra.core.hydra_config import HydraConfig

import recmm
from recmm.errors import ConfigError, DataError
from tests.experiment.runs import SYNTHETIC, numbers_of, result_of, run

TRAINER = {"max_epochs": 2, "accelerator": "cpu", "progress": False, "threads": 1}


def state() -> dict[str, Any]:
    root = logging.getLogger()
    return {
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "logging": (root.level, list(root.handlers), logging.getLogger("pytorch_lightning.utilities.rank_zero").level),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "torch": (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state().sum()),
        "random": (random.getstate(), np.random.get_state()[1].sum()),
        "filters": list(warnings.filters),
        "hydra": HydraConfig.instance().cfg,
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, recmm.Run, dict[str, Any], dict[str, Any]]:
    """The folder of a run by the command line, the same from Python, and the process before and after."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        arguments = ("missing=mtmt", "imputer=mean", "model=vbpr", "model.dim=6", "seed=3")
        assert run(folder / "cli", *arguments, epochs=2) == 0
        torch.set_num_threads(2)
        before = state()
        sizes = dict(text.removeprefix("dataset.").split("=") for text in SYNTHETIC)
        data = recmm.load_dataset("synthetic", **{key: int(value) for key, value in sizes.items()})
        made = recmm.train(
            "vbpr", data, missing="mtmt", imputer="mean", seed=3, dim=6, training={"lr": 0.01}, logger="csv",
            trainer=TRAINER, folder=folder / "api",
        )  # fmt: skip
        after = state()
        torch.set_num_threads(1)
    return folder / "cli", made, before, after


def test_a_run_from_python_is_that_of_the_command_line(both: tuple[Path, recmm.Run, Any, Any]) -> None:
    cli, made, *_ = both
    assert made.folder is not None
    assert numbers_of(cli) == numbers_of(made.folder) and made.metrics["test/recall@20"] > 0
    assert made.config["model"]["dim"] == 6 and len(made.history) == 2
    assert "Missing setting" in (made.folder / "train.log").read_text(encoding="utf-8")
    assert result_of(made.folder)["identity"] == result_of(cli)["identity"]


def test_the_process_is_as_it_was(both: tuple[Path, recmm.Run, dict[str, Any], dict[str, Any]]) -> None:
    *_, before, after = both
    assert after == before


def test_frames_become_a_stored_dataset_and_a_run_that_recommends(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    pairs = [(f"u{u}", f"i{i}") for u in range(12) for i in generator.permutation(9)[:6]]
    users, items = (list(column) for column in zip(*pairs, strict=True))
    place = np.arange(len(pairs)) % 6
    frame = pl.DataFrame({"user": users, "item": items})
    parts = {"train": place < 4, "val": place == 4, "test": place == 5}
    data = recmm.dataset_from_frames(
        **{part: frame.filter(pl.Series(rows)) for part, rows in parts.items()},
        features={"visual": generator.normal(size=(9, 4)).astype("f4")},
        observed={"visual": np.arange(9) != 2},
        items=[f"i{i}" for i in range(9)],
    )
    assert "12 users, 9 items" in repr(data) and data.dataset.features.observed.sum() == 8
    made = recmm.train(
        "vbpr", data, missing="natural", dim=4, trainer=TRAINER, logger=None, paths={"output": str(tmp_path / "out")}
    )
    assert made.folder is not None and made.folder.parent == tmp_path / "out" / "single"
    assert [path.name.split("-")[0] for path in (tmp_path / "out" / "datasets").iterdir()] == ["frames"]
    lists = made.recommend(["u3", "u1"], k=2)
    assert lists["user"].to_list() == ["u3", "u3", "u1", "u1"] and lists["position"].to_list() == [1, 2, 1, 2]
    assert not set(lists.filter(user="u3")["item"]) & set(frame.filter(pl.Series(parts["train"]), user="u3")["item"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"dimm": 4}, r"model\.dimm"),
        ({"dim": object()}, "of the type object"),
        ({"missing": "mmtm"}, "mmtm"),
        ({"trainer": {"max_epochs": 0}}, r"trainer\.max_epochs"),
    ],
)
def test_wrong_names_and_values_are_refused_before_anything_is_written(
    tmp_path: Path, values: dict[str, Any], told: str
) -> None:
    data = recmm.load_dataset("synthetic", n_users=40, n_items=30)
    with pytest.raises(ConfigError, match=told):
        recmm.train("vbpr", data, folder=tmp_path / "run", **values)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_another_layout_and_items_without_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not in recmm's own layout"):
        recmm.load_dataset(tmp_path)
    one = {"user": [1], "item": ["a"]}
    with pytest.raises(DataError, match=r"items=\[\.\.\.\]"):
        recmm.dataset_from_frames(train=one, val=one, test=one, features={"visual": np.ones((1, 2))})
    with pytest.raises(DataError, match="needs user and item"):
        recmm.dataset_from_frames(train={"users": [1]}, val=one, test=one)
