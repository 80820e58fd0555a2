"""The short form of the campaign of attacks: every class of them is survived."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="its children are forks")
def test_the_short_campaign_finds_no_fault(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/campaign.py", "--short", "--out", str(tmp_path / "table.csv")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8")))
    assert len(rows) >= 11 and all(row["tried"] == row["survived"] for row in rows)
    assert {row["lost"] for row in rows} == {row["silent changes"] for row in rows} == {"0"}
