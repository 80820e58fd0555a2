import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recmm.data.formats.canonical_writer import write_canonical
from recmm.data.synthetic import synthetic
from recmm.terminal import prepare_terminal, printable


@pytest.fixture
def restored_logging():
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


def test_what_a_terminal_acts_on_becomes_an_escape_and_text_stays():
    assert printable("a\x1b[2Jb\x07\x9b31m\r\x7f") == "a\\x1b[2Jb\\x07\\x9b31m\\r\\x7f"
    assert printable("line\n\tnext, é 漢 \u3000 →") == "line\n\tnext, é 漢 \u3000 →"
    assert printable("\u202egpj.exe \ud800") == "\\u202egpj.exe \\ud800"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_a_stream_cannot_encode_is_replaced(encoding, monkeypatch, restored_logging):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_terminal()
    print("→ \udce9", flush=True)
    assert b"\n" in stream.buffer.getvalue()


def test_log_messages_lose_their_control_characters(caplog, restored_logging):
    prepare_terminal()
    logging.getLogger("recmm").warning("the name %s", "\x1b[2J")
    assert caplog.messages == ["the name \\x1b[2J"]


@pytest.mark.slow
def test_data_check_prints_its_findings_where_arrows_cannot_be_written(tmp_path: Path):
    write_canonical(synthetic(n_users=30, n_items=25), tmp_path / "out")
    np.save(tmp_path / "out" / "observed.npy", np.ones((3, 3), bool))
    cp1252 = os.environ | {"PYTHONIOENCODING": "cp1252"}
    command = [sys.executable, "-m", "recmm", "data", "check", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, env=cp1252, check=False)
    assert done.returncode == 1, done.stderr
    assert b"digest_drift" in done.stdout and b"Traceback" not in done.stderr
