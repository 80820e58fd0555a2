"""Every damage of every file of a finished record: the check, a sweep and a report have to notice it and name the file.

Nothing is trained: what a sweep and a report read is asked directly.
"""

import contextlib
import gzip
import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks.outcome import Row, numbers
from attacks.processes import TINY, run

Damage = Callable[[Path, random.Random, Path], None]
"""Damages a file; the last argument is the same file of another run."""


def _bytes(change: Callable[[bytearray, random.Random], bytes]) -> Damage:
    def damage(path: Path, chance: random.Random, _: Path) -> None:
        path.write_bytes(change(bytearray(path.read_bytes()), chance))

    return damage


def _instead(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path, _: random.Random, __: Path) -> None:
        path.unlink()
        make(path)

    return damage


def _flipped(content: bytearray, at: int, bit: int = 0) -> bytes:
    content[at] ^= 1 << bit
    return bytes(content)


def _circle(path: Path) -> None:
    path.symlink_to(f"{path.name}.2")
    path.with_name(f"{path.name}.2").symlink_to(path.name)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 36)


ANY_FILE: dict[str, Damage] = {
    "empty": _bytes(lambda c, _: b""),
    "one byte": _bytes(lambda c, _: bytes(c[:1])),
    "half": _bytes(lambda c, _: bytes(c[: len(c) // 2])),
    "second half": _bytes(lambda c, _: bytes(c[len(c) // 2 :])),
    "last byte cut": _bytes(lambda c, _: bytes(c[:-1])),
    "first byte cut": _bytes(lambda c, _: bytes(c[1:])),
    "first bit flipped": _bytes(lambda c, _: _flipped(c, 0)),
    "last bit flipped": _bytes(lambda c, _: _flipped(c, -1, 7)),
    "middle bit flipped": _bytes(lambda c, _: _flipped(c, len(c) // 2, 3)),
    "a bit flipped": _bytes(lambda c, r: _flipped(c, r.randrange(len(c)), r.randrange(8))),
    "another bit flipped": _bytes(lambda c, r: _flipped(c, r.randrange(len(c)), r.randrange(8))),
    "a third bit flipped": _bytes(lambda c, r: _flipped(c, r.randrange(len(c)), r.randrange(8))),
    "a byte lost": _bytes(lambda c, r: bytes(c[: (at := r.randrange(len(c)))] + c[at + 1 :])),
    "a byte more": _bytes(lambda c, r: bytes(c[: (at := r.randrange(len(c)))] + b"\x07" + c[at:])),
    "a hole of zeros": _bytes(lambda c, r: bytes(c[:9] + bytes(len(c[9:521])) + c[521:])),
    "zeros": _bytes(lambda c, _: bytes(len(c))),
    "noise": _bytes(lambda c, r: r.randbytes(len(c))),
    "longer noise": _bytes(lambda c, r: r.randbytes(2 * len(c))),
    "reversed": _bytes(lambda c, _: bytes(c[::-1])),
    "doubled": _bytes(lambda c, _: bytes(c + c)),
    "a line more": _bytes(lambda c, _: bytes(c) + b"\n{}"),
    "a byte order mark": _bytes(lambda c, _: b"\xef\xbb\xbf" + c),
    "UTF-16": _bytes(lambda c, _: c.decode("latin-1").encode("utf-16")),
    "capitals": _bytes(lambda c, _: bytes(c.upper()) if c.upper() != c else b""),
    "compressed": _bytes(lambda c, _: gzip.compress(c)),
    "null": _bytes(lambda c, _: b"null"),
    "a list": _bytes(lambda c, _: b"[]"),
    "a number": _bytes(lambda c, _: b"1e308"),
    "NaN": _bytes(lambda c, _: b'{"status": NaN}'),
    "a long number": _bytes(lambda c, _: b"9" * 100_000),
    "deep nesting": _bytes(lambda c, _: b"[" * 100_000),
    "deep mappings": _bytes(lambda c, _: b'{"a":' * 50_000),
    "another run's": lambda path, _, other: shutil.copy(other, path),
    "deleted": lambda path, _, __: path.unlink(),
    "a folder": _instead(Path.mkdir),
    "a link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "a circle of links": _instead(_circle),
    "a link to nothing": _instead(lambda path: path.symlink_to("nothing")),
    "a link to a device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "a named pipe": _instead(os.mkfifo),
    "64 GiB of nothing": _instead(_sparse),
}

_ABSURD = (
    *(1e308, float("nan"), float("inf"), -1.0, -0.5, 1.5, "0.5", "", None, True, [], {}, [0.5], 10**400, "\ud800"),
    *("x" * 240, "\x1b[2J", "../..", "=cmd|'/c calc'!A1", {"a": {"b": [[[[None]]]]}}),
)
_KEYS = ("test/recall@20", "val/ndcg@20", "status", "signature", "identity", "model", "seed", "masks", "data", "files")
_KEYS += ("sha256", "strata", "attempt", "format_version", "wall_seconds", "best_epoch", "missing", "peak_memory_mb")


def entries(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Absurd values in every entry of a `result.json` that something reads, and entries that are not there."""
    found = {}
    for key in _KEYS:
        absurd = (*_ABSURD, *([content[key] + 1e-15] if isinstance(content[key], float) else []))
        found |= {f"{key}={value!r:.30}": content | {key: value} for value in absurd if value != content[key]}
        found[f"no {key}"] = {name: value for name, value in content.items() if name != key}
    return found


def damages(folder: Path, sweep: Path, chance: random.Random, *, short: bool) -> list[Row]:
    """The rows of damaged files and of absurd entries."""
    folder.mkdir()
    place = folder / "rows.json"

    def work() -> None:  # in a child: polars starts threads, after which this process could not fork
        judge = Judge(sweep, folder / "copy", chance)
        rows = [judge.files(short=short), judge.entries(short=short)]
        place.write_text(json.dumps([row.__dict__ for row in rows]), encoding="utf-8")

    ended = run(work, folder / "log", limit=3600)
    assert ended.code == 0, ended.output[-2000:]
    return [Row(**row) for row in json.loads(place.read_text(encoding="utf-8"))]


class Judge:
    """Damages the record of LightGCN in a copy of a sweep, and asks everything that reads records about it."""

    def __init__(self, sweep: Path, copy: Path, chance: random.Random) -> None:
        from recmm.experiment.config.folder import config_folder
        from recmm.experiment.config.jobs import Start
        from recmm.experiment.verification import SEALED

        self.sealed = SEALED
        self.sweep, self.copy, self.chance, self.reference = sweep, copy, chance, numbers(sweep)
        self.other, self.name = sorted(self.reference, reverse=True)
        arguments = (
            "-m",
            "model=popularity,lightgcn",
            "seed=0",
            f"paths.output={copy.parent}",
            f"sweep.name={copy.name}",
        )
        self.start = Start([*TINY, *arguments], config_folder())
        self.combination = ["model=lightgcn", *arguments[2:], *TINY]

    def files(self, *, short: bool) -> Row:
        """Every damage of every file; in the short form of one file each."""
        row = Row("damaged files")
        files = ["result.json", *self.sealed]
        for number, (told, damage) in enumerate(ANY_FILE.items()):
            for file in files if not short else [files[number % len(files)]] * (number % 2):
                # To plan is slow. It judges all files but result.json as one.
                plans = file == "result.json" or (not short and file == files[1 + number % len(self.sealed)])
                self._try(
                    row,
                    f"{file} {told}",
                    file,
                    lambda path, d=damage: d(path, self.chance, self._others(path)),
                    plans=plans,
                )
        return row

    def entries(self, *, short: bool) -> Row:
        """Absurd and absent entries of `result.json`; in the short form some of them."""
        row = Row("absurd entries")
        content = json.loads((self.sweep / self.name / "result.json").read_text(encoding="utf-8"))
        for number, (told, changed) in enumerate(entries(content).items()):
            if not short or number % 40 == 0:
                self._try(row, told, "result.json", lambda path, c=changed: path.write_text(json.dumps(c)), plans=True)
        return row

    def _others(self, path: Path) -> Path:
        """The same file of the other run; where it has none, or an equal one (masks), another file."""
        there = self.copy / self.other / path.relative_to(self.copy / self.name)
        other = there.is_file() and there.read_bytes() != path.read_bytes()
        return there if other else self.copy / self.other / "config.yaml"

    def _try(self, row: Row, told: str, file: str, damage: Callable[[Path], object], *, plans: bool) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.sweep, self.copy, ignore=shutil.ignore_patterns("wandb"))
        path = self.copy / self.name / file
        damage(path)
        faults, said = [], []
        for asked in (self._check, self._report, self._sweep)[: 2 + plans]:
            try:
                sentence, trusted, kept = asked()
            except Exception as error:
                faults.append(f"{asked.__name__} raises {type(error).__name__}: {str(error)[:200]}")
                continue
            row.lost += not kept
            faults += [] if kept else [f"{asked.__name__} loses the run beside it"]
            said.append(Path(file).name in sentence and sentence.isprintable())
            if not sentence:
                row.silent += trusted
                faults.append(f"{asked.__name__} does not notice")
        row.add(told, *faults, said=all(said))

    def _check(self) -> tuple[str, bool, bool]:
        """What `check --records` says about the run, whether it trusts it, and whether it calls the other one whole."""
        from recmm.experiment.verification import check_records

        with contextlib.redirect_stdout(io.StringIO()) as printed:
            check_records([self.copy])
        lines = printed.getvalue().splitlines()
        sentences = [line for line in lines if self.name in line and "damaged" in line]
        return " ".join(sentences), f"{self.name}: ok" in lines, f"{self.other}: ok" in lines

    def _sweep(self) -> tuple[str, bool, bool]:
        """What a sweep that is started again says about the run, and whether it skips it."""
        from recmm.experiment.sweep.plan import DONE, NEW, plan

        [job] = plan([self.combination], self.start.loader, self.start.master)
        assert job.folder.name == self.name
        sentence = "result.json makes it run again" if job.found == NEW else job.why
        return sentence, job.found == DONE, True

    def _report(self) -> tuple[str, bool, bool]:
        """What a report says about the run, whether it uses it, and whether the numbers of the other one are in it."""
        from recmm.report.records.runs import load_runs

        runs = load_runs([self.copy])
        kept = {Path(folder).name: record for folder, record in runs.records.items()}
        of_the_other = {key: kept.get(self.other, {}).get(key) for key in ("signature", "test/recall@20")}
        whole = of_the_other == {key: self.reference[self.other][key] for key in of_the_other}
        return " ".join(line for line in runs.left_out if self.name in line), self.name in kept, whole
