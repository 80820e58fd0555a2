"""The commands that README and guides show: every training run composes, every other command exists."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from recmm.cli import app
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import jobs

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
ELSEWHERE = ("hydra.searchpath", "model.file")  # commands on files that a reader has


def shown() -> list[list[str]]:
    """The words of every indented or fenced command that calls recmm."""
    found = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ *python (?:-m recmm|train\.py) [^`\n]*", text, re.MULTILINE):
            found.add(tuple(shlex.split(line.replace(" ...", ""), comments=True)))
    return sorted(map(list, found))


RUNS = [
    words[at:]
    for words in shown()
    for at in [2 if words[1] == "train.py" else 4]
    if words[1] != "-m" or words[3] == "train"
]
OTHERS = [words[3:] for words in shown() if words[1] == "-m" and words[3] not in ("train", "check")]


@pytest.mark.parametrize("arguments", RUNS, ids=" ".join)
def test_a_run_that_is_shown_composes(arguments: list[str]) -> None:
    if any(word.startswith(ELSEWHERE) for word in arguments):
        pytest.skip("on a reader's own files")
    next(jobs(arguments, config_folder()))


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_a_command_that_is_shown_exists_with_its_options(words: list[str]) -> None:
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands
        command, words = command.commands[words[0]], words[1:]
    if command.add_help_option:  # the others parse their own options
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert {word for word in words if re.match(r"-+[a-z]", word)} <= known
