"""What a modality of an item contributes to a score."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from recmm.deploy.again import load_trained
from recmm.deploy.checkpoint import read_deployed
from recmm.deploy.explaining import explain
from recmm.errors import DataError


def test_the_state_of_the_test_gives_the_score_of_the_run(finished: Path) -> None:
    deployed, trained = read_deployed(finished), load_trained(finished)
    table = explain(finished, "user2", "item5")
    dataset, mask = trained.datamodule.dataset, trained.datamodule.masks.test[5]
    assert table["modality"].to_list() == list(dataset.modalities)
    score = float(deployed.tensors["users"][2] @ deployed.tensors["items"][5])
    for row, visible, observed in zip(table.to_dicts(), mask, dataset.features.observed[5], strict=True):
        assert row["test"] == ("visible" if visible else "hidden" if observed else "absent from the data")
        assert row["score_present" if visible else "score_hidden"] == pytest.approx(score, abs=1e-5)
        assert (row["score_present"] is None) == (not observed)
        assert row["rank_hidden"] >= 1
    assert table["difference"].drop_nulls().abs().max() > 0


def test_the_table_and_the_figure(recmm: Callable[..., Result], finished: Path, tmp_path: Path) -> None:
    done = recmm("explain", finished, "--user", "user2", "--item", "item5", "--figure", tmp_path / "a.png")
    assert done.exit_code == 0 and "score_hidden" in done.stdout
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_unknown_labels_are_refused(finished: Path) -> None:
    with pytest.raises(DataError, match="nothing is no item of the catalogue"):
        explain(finished, "user2", "nothing")
