"""`python -m recmm recommend`, from the command line to the file."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import Result

from recmm.errors import ConfigError, DataError


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_every_user_in_every_form_of_file(
    recmm: Callable[..., Result], finished: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / "new" / f"recs.{suffix}"
    done = recmm("recommend", finished, "--all", "-k", "5", "--out", out)
    assert done.exit_code == 0 and f"{out} (40 users, 200 lines)" in done.stdout.replace("\n", "")
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[suffix]
    table = read(out)
    assert table.columns == ["user", "position", "item", "score"]
    assert table["user"].n_unique() == 40 and table.filter(position=5).height == 40
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_users_by_name_and_by_file_and_the_terminal(
    recmm: Callable[..., Result], finished: Path, tmp_path: Path
) -> None:
    users, items = tmp_path / "users.txt", tmp_path / "items.txt"
    users.write_bytes(b"\xef\xbb\xbfuser3\r\nnobody\r\n\r\nuser1\r\n")
    items.write_text("item2\nitem4\nitem9\nitem11\n")
    common = ("--candidates", items, "--include-seen", "-k", "3")
    named = recmm("recommend", finished, "--users", "user3,user1", *common, "--out", tmp_path / "a.parquet")
    listed = recmm("recommend", finished, "--users", users, *common, "--out", tmp_path / "b.parquet")
    assert named.exit_code == listed.exit_code == 0 and not named.stderr
    assert listed.stderr.startswith("1 of 3 users are not in the catalogue: nobody.")
    assert_frame_equal(pl.read_parquet(tmp_path / "a.parquet"), pl.read_parquet(tmp_path / "b.parquet"))
    shown = recmm("recommend", finished, "--users", "user3", *common)
    assert "user3" in shown.stdout and "item9" in shown.stdout
    cold = recmm("recommend", finished, "--users", users, "--cold", "popular", "--out", tmp_path / "c.parquet")
    assert "most popular" in cold.stderr
    assert pl.read_parquet(tmp_path / "c.parquet").filter(user="nobody")["score"].null_count() == 20


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("--all", "--users", "user1"), ConfigError, "or ask for all"),
        ((), ConfigError, "Name the users"),
        (("--all", "--out", "recs.xlsx"), ConfigError, r"one of \.parquet, \.csv, \.jsonl"),
        (("--all", "-k", "50"), ConfigError, "--out"),
        (("--users", "user1", "-k", "0"), ConfigError, "at least 1 item"),
        (("--users", "nobody"), DataError, "its ids look like user0"),
        (("--users", "user1", "--candidates", "absent.txt"), DataError, "absent.txt"),
    ],
)
def test_refusals_are_sentences(
    recmm: Callable[..., Result], finished: Path, arguments: tuple[str, ...], error: type, told: str
) -> None:
    done = recmm("recommend", finished, *arguments)
    assert isinstance(done.exception, error)
    with pytest.raises(error, match=told):
        raise done.exception
