"""A trained run under other masks: a record of its own, and the same numbers under the same masks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from recmm.deploy.again import load_trained
from recmm.errors import ConfigError, RunError
from recmm.experiment.verification import verify
from recmm.report.records.runs import load_runs
from tests.experiment.runs import result_of


def test_a_run_is_evaluated_under_a_setting_that_it_was_not_trained_under(
    recmm: Callable[..., Result], finished: Path
) -> None:
    done = recmm("evaluate", finished, "missing=rate", "missing.rate=0.7", "imputer=mean")
    assert done.exit_code == 0, done.exception
    [folder] = finished.with_name(f"{finished.name}.evaluated").iterdir()
    result, trained = result_of(folder), result_of(finished)
    assert folder.name.startswith("rate-") and verify(folder, deep=True) == []
    assert result["missing"] == "rate" and result["imputer"] == "mean" and result["identity"]["missing.rate"] == 0.7
    assert result["identity"]["evaluated.signature"] == trained["signature"] != result["signature"]
    assert result["test/recall@20"] != trained["test/recall@20"] and result["best_epoch"] == trained["best_epoch"]
    variants = load_runs([finished, folder]).frame["variant"]
    assert variants.n_unique() == 2 and "vbpr (trained with mtmt)" in variants[1]
    assert verify(finished) == []
    before = (folder / "result.json").stat().st_mtime_ns
    assert recmm("evaluate", finished, "missing=rate", "missing.rate=0.7", "imputer=mean").exit_code == 0
    assert (folder / "result.json").stat().st_mtime_ns == before


def test_the_same_masks_give_the_same_numbers(recmm: Callable[..., Result], finished: Path) -> None:
    assert recmm("evaluate", finished, "eval.memory_mb=200").exit_code == 0
    [folder] = finished.with_name(f"{finished.name}.evaluated").glob("mtmt-*")
    ours, theirs = result_of(folder), result_of(finished)
    assert {k: v for k, v in ours.items() if k.startswith("test/")} == pytest.approx(
        {k: v for k, v in theirs.items() if k.startswith("test/")}
    )
    assert ours["masks"]["digest"] == theirs["masks"]["digest"]


@pytest.mark.parametrize("change", ["model=mgcn", "seed=1", "missing", "trainer.max_epochs=3"])
def test_what_was_trained_stays(finished: Path, change: str) -> None:
    with pytest.raises(ConfigError, match="other values of missing, imputer, eval"):
        load_trained(finished, [change])


def test_unknown_keys_and_other_data_are_refused(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="rat"):
        load_trained(finished, ["missing=rate", "missing.rat=0.3"])
    monkeypatch.setattr("recmm.data.dataset.MultimodalDataset.digest", "f" * 64)
    with pytest.raises(RunError, match="not those that it was trained on"):
        load_trained(finished)
