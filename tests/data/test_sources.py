"""Downloads against a server on this machine: whole, truncated, corrupted, refused, and unsafe archives."""

import hashlib
import io
import stat
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recmm.data import sources
from recmm.data.sources import Origin, RemoteFile, fetch, git_blob_digest, obtain, unpack
from recmm.errors import DigestError, DownloadError, MissingFileError

CONTENT = bytes(range(256)) * 2000  # two chunks


def blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ARCHIVE = zipped({"inner/image.npy": CONTENT, "__MACOSX/inner/image.npy": b"junk"})
UNSAFE = zipped({"../image.npy": CONTENT})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body, announced = {
            "/right.npy": (CONTENT, len(CONTENT)),
            "/short.npy": (CONTENT[:-1000], len(CONTENT)),
            "/smaller.npy": (CONTENT[:-1], len(CONTENT) - 1),
            "/larger.npy": (CONTENT + b"x", len(CONTENT) + 1),
            "/corrupt.npy": (b"x" + CONTENT[1:], len(CONTENT)),
            "/image.npy.zip": (ARCHIVE, len(ARCHIVE)),
            "/unsafe.npy.zip": (UNSAFE, len(UNSAFE)),
        }.get(self.path, (None, 0))
        if body is None:
            self.send_error(500 if self.path == "/broken.npy" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_digest_is_gits(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_digest(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_whole_file_is_placed(server: str, tmp_path: Path) -> None:
    fetch(RemoteFile("right.npy", blob(CONTENT), len(CONTENT)), tmp_path / "new" / "x.npy", base_url=server)
    assert (tmp_path / "new" / "x.npy").read_bytes() == CONTENT
    assert left_in(tmp_path / "new") == ["x.npy"]


@pytest.mark.parametrize(
    ("path", "size", "error", "words"),
    [
        ("short.npy", len(CONTENT), DownloadError, "cut short after 511,000 of 512,000"),
        ("short.npy", None, DownloadError, "cut short"),
        ("smaller.npy", len(CONTENT), DigestError, "511,999 bytes, pinned are 512,000"),
        ("smaller.npy", None, DigestError, "digest"),
        ("larger.npy", len(CONTENT), DigestError, "more than the 512,000"),
        ("corrupt.npy", len(CONTENT), DigestError, f"pinned is {blob(CONTENT)}"),
        ("absent.npy", len(CONTENT), DownloadError, "404"),
        ("broken.npy", len(CONTENT), DownloadError, "500"),
    ],
)
def test_bad_download_leaves_nothing(
    server: str, tmp_path: Path, path: str, size: int | None, error: type[Exception], words: str
) -> None:
    target = tmp_path / "x.npy"
    with pytest.raises(error, match=words):
        fetch(RemoteFile(path, blob(CONTENT), size), target, base_url=server)
    assert left_in(tmp_path) == []
    target.write_bytes(b"mine")
    with pytest.raises(error):
        fetch(RemoteFile(path, blob(CONTENT), size), target, base_url=server)
    assert target.read_bytes() == b"mine" and left_in(tmp_path) == ["x.npy"]


def test_unsized_download_is_limited(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LIMIT", 1000)
    with pytest.raises(DigestError, match="1,000 bytes"):
        fetch(RemoteFile("right.npy", blob(CONTENT)), tmp_path / "x.npy", base_url=server)
    assert left_in(tmp_path) == []


def test_zip_is_unpacked_and_removed(server: str, tmp_path: Path) -> None:
    fetch(RemoteFile("image.npy.zip", blob(ARCHIVE), zipped=True), tmp_path / "image.npy", base_url=server)
    assert (tmp_path / "image.npy").read_bytes() == CONTENT and left_in(tmp_path) == ["image.npy"]
    with pytest.raises(DownloadError, match="points outside"):
        fetch(
            RemoteFile("unsafe.npy.zip", blob(UNSAFE), zipped=True), tmp_path / "other" / "image.npy", base_url=server
        )
    assert left_in(tmp_path / "other") == [] and left_in(tmp_path.parent / tmp_path.name) == ["image.npy", "other"]


def test_unsafe_archives_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("image.npy")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive, target = tmp_path / "a.zip", tmp_path / "image.npy"
    for members, words in (
        ({"/etc/image.npy": b""}, "outside"),
        ({"a/../../image.npy": b""}, "outside"),
        ({"..\\image.npy": b""}, "outside"),
        ({link: b"/etc/passwd"}, "link"),
        ({"image.npy": bytes(2000)}, "2,000 bytes, allowed are 1,000"),
        ({"other.npy": b""}, "0 files called image.npy"),
        ({"a/image.npy": b"", "b/image.npy": b""}, "2 files called image.npy"),
    ):
        archive.write_bytes(zipped(members))  # type: ignore[arg-type]
        with pytest.raises(DownloadError, match=words):
            unpack(archive, "image.npy", target, limit=1000)
    archive.write_bytes(b"no archive")
    with pytest.raises(DownloadError, match="cannot be read"):
        unpack(archive, "image.npy", target)
    assert not target.exists()


def test_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    content = bytearray(zipped({"image.npy": bytes(5000)}))
    for at in (22, content.index(b"PK\x01\x02") + 24):  # the uncompressed size, in both headers
        content[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DownloadError, match="cannot be read"):
        unpack(tmp_path / "a.zip", "image.npy", tmp_path / "image.npy", limit=1000)
    assert not (tmp_path / "image.npy").exists() or (tmp_path / "image.npy").stat().st_size <= 1000


def test_obtain_fetches_only_what_is_absent(server: str, tmp_path: Path) -> None:
    right = RemoteFile("right.npy", blob(CONTENT), len(CONTENT))
    origin = Origin(
        "Toy", "a page", server, {"a.npy": right, "deep/b.npy": right, "c.npy": RemoteFile("absent.npy", "")}
    )
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


def test_half_way_failure_names_what_is_still_absent(server: str, tmp_path: Path) -> None:
    files = {"a.npy": RemoteFile("right.npy", blob(CONTENT)), "b.npy": RemoteFile("corrupt.npy", blob(CONTENT))}
    with pytest.raises(DigestError, match=r"Toy lacks b\.npy in .*take corrupt\.npy as b\.npy"):
        obtain(Origin("Toy", "a page", server, files), tmp_path, ["a.npy", "b.npy"])
    assert left_in(tmp_path) == ["a.npy"]


def test_no_download_where_none_is_known_or_wanted(server: str, tmp_path: Path) -> None:
    right = RemoteFile("right.npy", blob(CONTENT))
    origin = Origin("Toy", "a page", server, {"a.npy": right})
    with pytest.raises(MissingFileError, match=r"no pinned public source is known for b\.npy.*a page"):
        obtain(origin, tmp_path, ["a.npy", "b.npy"])
    with pytest.raises(MissingFileError, match="downloading is switched off"):
        obtain(origin, tmp_path, ["a.npy"], download=False)
    assert left_in(tmp_path) == []


def test_pins_agree_with_the_real_files(real_data: Path) -> None:
    for name, remote in sources.TIKTOK.files.items():
        if (path := real_data / "tiktok" / name).exists():
            assert (git_blob_digest(path), path.stat().st_size) == (remote.blob, remote.size)
    for part in ("trn", "val", "tst"):
        path = real_data / "amazon_baby" / f"LATTICE_order_{part}Mat.pkl"
        pinned = sources.BABY_LATTICE.files[f"lattice/{part}Mat.pkl"]
        assert (git_blob_digest(path), path.stat().st_size) == (pinned.blob, pinned.size)
