"""Tables with raw labels."""

from pathlib import Path

import pytest

from tests.ingest.importing.running import write_csv


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three users with 3 items each; item `d` is in no interaction."""
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "ratings.csv"
    write_csv(path, [(user, item) for user in ("ann", "bob", "cid") for item in "bac"])
    (path.parent / "items.csv").write_text("id;item;title;file\n0;a;An apple;a.png\n1;d;A date;d.png\n2;c;;c.png\n")
    return path
