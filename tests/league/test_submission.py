"""Rows that somebody else made: what is wrong is named, and one is made again."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recmm.cli import app
from recmm.errors import RunError
from recmm.league.command import PLACE
from recmm.league.jobs import Jobs
from recmm.league.league import read_league
from recmm.league.rows import read_rows, write_rows
from recmm.league.submission import check_rows

RESULTS = PLACE / "results" / "made.csv"


def verify(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["league", "verify", "theirs.csv", "--league", "tiny.yaml", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"overrides": "model=mfbpr dataset=synthetic dataset.n_users=40 seed=7"}, "configuration is"),
        ({"overrides": "model=nothing"}, "do not compose"),
        ({"overrides": "model='"}, "cannot be read"),
        ({"model": "sgl"}, "model is sgl, but its arguments give"),
        ({"signature": "0" * 16}, "signature is 0000000000000000"),
        ({"data_digest": "0"}, "data_digest is 0"),
        ({"results_version": 1}, "of RESULTS_VERSION 1"),
        ({"test_recall@20": 1.5}, "test_recall@20 is 1.5, not in [0, 1]"),
        ({"val_ndcg@20": None}, "val_ndcg@20 is None"),
    ],
)
def test_what_is_wrong_with_a_row_is_named(finished: Path, changes: dict[str, Any], told: str) -> None:
    write_rows(Path("theirs.csv"), [read_rows(RESULTS)[2] | changes])
    [finding] = check_rows(Path("theirs.csv"), Jobs(read_league("tiny.yaml")))
    assert told in finding.told


def test_sound_rows_pass_and_the_cheapest_is_made_again(finished: Path, hydra_here: pytest.MonkeyPatch) -> None:
    hydra_here.chdir(finished)
    rows = [row for row in read_rows(RESULTS) if row["model"] == "mfbpr"]
    write_rows(Path("theirs.csv"), rows)
    code, output = verify("--rerun")
    assert code == 0 and "3 rows, 0 wrong" in output and "the same numbers, bit for bit" in output
    write_rows(Path("theirs.csv"), [row | {"test_recall@20": row["test_recall@20"] / 2 + 0.1} for row in rows])
    code, output = verify("--rerun")
    assert code == 1 and "test_recall@20 is" in output and "by more than rounding" in output


def test_an_empty_file_is_refused(finished: Path) -> None:
    with pytest.raises(RunError, match="holds no row"):
        check_rows(Path("absent.csv"), Jobs(read_league("tiny.yaml")))
