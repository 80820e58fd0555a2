"""Downloads against a server on this machine: whole, cut, continued, corrupted, stalled, redirected and refused."""

import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from recmm.data.files import fetch as fetch_module
from recmm.data.files.fetch import difference, fetch, git_blob_digest
from recmm.data.files.transfer import REDIRECTS, Patience, UnreachableError
from recmm.errors import DigestError, DownloadError
from tests.data.http_server import Reply, Server, pinned, server, zipped

__all__ = ["server"]  # the fixture

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes: two chunks
RIGHT = pinned("right.npy", CONTENT)
ARCHIVE = zipped({"inner/image.npy": CONTENT, "__MACOSX/inner/image.npy": b"junk"})
AT_ONCE = Patience(timeout=20, retries=2, pause=0)
NO_RETRY = replace(AT_ONCE, retries=0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_digest_is_gits(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_digest(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_difference_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abd")
    assert difference(tmp_path / "x", pinned("x", b"abd")) == ""
    assert difference(tmp_path / "x", pinned("x", b"ab")) == "has 3 bytes, pinned are 2"
    assert difference(tmp_path / "x", pinned("x", b"abc")).startswith("has the git blob digest")


def test_whole_file_is_placed_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    fetch(RIGHT, tmp_path / "new" / "x.npy", base_url=server.url + "/", patience=NO_RETRY)
    assert (tmp_path / "new" / "x.npy").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["x.npy"]
    assert server.log == [("/right.npy", "", len(CONTENT))]


def test_file_without_pinned_or_announced_size_is_placed(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, announced=0)
    fetch(pinned("right.npy", CONTENT, sized=False), tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("reply", "sized", "error", "words"),
    [
        (Reply(CONTENT[:-1]), True, DigestError, "511,999 bytes, pinned are 512,000"),
        (Reply(CONTENT[:-1]), False, DigestError, "digest"),
        (Reply(CONTENT + b"x"), True, DigestError, "512,001 bytes, pinned are 512,000"),
        (Reply(CONTENT + b"x", announced=0), True, DigestError, "sends more than the 512,000 bytes"),
        (Reply(b"x" + CONTENT[1:]), True, DigestError, "is dropped"),
        (Reply(status=404), True, DownloadError, r"/right\.npy answered 404 Not Found\.$"),
        (Reply(status=403), True, DownloadError, "answered 403"),
        (Reply(status=204), True, DownloadError, "answered 204"),
        (Reply(status=416), True, DownloadError, "answered 416"),
        (Reply(status=302), True, DownloadError, "answered 302"),
    ],
)
def test_what_no_further_attempt_can_change_is_tried_once_and_leaves_nothing(
    server: Server, tmp_path: Path, reply: Reply, sized: bool, error: type[Exception], words: str
) -> None:
    server.replies["/right.npy"] = reply
    (tmp_path / "x.npy").write_bytes(b"mine")
    with pytest.raises(error, match=words):
        fetch(
            pinned("right.npy", CONTENT, sized=sized),
            tmp_path / "x.npy",
            base_url=server.url,
            patience=AT_ONCE,
            overwrite=True,
        )
    assert (tmp_path / "x.npy").read_bytes() == b"mine" and names(tmp_path) == ["x.npy"]
    assert len(server.log) == 1


def test_file_that_is_there_is_not_replaced_unless_asked(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    (tmp_path / "x.npy").write_bytes(b"mine")
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url)
    assert (tmp_path / "x.npy").read_bytes() == b"mine" and server.log == []
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, overwrite=True)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [500, 503, 429])
def test_server_error_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, status=status, times=2)
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT and len(server.log) == 3


def test_attempts_and_pauses_are_bounded(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies["/right.npy"] = Reply(status=503)
    waited: list[float] = []
    monkeypatch.setattr("recmm.data.files.transfer.time.sleep", waited.append)
    with pytest.raises(DownloadError, match=r"answered 503 Service Unavailable\. Given up after 4 attempts\."):
        fetch(RIGHT, tmp_path / "new" / "x.npy", base_url=server.url, patience=Patience(retries=3, pause=2))
    assert waited == [2, 4, 8] and len(server.log) == 4
    assert "Trying again in 2 s." in caplog.text
    assert names(tmp_path) == []  # not even the folder


def test_broken_connection_is_continued_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, cut=200_000, times=1)
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT and names(tmp_path) == ["x.npy"]
    assert server.log == [("/right.npy", "", 200_000), ("/right.npy", "bytes=200000-", 312_000)]


