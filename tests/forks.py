"""Processes of their own that need not import everything again: forked from one that has.

They are real processes, with an exit code, streams and signals of their own; only importing torch and Lightning, about
5 s of CPU for each, is done once. Functions that run at a process's exit (``atexit``) are not called.
"""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["recmm.experiment.run", "recmm.experiment.launch", "matplotlib.figure", "wandb"])

KILL_IN_THE_SECOND_RUN = """
import os, signal
from recmm.models.base import Recommender as R
step = R.training_step
n_started = 0
def on_train_start(self):
    global n_started
    n_started += 1
def training_step(self, batch, batch_idx):
    if n_started == 2 and self.current_epoch == 2: os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)
R.on_train_start, R.training_step = on_train_start, training_step
"""
"""For the beginning of a script: its process kills itself in the third epoch of its second run."""


def run_script(
    script: str, *arguments: str, environment: dict[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """What ``python -c script *arguments`` does in ``cwd``; killed after ten minutes."""
    with TemporaryDirectory() as folder:
        streams = [Path(folder) / name for name in ("out", "err")]
        process = _SERVER.Process(target=_execute, args=(script, arguments, environment, cwd, *streams))
        process.start()
        process.join(600)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(script, 600)
        assert process.exitcode is not None
        out, err = (stream.read_text(encoding="utf-8", errors="replace") for stream in streams)
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)


def _execute(
    script: str, arguments: tuple[str, ...], environment: dict[str, str], cwd: Path, out: Path, err: Path
) -> None:
    for number, stream in ((1, out), (2, err)):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
