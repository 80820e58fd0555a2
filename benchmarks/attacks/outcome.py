"""What an attack did: its row of the table, and what is compared with the undisturbed reference."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_EQUAL = ("signature", "status", "best_epoch", "epochs", "strata", "masks", "data", "identity")
_TABLES = ("per_user.parquet", "ranks.parquet", "topk.parquet")
_TEMPORARY = re.compile(r"\.partial|\.new$|^fresh\.ckpt$|\.old$")


@dataclass
class Row:
    """One class of attacks.

    Attributes:
        tried: attacks.
        survived: attacks after which everything that was asked for is there and right.
        said: attacks that a sentence names, with the file or key; None: there is nothing to be said.
        lost: finished numbers that are gone, jobs that were not done in the end.
        silent: numbers that changed although the status says done.
        faults: a line for each attack that was not survived.
    """

    name: str
    tried: int = 0
    survived: int = 0
    said: int | None = None
    lost: int = 0
    silent: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, attack: str, *faults: str, said: bool | None = None) -> None:
        """Count one attack and what went wrong."""
        self.tried += 1
        self.survived += not faults
        self.faults += [f"{self.name}: {attack}: {fault}" for fault in faults]
        self.said = (self.said or 0) + said if said is not None else self.said
        if said is False:
            self.faults.append(f"{self.name}: {attack}: no sentence names it")

    def cells(self) -> list[str]:
        """The row of the table."""
        values = (self.tried, self.survived, self.said, self.lost, self.silent)
        return [self.name, *("" if value is None else str(value) for value in values)]


def numbers(sweep: Path) -> dict[str, dict[str, Any]]:
    """Folder of a run -> what equal runs have equal, bit for bit."""
    found = {}
    for path in sorted(sweep.glob("*/result.json")):
        if ".old-" in path.parent.name:  # a failed run that was moved aside
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        metrics = {key: value for key, value in result.items() if key.startswith(("val/", "test/")) or key in _EQUAL}
        digests = {name: result.get("files", {}).get(name, {}).get("sha256") for name in _TABLES}
        found[path.parent.name] = metrics | digests
    return found


def compare(row: Row, sweep: Path, reference: dict[str, dict[str, Any]]) -> list[str]:
    """What a finished sweep has lost or changed against its reference."""
    found, faults = numbers(sweep), []
    for name in sorted(reference.keys() | found.keys()):
        if found.get(name, {}).get("status") != "done":
            row.lost += 1
            faults.append(f"{name} is {found.get(name, {}).get('status', 'not there')}")
        elif name not in reference:
            faults.append(f"{name} is none of the jobs")
        elif differing := [key for key in reference[name] if reference[name][key] != found[name].get(key)]:
            row.silent += 1
            faults.append(f"{name} has another {', '.join(differing)}")
    return faults


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders that nobody will clean up, and logs of errors that were none."""
    found = [path for path in folder.rglob("*") if "wandb" not in path.parts]
    stray = [path for path in found if _TEMPORARY.search(path.name) or path.name == "error.log"]
    return [f"{path.relative_to(folder)} is left" for path in stray]


def page_faults(page: Path, like: Path) -> list[str]:
    """What a report lacks: files that the page ``like`` has, and links that lead nowhere."""
    if not page.is_file():
        return ["index.html is not there"]
    here, there = ({str(file.relative_to(p.parent)) for file in p.parent.rglob("*.*")} for p in (page, like))
    faults = [f"{name} is missing" for name in sorted(there - here)] + [
        f"{name} is left" for name in sorted(here - there)
    ]
    text = re.sub(r"<script\b.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r'(?:href|src)="([^"#][^"]*)"', text):
        if not link.startswith(("data:", "http")) and not os.path.exists(page.parent / unquote(link)):
            faults.append(f"the link {link} leads nowhere")
    return faults
