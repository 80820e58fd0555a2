"""What the configuration's groups offer, with one line each: the first sentence of each file's own comment."""

import re
from itertools import takewhile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recmm.experiment.config.folder import config_folder

_END = re.compile(r"(?<=[.:;])\s")
_ABBREVIATION = re.compile(r"\b(?:et al|e\.g|i\.e|vs|Fig|Eq|Eqs)\.$")


def choices(group: str) -> dict[str, str]:
    """Choice -> the first sentence about it, in the order of the alphabet."""
    return {path.stem: _first_sentence(path) for path in sorted((config_folder() / group).glob("*.yaml"))}


def _first_sentence(path: Path) -> str:
    lines = takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    text = " ".join(line.lstrip("# ") for line in lines)
    parts, sentence = _END.split(text), ""
    for part in parts:
        sentence = f"{sentence} {part}".strip()
        if sentence.endswith(".") and not _ABBREVIATION.search(sentence):
            break
    return sentence.removesuffix(".")


def show_choices(*groups: str) -> None:
    """Print a table for each group."""
    console = Console(highlight=False, markup=False)
    for group in groups:
        table = Table(box=None, pad_edge=False)
        table.add_column(f"{group}=", no_wrap=True)
        table.add_column("")
        for name, sentence in choices(group).items():
            table.add_row(name, sentence)
        console.print(table)
