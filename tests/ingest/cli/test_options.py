"""The layouts that each command takes."""

import pytest
from typer.testing import CliRunner

from recmm.ingest.cli.options import Layout
from recmm.ingest.commands import app

READ = ["canonical", "mmrec", "matrices"]
IMPORTED = ["mmrec", "matrices", "json", "csv", "amazon"]


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (["check", "folder", "--layout"], READ),
        (["describe", "folder", "--layout"], READ),
        (["import", "folder", "--out", "new", "--from"], IMPORTED),
    ],
)
def test_a_command_refuses_the_layouts_of_others(arguments: list[str], taken: list[str]) -> None:
    for layout in [*Layout, "cvs"]:
        if layout in taken:
            continue
        result = CliRunner().invoke(app, [*arguments, str(layout)], env={"COLUMNS": "200"})
        assert result.exit_code == 2
        assert f"'{layout}' is not one of {', '.join(map(repr, taken))}." in result.output
    shown = CliRunner().invoke(app, [arguments[0], "--help"], env={"COLUMNS": "200"}).output
    assert "|".join(taken) in shown
