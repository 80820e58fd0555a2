"""What tests of command lines, sweeps and searches share: one in this process, and one that may be killed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.experiment import launch
from tests.forks import KILL_IN_THE_SECOND_RUN, run_script


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
