"""Three equal sweeps at the same time, again and again."""

from pathlib import Path

from attacks.kills import sweep_in
from attacks.outcome import Row, compare, leftovers, numbers
from attacks.processes import together

AT_ONCE = 3


def concurrent(folder: Path, sweep: Path, n_rounds: int) -> Row:
    """Exit codes 0, each job once, no log of an error in a good folder, equal numbers."""
    folder.mkdir()
    row, reference = Row("equal sweeps at once"), numbers(sweep)
    for number in range(n_rounds):
        place = folder / f"{number}"
        logs = [folder / f"{number}.{each}.log" for each in range(AT_ONCE)]
        ended = together([sweep_in(place)] * AT_ONCE, logs)
        shared = compare(row, place / "s", reference) + leftovers(place)
        for each, end in enumerate(ended):
            faults = [] if end.code == 0 else [f"exit code {end.code}: {end.output[-500:]}"]
            row.add(f"round {number}, sweep {each}", *faults, *shared)
    return row
