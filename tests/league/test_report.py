"""The league's table: numbers, marks and notes from the rows, with and without the runs' folders."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recmm.cli import app
from recmm.errors import RunError
from recmm.league.command import PLACE
from recmm.league.entries import Entries
from recmm.league.jobs import Jobs
from recmm.league.league import read_league
from recmm.league.report import paired_tests, write_league
from recmm.league.rows import read_rows, write_rows
from recmm.league.standing import Standing

RESULTS = PLACE / "results" / "made.csv"


def standing() -> Standing:
    return Standing(Jobs(read_league("tiny.yaml")), PLACE / "results")


def scored(**scores: float) -> None:
    """Have all runs of a method, or of ``method_setting``, reach the same Recall@20 on test."""
    rows = read_rows(RESULTS)
    for row in rows:
        row["test_recall@20"] = scores.get(f"{row['model']}_{row['missing'][:4]}", scores.get(row["model"]))
    write_rows(RESULTS, rows)


def test_marks_ranks_and_shares_follow_from_the_rows(finished: Path) -> None:
    scored(popularity=0.2, mfbpr=0.4, vbpr_full=0.3, vbpr_rate=0.15)
    shutil.rmtree("multirun_outputs")
    write_league(standing(), Path("league.md"), Path("figures"), Path("page"))
    text = Path("league.md").read_text()
    assert "| mfbpr‡ | .4000 ± .0000 | .4000 ± .0000 | 1.0 |  |" in text
    assert "| vbpr | .3000 ± .0000 ◇ | .1500 ± .0000 ▽◇ | 2.5 | 0.50 |" in text
    assert "| popularity‡ | .2000 ± .0000 | .2000 ± .0000 | 2.5 |  |" in text
    assert "They are left out for made full (6 runs are not in their folders); made rate0.9" in text
    assert "`python train.py -m experiment=league" in text and "seed=0,1 missing.seed=0`" in text
    assert "11 done, 0 diverged, 0 stale, 0 open" in text
    assert (Path("figures") / "critical_difference.png").is_file() and not Path("page").exists()


def test_open_seeds_are_marked_and_a_league_without_a_winner_is_refused(finished: Path) -> None:
    rows = read_rows(RESULTS)
    write_rows(RESULTS, [row for row in rows if not (row["model"] == "mfbpr" and row["kind"] == "seed")])
    entries = Entries(standing())
    entry = entries.find("mfbpr", "made", "full")
    assert (
        entry is not None and entries.marks(entry, "test_recall@20").endswith("…") and entry.sd("val_ndcg@20") is None
    )
    write_rows(RESULTS, [])
    with pytest.raises(RunError, match="No method of this league has all its trials yet"):
        write_league(standing(), Path("league.md"), Path("figures"), None)


def test_runs_in_their_folders_are_tested_over_users(finished: Path) -> None:
    tests, notes = paired_tests(Entries(standing()))
    assert tests is not None and not notes
    assert set(tests["setting"]) == {"full", "rate0.9"} and set(tests["variant"]) == {"popularity", "mfbpr", "vbpr"}
    assert tests.filter("best").height == 2 and tests["p_holm"].count() == 4


def test_the_page_is_made_of_the_winners_runs(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[tuple[list[Path], Path]] = []

    def write_report(folders: list[Path], out: Path) -> Path:
        pages.append((folders, out))
        return out / "index.html"

    monkeypatch.setattr("recmm.report.command.write_report", write_report)
    result = CliRunner().invoke(app, ["league", "report", "--league", "tiny.yaml", "--page", "page"])
    assert result.exit_code == 0, result.output
    [(folders, out)] = pages
    assert len(folders) == len(set(folders)) == 8 and out == Path("page"), "four cells, two seeds each"
    assert "../experiments/league/critical_difference.png" in Path("docs/league.md").read_text()


def test_the_commands_print_where_the_league_stands(finished: Path) -> None:
    rows = read_rows(RESULTS)
    other = rows[0] | {"configuration": "f" * 16, "signature": "0"}
    write_rows(RESULTS, [rows[0] | {"results_version": 0}, other, *rows[1:]])
    result = CliRunner().invoke(app, ["league", "plan", "--league", "tiny.yaml"])
    assert result.exit_code == 0, result.output
    assert "9 done, 0 diverged, 1 stale, 1 open of 11 jobs" in result.output
    assert "2 rows belong to none of these jobs" in result.output and "0.0 CPU hours left" in result.output