def test_part_is_kept_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, cut=200_000, times=1)
    target = tmp_path / "new" / "x.npy"
    with pytest.raises(DownloadError, match=r"cut short after 200,000 of 512,000 bytes\. Given up after 1 attempt\."):
        fetch(RIGHT, target, base_url=server.url, patience=NO_RETRY)
    assert names(target.parent) == [f".right.npy.{RIGHT.blob[:8]}.partial"]
    fetch(RIGHT, target, base_url=server.url, patience=NO_RETRY)
    assert target.read_bytes() == CONTENT and names(target.parent) == ["x.npy"]
    assert server.sent() == [200_000, 312_000]


def test_stalled_connection_is_given_up_and_continued(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, stall=4096, times=1)
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=Patience(timeout=1.5, retries=20, pause=0))
    assert (tmp_path / "x.npy").read_bytes() == CONTENT
    assert server.log[:2] == [("/right.npy", "", 4096), ("/right.npy", "bytes=4096-", len(CONTENT) - 4096)]


def test_server_that_stalls_before_it_answers_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DownloadError, match=r"no byte came for 0\.1 s\)\. Given up after 2 attempts"):
            fetch(RIGHT, tmp_path / "x.npy", base_url=url, patience=Patience(timeout=0.1, retries=1, pause=0))
    assert names(tmp_path) == []


def leave_part(folder: Path, content: bytes) -> None:
    (folder / f".right.npy.{RIGHT.blob[:8]}.partial").write_bytes(content)


