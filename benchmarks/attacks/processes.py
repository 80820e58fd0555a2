"""Commands in children of one process that has imported everything: a fork costs milliseconds, a start 10 s of CPU."""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 300.0  # seconds after which a command hangs


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal; None: it hung), what it printed, its seconds."""

    code: int | None
    output: str
    seconds: float

    @property
    def is_sentence(self) -> bool:
        """Whether it printed no traceback and its last line says something."""
        return "Traceback" not in self.output and bool(self.output.strip())


def warm() -> None:
    """Import and compose once what children need; afterwards this process still has a single thread of Python."""
    import importlib

    import PIL.Image
    import torch

    from recmm.experiment.config.folder import config_folder
    from recmm.experiment.config.jobs import check_arguments
    from recmm.experiment.curves import draw_curves

    wanted = ("recmm.experiment.launch", "recmm.experiment.run", "recmm.experiment.search.searcher")
    wanted += ("recmm.report.command", "optuna.storages._rdb.storage", "wandb.sdk.launch", "matplotlib.pyplot")
    for name in wanted:
        importlib.import_module(name)
    torch.set_num_threads(1)
    PIL.Image.preinit()
    draw_curves([{"epoch": 0, "train/bpr": 0.1, "val/recall@20": 0.1}], "val/recall@20", 0, "", Path(os.devnull))
    check_arguments([*TINY, "-m", "search=default", "model=lightgcn"], config_folder())


def train(*arguments: str) -> None:
    """`python train.py` with these arguments, in this process."""
    from recmm.experiment import launch

    launch.main([*TINY, *arguments])


def recmm(*arguments: str) -> None:
    """`python -m recmm` with these arguments, in this process."""
    from recmm.cli import main

    sys.argv = ["recmm", *arguments]
    main()


TINY = (
    *(
        "dataset.n_users=60",
        "dataset.n_items=40",
        "trainer.threads=1",
        "trainer.max_epochs=2",
        "trainer.progress=false",
    ),
    *("trainer.accelerator=cpu", "model.training.lr=0.01"),
)


def start(work: Callable[[], object], log: Path) -> int:
    """The process id of a child that does ``work`` and prints to ``log``; it leaves with the code that work leaves."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        place = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(place, 1)
        os.dup2(place, 2)
        work()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def wait(pid: int, log: Path, limit: float = LIMIT) -> Ended:
    """Wait until a child ends; one that does not is killed."""
    began, code = time.monotonic(), None
    while time.monotonic() - began < limit:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.02)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return Ended(code, log.read_text(encoding="utf-8", errors="replace"), time.monotonic() - began)


def run(work: Callable[[], object], log: Path, limit: float = LIMIT) -> Ended:
    """Do ``work`` in a child and wait for it."""
    return wait(start(work, log), log, limit)


def killed(work: Callable[[], object], log: Path, seconds: float, chance: random.Random) -> bool:
    """Start ``work`` and kill it after up to ``seconds``, evenly drawn; False if it had ended before."""
    pid = start(work, log)
    time.sleep(chance.uniform(0, seconds))
    found, _ = os.waitpid(pid, os.WNOHANG)
    if found:
        return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def together(works: Sequence[Callable[[], object]], logs: Sequence[Path]) -> list[Ended]:
    """Do all of ``works`` at the same time."""
    pids = [start(work, log) for work, log in zip(works, logs, strict=True)]
    return [wait(pid, log) for pid, log in zip(pids, logs, strict=True)]
