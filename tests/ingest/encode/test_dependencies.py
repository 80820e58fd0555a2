"""Errors for libraries that are not installed and for weights that cannot be downloaded."""

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from recmm.errors import ConfigError, DownloadError
from recmm.ingest.encode import dependencies
from recmm.ingest.encode.registry import find


def test_a_missing_library_names_its_extra() -> None:
    with pytest.raises(
        ConfigError, match=r"needs no_such_library, which is not installed: pip install 'recmm\[encode-timm\]'"
    ):
        dependencies.library("no_such_library", "vgg16", "encode-timm")


def test_a_library_built_for_another_torch_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vision_of_another_torch.py").write_text("raise RuntimeError('operator x::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ConfigError, match=r"does not load with this version of torch \(operator x::nms does not exist\)"
    ):
        dependencies.library("vision_of_another_torch", "vgg16", "encode-timm")
    sys.modules.pop("vision_of_another_torch", None)


class Refuses(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(503)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_whether_a_hub_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "TIMEOUT", 0.3)
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert dependencies._answers(f"http://127.0.0.1:{server.server_port}"), "an error is an answer"
        server.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection and stays silent
        assert not dependencies._answers(f"http://127.0.0.1:{mute.getsockname()[1]}")
    assert not dependencies._answers("http://127.0.0.1:9")
    assert not dependencies._answers("http://host.invalid")


@pytest.mark.parametrize("name", ["sentence-transformers/no-such-model-of-a-test", "bert-base-uncased"])
def test_weights_that_are_not_here_fail_in_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The libraries alone would retry for more than a minute."""
    pytest.importorskip("sentence_transformers", reason="the extra [encode-offline] is not installed")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    retries: list[str] = []
    monkeypatch.setattr("time.sleep", lambda seconds: retries.append(f"slept {seconds} s"))
    with pytest.raises(DownloadError, match=r"not on this machine.*127\.0\.0\.1:9 does not answer.*minilm-offline"):
        find(name, "textual").load(name, "cpu")
    assert not retries
    assert constants.HF_HUB_OFFLINE is False
