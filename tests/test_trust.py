"""RECMM_TRUST names files and folders by paths; the name of a module trusts neither."""

import os
from pathlib import Path

import pytest

from recmm.errors import ConfigError
from recmm.trust import refuse_untrusted_file, trusted_names


@pytest.mark.parametrize(
    ("trust", "trusted"),
    [
        ("", False),
        ("methods", False),
        ("other, methods/mine.py", True),
        ("./methods", True),
        ("methods/", True),
        (".", True),
        ("methods/min", False),
        ("methods/mine.pyc", False),
        ("linked/mine.py", True),
        ("my methods/other.py;methods/mine.py", True),
        ("elsewhere/..", True),
        ("methods/../elsewhere/", False),
    ],
)
def test_a_file_is_trusted_by_a_path_that_leads_to_it(
    trust: str, trusted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("methods", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "methods" / "mine.py").touch()
    os.symlink(tmp_path / "methods", tmp_path / "linked")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECMM_TRUST", trust)
    for file in (Path("methods/mine.py"), tmp_path / "linked" / "mine.py"):
        if trusted:
            refuse_untrusted_file(file, "model.file=mine.py")
        else:
            with pytest.raises(ConfigError, match=r"^model\.file=mine\.py is refused, .*RECMM_TRUST=.*mine\.py, or"):
                refuse_untrusted_file(file, "model.file=mine.py")


def test_names_of_modules_are_divided_by_blanks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECMM_TRUST", "a, b:c  d;e\nf")
    assert trusted_names() == set("abcdef")
