"""Sources that cannot be converted, and targets that exist."""

from pathlib import Path

import pytest

from recmm.errors import ConfigError, DataError, MissingFileError
from tests.ingest.importing.running import run


def test_sources_and_targets(table: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        run(tmp_path / "nowhere", "--from", "json", "--out", tmp_path / "made")
    with pytest.raises(ConfigError, match="is a file: name its folder"):
        run(table, "--from", "mmrec", "--out", tmp_path / "made")
    with pytest.raises(ConfigError, match="Which table"):
        run(table.parent, "--from", "csv", "--out", tmp_path / "made")
    with pytest.raises(DataError, match="exists already and is not overwritten"):
        run(table, "--from", "csv", "--out", table.parent)
    table.write_text("user,item\n")
    with pytest.raises(DataError, match="of 0 in all"):
        run(table, "--from", "csv", "--out", tmp_path / "made")
