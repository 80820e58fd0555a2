"""`python -m recmm data import`: its help and its arguments."""

import re

from tests.ingest.importing.running import run


def test_help_shows_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "recmm data import data/amazon --from amazon" in " ".join(re.sub(r"\x1b\[\d*m", "", result.output).split())


def test_a_typo_in_the_layout() -> None:
    result = run("x", "--from", "cvs", "--out", "y")
    assert result.exit_code == 2
    assert "'cvs' is not one of" in " ".join(result.output.replace("│", " ").split())
