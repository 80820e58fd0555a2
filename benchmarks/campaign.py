"""Attacks on recmm, and what became of its numbers: kills, damages, full disks, sweeps at once, hostile files.

    python benchmarks/campaign.py --short                       # under 90 s
    python benchmarks/campaign.py --out benchmarks/campaign.csv # about 15 minutes of one core
    python benchmarks/campaign.py --only kills --kills 300 --seed 1

Everything is drawn from the seed, except for what the machine's speed decides: where in a command its kill falls. Below
the table stands a line for each attack that was not survived; with one the exit code is 1.
"""

import argparse
import csv
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "WANDB_MODE": "offline"}  # before any import

from attacks.concurrent import concurrent
from attacks.damages import damages
from attacks.full_disk import full_disk
from attacks.hostile import hostile
from attacks.kills import kills, reference_sweep
from attacks.outcome import Row
from attacks.processes import warm

COLUMNS = ("class", "tried", "survived", "said in a sentence", "lost", "silent changes")
SIZES = {"kills": (100, 2), "damages": (0, 0), "disk": (20, 2), "concurrent": (3, 1), "hostile": (0, 0)}
"""By class, attacks of the full and of the short form: kills, moments, rounds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a part of the attacks, for a test")
    parser.add_argument("--only", choices=SIZES, help="one class")
    parser.add_argument("--kills", type=int, help="number of SIGKILLs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write the table as CSV")
    arguments = parser.parse_args()
    warm()
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    os.chdir(folder)
    sweep = reference_sweep(folder / "reference")
    names = [arguments.only] if arguments.only else list(SIZES)
    rows = [row for name in names for row in _rows(name, folder, sweep, arguments)]
    shutil.rmtree(folder)
    print("\n" + "\n".join(" | ".join(cells) for cells in [COLUMNS, *(row.cells() for row in rows)]))
    faults = [fault for row in rows for fault in row.faults]
    print(*faults, sep="\n")
    if arguments.out:
        with arguments.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *(row.cells() for row in rows)])
    sys.exit(bool(faults))


def _rows(name: str, folder: Path, sweep: Path, arguments: argparse.Namespace) -> list[Row]:
    chance = random.Random(f"{name} {arguments.seed}")
    size = SIZES[name][arguments.short]
    place, began = folder / name, time.monotonic()
    attack: dict[str, Callable[[], list[Row]]] = {
        "kills": lambda: kills(place, sweep, chance, arguments.kills or size),
        "damages": lambda: damages(place, sweep, chance, short=arguments.short),
        "disk": lambda: [full_disk(place, sweep, size)],
        "concurrent": lambda: [concurrent(place, sweep, size)],
        "hostile": lambda: hostile(place, sweep),
    }
    rows = attack[name]()
    for row in rows:
        print(f"{row.name}: {row.survived} of {row.tried} survived", file=sys.stderr)
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()
