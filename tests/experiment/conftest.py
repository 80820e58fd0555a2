"""What tests of command lines, sweeps and searches share: one in this process, and one that may be killed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.experiment import launch
from tests.forks import run_script

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


@pytest.fixture(scope="session")
def start() -> Callable[..., int]:
    """Calls the entry point in this process and returns its exit code."""

    def start(*arguments: str) -> int:
        try:
            launch.main(list(arguments))
        except SystemExit as left:
            return int(left.code or 0)
        return 0

    return start


@pytest.fixture(scope="session")
def run_apart() -> Callable[..., int]:
    """The exit code of a process of its own, on request one that kills itself in the third epoch of its second run."""

    def run(*arguments: str, killed: bool = False) -> int:
        script = f"{KILL_IN_THE_SECOND_RUN * killed}\nfrom recmm.experiment.launch import main\nmain()\n"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return run_script(script, *arguments, environment=environment, cwd=Path.cwd()).returncode

    return run
