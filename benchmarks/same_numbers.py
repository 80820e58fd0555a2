"""Do two folders of runs hold the same numbers? A change that should change nothing is checked with it, bit for bit.

    python train.py -m sweep.name=before model=mgcn,sgl missing=full,mtmt,rate trainer.max_epochs=2
    (the change)
    python train.py -m sweep.name=after model=mgcn,sgl missing=full,mtmt,rate trainer.max_epochs=2
    python benchmarks/same_numbers.py multirun_outputs/before multirun_outputs/after

Runs are paired by model, dataset, missing setting and seed. Compared are all metrics of validation and test, every
column of metrics.csv but the seconds, and the configuration. Exit code 1 if a metric differs or a run has no partner.
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, int]


def read(folder: Path) -> dict[Key, tuple[dict[str, Any], list[dict[str, str]]]]:
    """(model, dataset, missing setting, seed) -> result.json and the rows of metrics.csv."""
    runs = {}
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text())
        if result["status"] != "done":
            continue
        curve: list[dict[str, str]] = []
        if (path.parent / "metrics.csv").exists():
            with (path.parent / "metrics.csv").open() as file:
                curve = list(csv.DictReader(file))
        missing = result["missing"] if result["uses_modalities"] else "any"
        runs[result["model"], result["dataset"], missing, result["seed"]] = (result, curve)
    return runs


def metrics_of(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name.startswith(("val/", "test/"))}


def without_seconds(curve: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: x for name, x in row.items() if not name.startswith("seconds/")} for row in curve]


def changed_keys(old: dict[str, Any], new: dict[str, Any]) -> str:
    """``+key=value -key=value key: old -> new`` of two identities, in short."""
    parts = [f"+{key}={new[key]}" for key in sorted(new.keys() - old.keys())]
    parts += [f"-{key}={old[key]}" for key in sorted(old.keys() - new.keys())]
    parts += [f"{key}: {old[key]} -> {new[key]}" for key in sorted(old.keys() & new.keys()) if old[key] != new[key]]
    return " ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before, after = read(arguments.before), read(arguments.after)
    n_different = 0
    for key in sorted(before.keys() | after.keys()):
        name = " ".join(map(str, key))
        if key not in before or key not in after:
            n_different += 1
            print(f"{name}: only {'after' if key not in before else 'before'}")
            continue
        (old, old_curve), (new, new_curve) = before[key], after[key]
        a, b = metrics_of(old), metrics_of(new)
        differing = [metric for metric in a.keys() | b.keys() if a.get(metric) != b.get(metric)]
        same_curve = without_seconds(old_curve) == without_seconds(new_curve)
        n_different += bool(differing) or not same_curve
        numbers = f"{len(differing)} of {len(a)} metrics differ" if differing else f"{len(a)} metrics equal"
        curve = f"{len(old_curve)} epochs equal" if same_curve else "epochs differ"
        signature = "signature equal" if old["signature"] == new["signature"] else "signature:"
        print(f"{name}: {numbers}, {curve}, {signature} {changed_keys(old['identity'], new['identity'])}".rstrip())
    print(f"{len(before.keys() & after.keys())} runs compared, {n_different} differ")
    sys.exit(n_different > 0)


if __name__ == "__main__":
    main()
