"""What is absent is downloaded, or said how to get by hand."""

from pathlib import Path

import pytest

from recmm.data import sources
from recmm.data.files.fetch import RemoteFile, git_blob_digest
from recmm.data.sources import Origin, obtain
from recmm.errors import DigestError, DownloadError, MissingFileError
from tests.data.http_server import Reply, Server, pinned, server

__all__ = ["server"]  # the fixture

CONTENT = b"a matrix"
RIGHT = pinned("right.npy", CONTENT)


def test_obtain_fetches_only_what_is_absent(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    files = {"a.npy": RIGHT, "deep/b.npy": RIGHT, "c.npy": RemoteFile("absent.npy", "")}
    origin = Origin("Toy", "a page", server.url, files)
    (tmp_path / "a.npy").write_bytes(b"mine")
    obtain(origin, tmp_path, ["a.npy", "deep/b.npy"])
    assert (tmp_path / "a.npy").read_bytes() == b"mine" and (tmp_path / "deep" / "b.npy").read_bytes() == CONTENT


def test_failure_says_what_where_and_what_runs_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "tiktok"
    nowhere = "http://127.0.0.1:9"  # the discard port: nobody listens
    with pytest.raises(DownloadError) as caught:
        obtain(sources.TIKTOK, folder, ["trnMat.pkl", "text_feat.npy"], base_url=nowhere)
    message = str(caught.value)
    assert "TikTok lacks trnMat.pkl, text_feat.npy" in message and str(folder) in message
    assert "https://github.com/HKUDS/DiffMM/tree/" in message and "`dataset=synthetic` runs" in message
    assert "tiktok_va" not in message, "it needs trnMat.pkl too"
    assert not folder.exists()
    with pytest.raises(DownloadError, match="`dataset=tiktok_va` or `dataset=synthetic` runs"):
        obtain(sources.TIKTOK, folder, ["text_feat.npy"], base_url=nowhere)


def test_half_way_failure_names_what_is_still_absent(server: Server, tmp_path: Path) -> None:
    server.replies |= {"/right.npy": Reply(CONTENT), "/corrupt.npy": Reply(b"A matrix")}
    files = {"a.npy": RIGHT, "b.npy": pinned("corrupt.npy", CONTENT)}
    with pytest.raises(DigestError, match=r"Toy lacks b\.npy in .*take corrupt\.npy as b\.npy"):
        obtain(Origin("Toy", "a page", server.url, files), tmp_path, ["a.npy", "b.npy"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_no_download_where_none_is_known_or_wanted(server: Server, tmp_path: Path) -> None:
    origin = Origin("Toy", "a page", server.url, {"a.npy": RIGHT})
    with pytest.raises(MissingFileError, match=r"no pinned public source is known for b\.npy.*a page"):
        obtain(origin, tmp_path, ["a.npy", "b.npy"])
    with pytest.raises(MissingFileError, match="downloading is switched off"):
        obtain(origin, tmp_path, ["a.npy"], download=False)
    assert list(tmp_path.iterdir()) == [] and server.log == []


def test_pins_agree_with_the_real_files(real_data: Path) -> None:
    for name, remote in sources.TIKTOK.files.items():
        if (path := real_data / "tiktok" / name).exists():
            assert (git_blob_digest(path), path.stat().st_size) == (remote.blob, remote.size)
    for part in ("trn", "val", "tst"):
        path = real_data / "amazon_baby" / f"LATTICE_order_{part}Mat.pkl"
        pinned = sources.BABY_LATTICE.files[f"lattice/{part}Mat.pkl"]
        assert (git_blob_digest(path), path.stat().st_size) == (pinned.blob, pinned.size)
