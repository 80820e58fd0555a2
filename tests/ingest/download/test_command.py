"""`python -m recmm data download` against a server on this machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import recmm
from recmm.cli import app
from recmm.data import sources
from recmm.data.sources import ORIGINS, Origin
from recmm.errors import ConfigError, DataError, DigestError, DownloadError, MissingFileError
from recmm.ingest.download.dataset_files import dataset_files
from tests.data.http_server import Reply, Server, pinned, server, zipped

__all__ = ["server"]  # the fixture

FILES = {name: f"content of {name}".encode() for name in sources.TIKTOK.files}
LATTICE = ("lattice/trnMat.pkl", "lattice/valMat.pkl", "lattice/tstMat.pkl", "lattice/text_feat.npy")


@pytest.fixture
def tiktok(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that holds TikTok's files, of other content."""
    server.replies |= {f"/there/{name}": Reply(content) for name, content in FILES.items()}
    files = {name: pinned(f"there/{name}", content) for name, content in FILES.items()}
    origin = Origin("TikTok", "a page", server.url, files, sources.TIKTOK.without)
    monkeypatch.setitem(ORIGINS, "tiktok", {"tiktok": origin})  # type: ignore[misc]
    return server


def run(*arguments: object) -> tuple[str, BaseException | None]:
    """What the command prints on stdout, and the error it ends with."""
    result = CliRunner().invoke(app, ["data", "download", *map(str, arguments)])
    return result.stdout, result.exception


def state(output: str, file: str) -> str:
    """The last column of a file's row."""
    row = next(line for line in output.splitlines() if line.split()[:1] == [file])
    return re.split(r"\s{3,}", row.strip())[-1]


def test_every_file_is_downloaded_and_then_verified(tiktok: Server, tmp_path: Path) -> None:
    output, error = run("tiktok", "--to", tmp_path)
    assert error is None, output
    assert {name: (tmp_path / "tiktok" / name).read_bytes() for name in FILES} == FILES
    assert {state(output, name) for name in FILES} == {"downloaded, verified"}
    assert "python train.py dataset=tiktok" in output
    asked = len(tiktok.log)
    output, error = run("tiktok", "--to", tmp_path)
    assert error is None and {state(output, name) for name in FILES} == {"verified"}
    assert len(tiktok.log) == asked


def test_a_dry_run_touches_nothing(tiktok: Server, tmp_path: Path) -> None:
    output, error = run("tiktok", "--to", tmp_path / "data", "--dry-run")
    assert error is None and state(output, "trnMat.pkl") == "would be downloaded"
    assert str(len(FILES["trnMat.pkl"])) in output
    assert tiktok.log == [] and list(tmp_path.iterdir()) == []


def test_a_wrong_file_is_reported_and_replaced_only_when_asked(tiktok: Server, tmp_path: Path) -> None:
    (tmp_path / "tiktok").mkdir()
    (tmp_path / "tiktok" / "valMat.pkl").write_bytes(b"mine")
    output, error = run("tiktok", "--to", tmp_path)
    assert isinstance(error, DigestError)
    assert str(tmp_path / "tiktok" / "valMat.pkl") in str(error) and "has 4 bytes, pinned are 21" in str(error)
    assert "--force" in str(error) and state(output, "valMat.pkl") == "not the pinned file"
    assert (tmp_path / "tiktok" / "valMat.pkl").read_bytes() == b"mine"
    assert state(output, "tstMat.pkl") == "downloaded, verified"
    output, error = run("tiktok", "--to", tmp_path, "--force")
    assert error is None and state(output, "valMat.pkl") == "downloaded, verified"
    assert (tmp_path / "tiktok" / "valMat.pkl").read_bytes() == FILES["valMat.pkl"]
    assert len(tiktok.log) == len(FILES)


def test_one_failure_does_not_keep_the_other_files_away(tiktok: Server, tmp_path: Path) -> None:
    del tiktok.replies["/there/text_feat.npy"]
    output, error = run("tiktok", "--to", tmp_path)
    assert isinstance(error, DownloadError) and str(error).endswith("/there/text_feat.npy answered 404 Not Found.")
    assert state(output, "text_feat.npy") == "failed" and state(output, "audio_feat.npy") == "downloaded, verified"
    path = tmp_path / "tiktok" / "text_feat.npy"
    assert f"Get these files from a page and save them as\n  {path}  (from there/text_feat.npy)\n" in output
    assert "`dataset=tiktok_va` can be trained" in output and "Now run" not in output


def test_failures_of_several_kinds_are_all_said(tiktok: Server, tmp_path: Path) -> None:
    tiktok.replies["/there/trnMat.pkl"] = Reply(b"another file")
    tiktok.replies["/there/valMat.pkl"] = Reply(status=500)
    _, error = run("tiktok", "--to", tmp_path, "--retries", 0)
    assert type(error) is DataError
    assert "trnMat.pkl has 12 bytes" in str(error) and "valMat.pkl answered 500" in str(error)


