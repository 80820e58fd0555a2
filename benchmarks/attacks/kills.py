"""SIGKILL at random moments of sweeps, searches and reports with W&B's log; each is then finished and compared."""

import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from attacks.outcome import Row, compare, leftovers, numbers, page_faults
from attacks.processes import Ended, killed, recmm, run, train

KILLS_EACH = 4  # of one sweep, search or report before it may end
SHARES = {"sweep": 0.5, "search": 0.3, "report": 0.2}


def sweep_in(folder: Path) -> Callable[[], None]:
    """A sweep of two methods whose output is in ``folder``."""
    return lambda: train("-m", "model=popularity,lightgcn", "seed=0", f"paths.output={folder}", "sweep.name=s")


def _search_in(folder: Path) -> Callable[[], None]:
    space = ("search=default", "model=lightgcn", "hydra.sweeper.n_trials=2")
    return lambda: train(*space, f"paths.output={folder}", "sweep.name=s")


def report_of(sweep: Path, out: Path) -> Callable[[], None]:
    """`python -m recmm report` of the runs in ``sweep``."""
    return lambda: recmm("report", str(sweep), "--out", str(out))


def checked(sweep: Path) -> Callable[[], None]:
    """`python -m recmm check --records`; leaves with code 1 for a damage."""
    return lambda: recmm("check", "--records", str(sweep))


def reference_sweep(folder: Path) -> Path:
    """The folder of an undisturbed sweep with W&B's log."""
    ended = run(sweep_in(folder), folder.with_suffix(".log"))
    assert ended.code == 0, ended.output
    return folder / "s"


def kills(folder: Path, sweep: Path, chance: random.Random, n_kills: int) -> list[Row]:
    """The rows of the three commands that are killed; ``sweep`` is what reports are made of."""
    folder.mkdir()
    shares = {name: round(share * n_kills) for name, share in SHARES.items()}
    return [_kill_all(name, folder / name, sweep, chance, number) for name, number in shares.items() if number]


def _kill_all(name: str, folder: Path, sweep: Path, chance: random.Random, n_kills: int) -> Row:
    row, log = Row(f"SIGKILL in a {name}"), folder / "log"
    folder.mkdir()

    def work(place: Path) -> Callable[[], object]:
        if name == "report":
            return report_of(sweep, place / "report")
        return sweep_in(place) if name == "sweep" else _search_in(place)

    undisturbed = run(work(folder / "first"), log)
    assert undisturbed.code == 0, undisturbed.output
    like = folder / "first"
    n_done = n_rounds = 0
    while n_done < n_kills:
        n_rounds += 1
        place, in_round = folder / f"{n_rounds}", 0
        for _ in range(min(KILLS_EACH, n_kills - n_done)):
            in_round += killed(work(place), log, undisturbed.seconds, chance)
        n_done += in_round
        ended = run(work(place), log)
        faults = _faults(name, row, ended, place, like, log)
        for _ in range(in_round):  # a fault counts against every kill of the round
            row.add(f"round {n_rounds}", *faults)
        print(f"{row.name}: {n_done} of {n_kills}", *faults, file=sys.stderr, flush=True)
        if not faults:
            shutil.rmtree(place)
    return row


def _faults(name: str, row: Row, ended: Ended, place: Path, like: Path, log: Path) -> list[str]:
    faults = [] if ended.code == 0 else [f"exit code {ended.code}: {ended.output[-500:]}"]
    faults += leftovers(place) if place.exists() else []
    if name == "report":
        return faults + page_faults(place / "report" / "index.html", like / "report" / "index.html")
    faults += compare(row, place / "s", numbers(like / "s"))
    told = run(checked(place / "s"), log)
    return faults + ([] if told.code == 0 else [told.output])
