"""Missing files are named together with what they should hold."""

from pathlib import Path

import pytest

from recmm.data.files.paths import require_file
from recmm.errors import MissingFileError


def test_a_file_that_is_there_is_returned(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert require_file(tmp_path / "a", "the table") == tmp_path / "a"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"text\.npy, the features of 'text', does not exist"):
        require_file(tmp_path / "text.npy", "the features of 'text'")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"folder .*nowhere does not exist.*text\.npy"):
        require_file(tmp_path / "nowhere" / "text.npy", "the features of 'text'")
