"""Numbers of papers as files."""

from pathlib import Path

import polars as pl
import pytest

from recmm.errors import RunError
from recmm.report.records.published import COLUMNS, find_published, read_published

HEAD = ",".join(COLUMNS)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table,dataset\nT,baby\n", "lacks the columns missing"),
        (f"{HEAD}\nT,baby,rate,x,,0.9,recall@20,7 %,\n", "have to be numbers"),
        (f"{HEAD}\nT,baby,rate,x,,high,recall@20,0.7,\n", "have to be numbers"),
        (f"{HEAD}\nT,baby,rate,x,,0.9,recall@20,0.7,a,b,c\n", "cannot be read as CSV"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(RunError, match=message):
        read_published([tmp_path / "p.csv"])


def test_the_file_of_the_experiment_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/one").mkdir(parents=True)
    inside, beside = write(Path("runs/two/published.csv")), write(Path("experiments/one/published.csv"))
    assert find_published([Path("runs/one"), Path("runs/two"), Path("runs/three")]) == [beside, inside]
    assert read_published(find_published([Path("runs/two")])).schema["rate"] == pl.Float64
