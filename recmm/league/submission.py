"""`league verify`: whether the rows that somebody submits are those that recmm makes here."""

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recmm import RESULTS_VERSION
from recmm.errors import ConfigError, RunError
from recmm.experiment.sweep.plan import peek
from recmm.league.jobs import Composed, Jobs
from recmm.league.rows import DONE, SCHEMA, Row, read_rows
from recmm.league.runner import train_in_process

MEASURED = tuple(name for name in SCHEMA if name.startswith(("val_", "test_")))
"""The columns that a rerun has to give again, bit for bit on the same kind of machine."""

_TOLERANCE = 1e-3
"""What other libraries, threads or processors may change of a metric."""


@dataclass(frozen=True)
class Finding:
    """What was found about one row.

    Attributes:
        row: as submitted.
        told: what is wrong with it; empty: nothing.
    """

    row: Row
    told: str


def check_rows(path: Path, jobs: Jobs) -> list[Finding]:
    """Compose every row's arguments here, and compare model, seed, configuration, data and signature.

    Raises:
        RunError: the file cannot be read, or holds no row.
    """
    rows = read_rows(path)
    if not rows:
        raise RunError(f"{path} holds no row: name a file such as experiments/league/results/tiktok_va.csv.")
    return [Finding(row, "; ".join(_wrong(row, jobs))) for row in rows]


def _wrong(row: Row, jobs: Jobs) -> Iterator[str]:
    if row["results_version"] != RESULTS_VERSION:
        yield f"it is of RESULTS_VERSION {row['results_version']}, recmm here has {RESULTS_VERSION}"
        return
    try:
        composed = compose(row, jobs)
    except ConfigError as error:
        yield f"its arguments do not compose: {error}"
        return
    pairs = [("model", composed.model), ("seed", composed.seed), ("configuration", composed.configuration)]
    if composed.signature is not None:
        pairs += [("data_digest", composed.data_digest), ("signature", composed.signature)]
    wrong = [f"{name} is {row[name]}, but its arguments give {value}" for name, value in pairs if row[name] != value]
    yield from wrong
    for name in MEASURED:
        value = row[name]
        if row["status"] == DONE and (value is None or not 0 <= value <= 1):
            yield f"{name} is {value}, not in [0, 1]"


def compose(row: Row, jobs: Jobs) -> Composed:
    """The configuration that the row's arguments give here.

    Raises:
        ConfigError: they are wrong.
    """
    try:
        arguments = shlex.split(row["overrides"] or "")
    except ValueError as error:
        raise ConfigError(f"overrides cannot be read ({error}).") from error
    return jobs.compose([tuple(arguments)])[0]


def rerun_row(row: Row, jobs: Jobs, folder: Path) -> list[str]:
    """Make the run of a row again, in a folder of its own; the metrics that differ, one sentence each."""
    arguments = [*jobs.shared, *shlex.split(row["overrides"]), "trainer.progress=false"]
    code = train_in_process([*arguments, f"hydra.run.dir={folder}", "overwrite=true"])
    result = peek(folder)
    if result.get("status") != "done":
        return [f"the run failed here (exit code {code}), in {folder}"]
    told = []
    for name in MEASURED:
        again = result.get(name.replace("_", "/", 1))
        if again != row[name]:
            size = "by rounding" if abs((again or 0) - (row[name] or 0)) <= _TOLERANCE else "by more than rounding"
            told.append(f"{name} is {row[name]}, and {again} here, which differs {size}")
    return told


def chosen_for_rerun(findings: Sequence[Finding]) -> Row | None:
    """The row to make again: of the sound ones, the cheapest."""
    sound = [finding.row for finding in findings if not finding.told and finding.row["status"] == DONE]
    with contextlib.suppress(TypeError):  # a row without seconds
        return min(sound, key=lambda row: row["cpu_seconds"], default=None)
    return sound[0] if sound else None
