"""Files by option, and the only file of its kind in a folder."""

from pathlib import Path

import pytest

from recmm.errors import ConfigError, DataError, MissingFileError
from recmm.ingest.cli.named_files import by_modality, only_file


def test_each_modality_has_one_file() -> None:
    assert by_modality(["visual=a.npy", "textual=b=c.npy"], "--features") == {"visual": "a.npy", "textual": "b=c.npy"}
    for given in (["a.npy"], ["=a.npy"], ["visual="], ["visual=a.npy", "visual=b.npy"]):
        with pytest.raises(ConfigError, match=r"--features '.*': expected MODALITY=FILE .* each modality once"):
            by_modality(given, "--features")
    with pytest.raises(DataError, match="cannot name a file"):
        by_modality(["../x=a.npy"], "--features")


def test_the_only_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "folder.inter").mkdir()
    with pytest.raises(MissingFileError, match=r"holds no \.inter table: put it there, or name a file with --inter"):
        only_file(tmp_path, "*.inter", ".inter table")
    (tmp_path / "b.inter").touch()
    assert only_file(tmp_path, "*.inter", ".inter table") == "b.inter"
    (tmp_path / "a.inter").touch()
    with pytest.raises(ConfigError, match=r"holds a\.inter, b\.inter: choose one with --interactions"):
        only_file(tmp_path, "*.inter", ".inter table")
