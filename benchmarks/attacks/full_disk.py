"""A disk that becomes full at 20 moments of runs, sweeps and reports: file systems of growing size.

Without the right to mount one, the n-th write of a file fails instead.
"""

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attacks.kills import report_of
from attacks.outcome import Row, leftovers, numbers
from attacks.processes import Ended, run, train

SMALLEST, LARGEST = 8, 480  # KiB; a whole run takes about 300
ROOM = "64m"


def full_disk(folder: Path, sweep: Path, n_moments: int) -> Row:
    """One sentence, an exit code, the reason in the record where there is room, and the next start finishes."""
    folder.mkdir()
    row = Row("full disk")
    like = {name: found for name, found in numbers(sweep).items() if name.startswith("lightgcn")}
    kinds = ("run", "sweep", "run", "report")
    for moment in range(n_moments):
        kind, place = kinds[moment % len(kinds)], folder / f"{moment}"
        place.mkdir()
        size = round(SMALLEST * (LARGEST / SMALLEST) ** (moment / max(1, n_moments - 1)))
        with _disk(place, f"{size}k", moment) as (guard, make_room):
            work = _work(kind, place, sweep)
            ended = run(lambda guard=guard, work=work: (guard(), work()), folder / "log")
            faults = [f"exit code {ended.code}"] if ended.code not in (0, 1) else []
            faults += _unrecorded(place) if kind != "report" and ended.code else []
            make_room()
            finished = run(work, folder / "log")
            faults += [f"not finished with room: {finished.output[-500:]}"] if finished.code else []
            if kind == "report":
                faults += [] if (place / "report" / "index.html").is_file() else ["there is no page"]
            elif numbers(place / "s") != like:
                row.silent += finished.code == 0
                faults.append("other numbers than without a full disk")
            faults += leftovers(place)
            row.add(f"{kind}, {size} KiB", *faults, said=_is_said(ended, place) if ended.code else None)
    return row


def _work(kind: str, place: Path, sweep: Path) -> Callable[[], object]:
    if kind == "report":
        return report_of(sweep, place / "report")
    name = numbers_name(sweep)
    if kind == "run":
        return lambda: train("model=lightgcn", "seed=0", f"hydra.run.dir={place / 's' / name}")
    return lambda: train("-m", "model=lightgcn", "seed=0", f"paths.output={place}", "sweep.name=s")


def numbers_name(sweep: Path) -> str:
    """The folder of LightGCN's run in a sweep."""
    return next(sweep.glob("lightgcn*")).name


def _is_said(ended: Ended, place: Path) -> bool:
    """Whether the output says in a sentence which file had no room; a sweep prints it below its table."""
    lines = [line for line in ended.output.splitlines() if "No space left" in line]
    return ended.is_sentence and bool(lines) and str(place) in "".join(lines)


def _unrecorded(place: Path) -> list[str]:
    """Records that are readable, but do not say why their run ended: the room may not suffice for a record at all."""
    faults = []
    for path in place.glob("s/*/result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "done" or (result["status"] == "failed" and "error" not in result):
            faults.append(f"{path.parent.name} is {result['status']} without its reason")
    return faults


@contextmanager
def _disk(place: Path, size: str, moment: int) -> Iterator[tuple[Callable[[], None], Callable[[], object]]]:
    """A small file system at ``place``: what a child does at its start, and what makes room."""

    def mount(*options: str) -> int:
        command = ("mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place))
        return subprocess.run(command, capture_output=True, check=False).returncode

    if os.geteuid() or mount(f"size={size}"):
        yield lambda: _fail_at(moment + 1, place), lambda: None
        return
    try:
        yield lambda: None, lambda: mount("remount", f"size={ROOM}")
    finally:
        subprocess.run(("umount", "-l", str(place)), check=False)


def _fail_at(number: int, place: Path) -> None:
    """Have every write of a file below ``place`` fail, from the one with this number on."""
    replace, n_written = os.replace, 0

    def fails(source: os.PathLike[str] | str, target: os.PathLike[str] | str) -> None:
        nonlocal n_written
        n_written += Path(target).is_relative_to(place)
        if n_written >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        replace(source, target)

    os.replace = fails
