"""A server on this machine that sends files and, where a test says so, misbehaves."""

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recmm.data.files.fetch import RemoteFile


@dataclass
class Reply:
    """How a path is answered.

    Attributes:
        body: the file.
        ranges: whether a part of it can be asked for.
        status, location: instead of 200 and 206; a redirect's target.
        announced: the Content-Length, where it is not the truth; 0: none is sent.
        cut: bytes of a response after which the connection is closed.
        stall: bytes of a response after which nothing more comes.
        described: the Content-Range of a part, where it is not the truth.
        times: how often it is answered like this; afterwards the file is sent as it should be.
    """

    body: bytes = b""
    ranges: bool = True
    status: int | None = None
    location: str = ""
    announced: int | None = None
    cut: int | None = None
    stall: int | None = None
    described: str = ""
    times: int = 1 << 30


@dataclass
class Server:
    """``replies`` by path; ``log``: the path, the range that was asked for, and the bytes sent, of each request."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def sent(self) -> list[int]:
        return [count for _, _, count in self.log]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    handler = type("Handler", (_Handler,), {"said": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.closing.set()
            http.shutdown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as running:
        yield running


def pinned(path: str, content: bytes, *, sized: bool = True, **keys: Any) -> RemoteFile:
    """The file at ``path`` of the server, pinned to ``content``."""
    return RemoteFile(path, blob(content), len(content) if sized else None, **keys)


def blob(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def zipped(members: dict[Any, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class _Handler(BaseHTTPRequestHandler):
    said: Server

    def do_GET(self) -> None:
        reply = self.said.replies.get(self.path, Reply(status=404))
        asked = self.headers.get("Range", "")
        if reply.times <= 0:
            reply = Reply(reply.body)
        reply.times -= 1
        entry = len(self.said.log)
        self.said.log.append((self.path, asked, 0))
        body, start = reply.body, 0
        if asked and reply.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        status = reply.status or (206 if start else 200)
        if start and start >= len(body) and not reply.status:
            status = 416
        self.send_response(status)
        if reply.location:
            self.send_header("Location", reply.location)
        if status == 206:
            self.send_header("Content-Range", reply.described or f"bytes {start}-{len(body) - 1}/{len(body)}")
        body = body[start:] if status in (200, 206) else b"an error page"
        if reply.announced != 0:
            self.send_header("Content-Length", str(len(body) if reply.announced is None else reply.announced))
        self.end_headers()
        stop = min(end for end in (reply.cut, reply.stall, len(body)) if end is not None)
        with suppress(OSError):  # the client went away
            for at in range(0, stop, 4096):
                self.wfile.write(body[at : min(at + 4096, stop)])
                self.said.log[entry] = (self.path, asked, min(at + 4096, stop))
        if reply.stall is not None:
            self.said.closing.wait()
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""
