"""Files of somebody else that would run code, escape their folder or fool a reader: refused in a sentence."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks.outcome import Row
from attacks.processes import TINY, recmm, run

MARK = "executed"
"""The file that hostile code would make."""

_TOUCH = {"_target_": "subprocess.check_output", "_args_": [["touch", MARK]]}
YAMLS: dict[str, Any] = {
    "callback": {"callbacks": {"x": _TOUCH}},
    "logger": {"logger": {"x": _TOUCH}},
    "model": {"model": {"_target_": "os.system"}},
    "dataset": {"dataset": {"_target_": "os.system", "command": f"touch {MARK}"}},
    "missing setting": {"missing": {"_target_": "builtins.exec"}},
    "imputer": {"imputer": {"_target_": "posix.system"}},
    "imputer by name": {"missing": {"paper_imputer": "os.system"}},
    "settings": {"model": {"training": _TOUCH}},
    "value": {"callbacks": {"early_stopping": {"patience": _TOUCH}}},
    "evaluation": {"eval": {"candidates": _TOUCH}},
    "through a module": {"callbacks": {"x": {"_target_": "recmm.data.files.atomic.os.system"}}},
    "Hydra's callback": {"hydra": {"callbacks": {"x": _TOUCH}}},
    "launcher": {"hydra": {"launcher": {"_target_": "os.system"}}},
    "environment": {"hydra": {"job": {"env_set": {"LD_PRELOAD": "x.so"}}}},
    "logging": {"hydra": {"job_logging": {"handlers": {"x": {"()": "os.system"}}}}},
    "!!python": f"seed: !!python/object/apply:os.system ['touch {MARK}']\n",
    "!!python path": "missing: {seed: !!python/object/apply:pathlib.Path ['x']}\n",
    "unclosed": "seed: [1\n",
    "anchors": "a: &a [x, x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b]\n",
    "control characters": 'seed: "\\e[2J"\n',
}


class _Runs:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.parts = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.parts


def _pickles() -> dict[str, bytes]:
    """Pickles that run something, and some that are damaged."""
    functions = {"os.system": _Runs(os.system, f"touch {MARK}"), "eval": _Runs(eval, f"open({MARK!r}, 'w')")}
    functions["a constructor"] = _Runs(open, MARK, "w")
    found = {
        f"{name}, protocol {number}": pickle.dumps(value, number)
        for name, value in functions.items()
        for number in (0, 2, 5)
    }
    return found | {"empty": b"", "deep": b"(" * 100_000 + b".", "no end": pickle.dumps([1] * 9)[:-1]}


def _arrays() -> dict[str, bytes]:
    """Features whose header or content is hostile."""

    def npy(header: str) -> bytes:
        return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)

    return {
        "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (4, 3)}")
        + pickle.dumps(_Runs(os.system, f"touch {MARK}")),
        "code in the header": npy(f"{{'descr': __import__('os').system('touch {MARK}')}}"),
        "a huge shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 9999)}"),
        "a negative shape": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 3)}"),
        "text": npy("{'descr': '<U9', 'fortran_order': False, 'shape': (1, 1)}"),
        "a cut header": npy("{'descr': '<f4'")[:12],
        "a pickle": pickle.dumps(_Runs(os.system, f"touch {MARK}")),
    }


MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a modality elsewhere": lambda m: m | {"modalities": ["../../../etc/passwd"]},
    "an absolute modality": lambda m: m | {"modalities": ["/etc/passwd"]},
    "another digest": lambda m: (
        m | {"files": {name: entry | {"sha256": "0" * 64} for name, entry in m["files"].items()}}
    ),
    "a negative size": lambda m: m | {"files": {name: entry | {"bytes": -1} for name, entry in m["files"].items()}},
    "no files": lambda m: m | {"files": None},
    "a future version": lambda m: m | {"format_version": 10**9},
    "control characters": lambda m: m | {"modalities": ["\x1b[2J\x07"]},
    "half a character": lambda m: m | {"modalities": ["\ud800"]},
    "a list": lambda _: [],
    "NaN": lambda m: m | {"format_version": float("nan")},
}

RECORDS: dict[str, dict[str, Any]] = {
    "a formula": {"missing": "=cmd|'/c calc'!A1", "dataset": "@SUM(A1)", "imputer": "+cmd", "model": "-cmd"},
    "a script": {"missing": "<script>alert(1)</script>", "dataset": '"><img src=x onerror=alert(1)>'},
    "control characters": {"missing": "\x1b[2J\x1b]0;x\x07", "dataset": "a\rb\x00"},
    "a direction": {"missing": "\u202egnp.exe", "dataset": "\u2066x"},
}


def hostile(folder: Path, sweep: Path) -> list[Row]:
    """The rows of all classes of inputs."""
    folder.mkdir()
    os.chdir(folder)
    return [
        _refusals("hostile pickles", _pickles(), _pickle),
        _refusals("hostile arrays", _arrays(), _array),
        _refusals("hostile manifests", MANIFESTS, _manifest),
        _refusals("hostile YAML", YAMLS, _yaml),
        _records(sweep),
    ]


def _refusals(name: str, inputs: dict[str, Any], read: Callable[[Path, Any], object]) -> Row:
    """Every input has to be refused by an error of ours, and nothing may have run."""
    row = Row(name)
    for told, content in inputs.items():
        place = Path(name, told).absolute()
        place.mkdir(parents=True)

        def work(place: Path = place, content: Any = content) -> None:
            from recmm.errors import RecmmError, leave

            os.chdir(place)
            try:
                read(place, content)
            except RecmmError as error:
                leave(error)

        ended = run(work, place / "log")
        faults = ["it was read"] if ended.code == 0 else []
        faults += [] if ended.code in (0, 1, 2) else [f"exit code {ended.code}: {ended.output[-300:]}"]
        faults += ["something was executed"] if (place / MARK).exists() else []
        row.add(told, *faults, said=_is_clean(ended.output) and ended.output.count("\n") == 1)
    return row


def _is_clean(text: str) -> bool:
    return "Traceback" not in text and all(letter.isprintable() or letter == "\n" for letter in text)


def _pickle(place: Path, content: bytes) -> object:
    from recmm.data.files.pickles import load_sparse

    (place / "matrix").write_bytes(content)
    return load_sparse(place / "matrix", "train")


def _array(place: Path, content: bytes) -> object:
    from recmm.data.files.arrays import load_features

    (place / "visual.npy").write_bytes(content)
    return load_features(place / "visual.npy", "visual")


def _manifest(place: Path, change: Callable[[dict[str, Any]], Any]) -> object:
    from recmm.data.formats import read_canonical, write_canonical
    from recmm.data.synthetic import synthetic

    write_canonical(synthetic(n_users=40, n_items=30, seed=0), place / "data")
    path = place / "data" / "manifest.json"
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    return read_canonical(place / "data")


def _yaml(place: Path, content: Any) -> object:
    import yaml

    from recmm.experiment.config.folder import config_folder
    from recmm.experiment.config.jobs import check_arguments

    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (place / "experiment").mkdir()
    (place / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    return check_arguments(["--config-dir", str(place), *TINY, "experiment=evil"], config_folder())


def _records(sweep: Path) -> Row:
    """Records with hostile names under a right digest: what a report makes of them runs nowhere."""
    row = Row("hostile names in records")
    for told, names in RECORDS.items():
        place = Path("records", told).absolute()
        shutil.copytree(sweep, place, ignore=shutil.ignore_patterns("wandb"))
        _rename(place, names)
        _report(row, told, place)
    place = Path("records", "a folder").absolute()
    shutil.copytree(sweep, place, ignore=shutil.ignore_patterns("wandb"))
    run_folder = os.fsencode(next(place.glob("lightgcn*")))
    os.rename(run_folder, os.path.join(os.fsencode(place), b"\xff\x1b[2J=cmd"))
    _report(row, "bytes in the name of a folder", place)
    return row


def _rename(place: Path, names: dict[str, Any]) -> None:
    from recmm.experiment.verification import result_digest

    for path in place.glob("*/result.json"):
        result = json.loads(path.read_text(encoding="utf-8")) | names
        path.write_text(json.dumps(result | {"sha256": result_digest(result)}), encoding="utf-8")


def _report(row: Row, told: str, place: Path) -> None:
    ended = run(lambda: recmm("report", str(place), "--out", str(place / "report")), Path("log"))
    faults = [] if ended.code == 0 else [f"exit code {ended.code}: {ended.output[-300:]}"]
    faults += [] if _is_clean(ended.output) else ["control characters reach the terminal"]
    page = place / "report" / "index.html"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    faults += ["a script is in the page"] if "<script>alert" in text or "<img src=x" in text else []
    faults += ["control characters are in the page"] if "\x1b" in text or "\x00" in text else []
    cells = [
        cell.strip('"')
        for file in (place / "report").glob("tables/*.csv")
        for cell in file.read_text("utf-8").split(",")
    ]
    faults += [f"the cell {cell!r} is a formula" for cell in cells if cell.startswith(("=", "+c", "@", "-c"))]
    row.add(told, *faults)