@pytest.mark.parametrize("sized", [True, False])
def test_server_without_ranges_sends_all_anew(server: Server, tmp_path: Path, sized: bool) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, ranges=False)
    leave_part(tmp_path, CONTENT[:1000])
    fetch(pinned("right.npy", CONTENT, sized=sized), tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT
    assert server.log == [("/right.npy", "bytes=1000-", len(CONTENT))]


def test_part_that_is_whole_needs_no_server(tmp_path: Path) -> None:
    leave_part(tmp_path, CONTENT)
    fetch(RIGHT, tmp_path / "x.npy", base_url="http://127.0.0.1:9", patience=NO_RETRY)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT and names(tmp_path) == ["x.npy"]


@pytest.mark.parametrize("sized", [True, False])
def test_part_that_is_too_long_is_dropped(server: Server, tmp_path: Path, sized: bool) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    leave_part(tmp_path, CONTENT + b"more")
    fetch(pinned("right.npy", CONTENT, sized=sized), tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT


def test_part_of_another_file_is_dropped_when_the_digest_tells(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    leave_part(tmp_path, b"x" * 1000)
    with pytest.raises(DigestError, match="What was received is dropped; try again"):
        fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert names(tmp_path) == []
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert server.sent() == [len(CONTENT) - 1000, len(CONTENT)]


@pytest.mark.parametrize("described", ["bytes 999-511999/512000", "nonsense", "bytes 99999999999999999999-1/2"])
def test_another_part_than_asked_for_is_not_appended(server: Server, tmp_path: Path, described: str) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, described=described, times=1)
    leave_part(tmp_path, CONTENT[:1000])
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT
    assert [asked for _, asked, _ in server.log] == ["bytes=1000-", ""]


def test_redirects_are_followed_with_the_range(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(status=302, location="/there/a b.npy")
    server.replies["/there/a%20b.npy"] = Reply(CONTENT)
    leave_part(tmp_path, CONTENT[:1000])
    fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=NO_RETRY)
    assert (tmp_path / "x.npy").read_bytes() == CONTENT
    assert server.log[-1] == ("/there/a%20b.npy", "bytes=1000-", len(CONTENT) - 1000)


@pytest.mark.parametrize("elsewhere", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x", "gopher://x"])
def test_redirects_lead_to_http_only(server: Server, tmp_path: Path, elsewhere: str) -> None:
    server.replies["/right.npy"] = Reply(status=302, location=elsewhere)
    with pytest.raises(DownloadError, match=r"right\.npy redirects to .*, which is not http or https: refused"):
        fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert len(server.log) == 1 and names(tmp_path) == []


def test_redirects_in_a_loop_end(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(status=307, location="/back.npy")
    server.replies["/back.npy"] = Reply(status=301, location="/right.npy")
    with pytest.raises(DownloadError, match=f"redirects more than {REDIRECTS} times"):
        fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert len(server.log) == REDIRECTS + 1


@pytest.mark.parametrize("elsewhere", ["http://[", "http://127.0.0.1:99999/x"])
def test_redirects_to_nonsense_are_errors(server: Server, tmp_path: Path, elsewhere: str) -> None:
    server.replies["/right.npy"] = Reply(status=302, location=elsewhere)
    with pytest.raises(DownloadError, match=r"right\.npy"):
        fetch(RIGHT, tmp_path / "x.npy", base_url=server.url, patience=AT_ONCE)
    assert len(server.log) == 1


@pytest.mark.parametrize("base", ["file:///etc", "ftp://127.0.0.1", "/etc", "http://127.0.0.1:9"])
def test_no_connection_is_said_at_once(tmp_path: Path, base: str) -> None:
    with pytest.raises(DownloadError, match=r"right\.npy could not be") as caught:
        fetch(RIGHT, tmp_path / "new" / "x.npy", base_url=base, patience=Patience(pause=1000))
    assert isinstance(caught.value, UnreachableError) or base == "/etc"
    assert names(tmp_path) == []


def test_unsized_download_is_limited(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "LIMIT", 1000)
    for announced in (0, None):
        server.replies["/right.npy"] = Reply(CONTENT, announced=announced)
        with pytest.raises(DigestError, match="1,000"):
            fetch(pinned("right.npy", CONTENT, sized=False), tmp_path / "x.npy", base_url=server.url)
    assert names(tmp_path) == []


def test_folder_that_cannot_be_made_is_an_error(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match=r"could not be written to .*x\.npy"):
        fetch(RIGHT, tmp_path / "file" / "x.npy", base_url=server.url)


def test_zip_is_unpacked_and_removed(server: Server, tmp_path: Path) -> None:
    server.replies["/image.npy.zip"] = Reply(ARCHIVE, cut=500, times=1)
    remote = pinned("image.npy.zip", ARCHIVE, sized=False, zipped=True)
    fetch(remote, tmp_path / "image.npy", base_url=server.url, patience=AT_ONCE)
    assert (tmp_path / "image.npy").read_bytes() == CONTENT and names(tmp_path) == ["image.npy"]


def test_unsafe_zip_leaves_nothing(server: Server, tmp_path: Path) -> None:
    unsafe = zipped({"../image.npy": CONTENT})
    server.replies["/image.npy.zip"] = Reply(unsafe)
    with pytest.raises(DownloadError, match="points outside"):
        fetch(pinned("image.npy.zip", unsafe, zipped=True), tmp_path / "a" / "image.npy", base_url=server.url)
    assert names(tmp_path) == []


def test_jobs_that_ask_at_once_download_once(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT)
    threads = [
        threading.Thread(target=fetch, args=(RIGHT, tmp_path / "new" / "x.npy"), kwargs={"base_url": server.url})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "new" / "x.npy").read_bytes() == CONTENT and names(tmp_path / "new") == ["x.npy"]
    assert server.sent() == [len(CONTENT)]


def test_killed_download_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.replies["/right.npy"] = Reply(CONTENT, stall=300_000, times=1)
    target = tmp_path / "x.npy"
    program = (
        "import sys; from pathlib import Path; from recmm.data.files.fetch import RemoteFile, fetch; "
        f"fetch({RIGHT!r}, Path(sys.argv[1]), base_url=sys.argv[2])"
    )
    part = tmp_path / f".right.npy.{RIGHT.blob[:8]}.partial"
    with subprocess.Popen([sys.executable, "-c", program, str(target), server.url], stderr=subprocess.DEVNULL) as child:
        while child.poll() is None and not (part.exists() and part.stat().st_size == 300_000):
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL and not target.exists()
    fetch(RIGHT, target, base_url=server.url, patience=AT_ONCE)
    assert target.read_bytes() == CONTENT and names(tmp_path) == ["x.npy"]
    assert server.log == [("/right.npy", "", 300_000), ("/right.npy", "bytes=300000-", 212_000)]