def test_where_nothing_can_be_reached_one_file_is_tried(
    tiktok: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, error = run("tiktok", "--to", tmp_path / "data", "--base-url", "http://127.0.0.1:9")
    assert isinstance(error, DownloadError) and str(error).count("could not be reached") == 1
    assert {state(output, name) for name in FILES} == {"failed"} and list(tmp_path.iterdir()) == []


def test_a_mirror_with_its_own_patience(tiktok: Server, tmp_path: Path) -> None:
    mirror = {f"/mirror{path}": reply for path, reply in tiktok.replies.items()}
    mirror["/mirror/there/trnMat.pkl"] = Reply(FILES["trnMat.pkl"], stall=3)
    tiktok.replies.clear()
    tiktok.replies |= mirror
    url = f"{tiktok.url}/mirror/"
    _, error = run("tiktok", "--to", tmp_path, "--base-url", url, "--timeout", 0.3, "--retries", 0)
    assert isinstance(error, DownloadError) and "no byte came for 0.3 s" in str(error)
    tiktok.replies["/mirror/there/trnMat.pkl"].stall = None
    output, error = run("tiktok", "--to", tmp_path, "--base-url", url)
    assert error is None and state(output, "trnMat.pkl") == "downloaded, verified"
    assert [asked for path, asked, _ in tiktok.log if path.endswith("trnMat.pkl")] == ["", "bytes=3-"]


def test_ctrl_c_says_how_to_go_on(tiktok: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recmm.data.files.fetch.receive", interrupted)
    ended = CliRunner().invoke(app, ["data", "download", "tiktok", "--to", str(tmp_path / "data")])
    assert ended.exit_code == 130 and "Run the same command again" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dataset", "folder", "files"),
    [
        ("sports", "amazon_sports", ["sports.inter", "image_feat.npy", "text_feat.npy", "lattice/sports.inter"]),
        ("clothing", "amazon_clothing", ["clothing.inter", "image_feat.npy", "text_feat.npy"]),
        ("allrecipes", "allrecipes", ["trnMat.pkl", "valMat.pkl", "tstMat.pkl", "image_feat.npy", "text_feat.npy"]),
    ],
)
def test_where_only_a_page_is_known_it_is_said(dataset: str, folder: str, files: list[str], tmp_path: Path) -> None:
    output, error = run(dataset, "--to", tmp_path)
    assert isinstance(error, MissingFileError) and f"dataset={dataset}" in str(error)
    lines = [line.strip() for line in output.splitlines()]
    for file in files:
        assert str(tmp_path / folder / file) in lines and state(output, file) == "absent"
    assert "Get these files from " in output
    assert list(tmp_path.iterdir()) == []
    for file in dataset_files(dataset, data=tmp_path)[0].files:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_bytes(b"by hand")
    output, error = run(dataset, "--to", tmp_path)
    assert error is None, "one whole split is enough"
    assert state(output, files[0]) == "present, no digest to compare"


def test_baby_is_downloaded_in_one_split_and_described_in_the_other(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: pinned(name, b"x") for name in LATTICE}
    server.replies |= {f"/{name}": Reply(b"x") for name in LATTICE}
    archive = zipped({"image_feat.npy": b"unpacked"})
    files["lattice/image_feat.npy"] = pinned("image_feat.npy.zip", archive, zipped=True)
    server.replies["/image_feat.npy.zip"] = Reply(archive)
    lattice = Origin("Baby", "a page", server.url, files)
    monkeypatch.setitem(ORIGINS, "baby", {"baby_lattice": lattice, "baby": sources.BABY})  # type: ignore[misc]
    output, error = run("baby", "--to", tmp_path)
    assert error is None and "Now run: python train.py dataset=baby_lattice\n" in output
    assert state(output, "baby.inter") == "absent" and "https://github.com/enoche/MMRec" in output
    assert (tmp_path / "amazon_baby" / "lattice" / "image_feat.npy").read_bytes() == b"unpacked"
    output, error = run("baby", "--split", "lattice", "--to", tmp_path)
    assert error is None and "baby.inter" not in output
    assert state(output, "lattice/image_feat.npy") == "present, no digest to compare"
    _, error = run("baby", "--split", "mmrec", "--to", tmp_path)
    assert isinstance(error, MissingFileError)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    _, error = run("baby", "--split", "latice", "--to", tmp_path)
    assert isinstance(error, ConfigError) and "lattice, mmrec" in str(error)
    _, error = run("tiktok", "--to", tmp_path, "--base-url", "file:///etc")
    assert isinstance(error, ConfigError) and "http://" in str(error)
    assert CliRunner().invoke(app, ["data", "download", "tiktik"]).exit_code == 2
    assert "data download baby --split lattice" in run("--help")[0]


def test_real_files_are_the_pinned_ones(real_data: Path) -> None:
    output, _ = run("tiktok", "--to", real_data, "--dry-run")
    for name in ("trnMat.pkl", "valMat.pkl", "tstMat.pkl", "image_feat.npy", "audio_feat.npy"):
        assert state(output, name) == "verified"


def test_as_a_process_it_ends_with_an_exit_code_and_a_sentence(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(recmm.__file__).parents[1]), "RECMM_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "recmm", "data", "download", "clothing"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and ended.stderr.startswith("MissingFileError: Absent: clothing.inter, ")
    assert f"\n  {tmp_path}/amazon_clothing/clothing.inter\n" in ended.stdout
