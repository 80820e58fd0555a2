"""What the commands say on how to go on: help texts that a terminal wraps, and command lines to paste."""

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path

import typer


def help_text(command: Callable) -> str:
    """A command's docstring for Typer, which keeps line breaks: one line per paragraph, indented ones as written."""
    paragraphs = cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(text if text.startswith(" ") else text.replace("\n", " ") for text in paragraphs)


def train_line(folder: Path, *arguments: str) -> str:
    """The command line that trains on a canonical folder, quoted for the shell and for Hydra."""
    path = str(folder)
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", path):  # else Hydra's grammar may give a sign a meaning
        path = "'" + path.replace("'", "\\'") + "'"
    return shlex.join(["python", "train.py", *arguments, "dataset=canonical", f"dataset.folder={path}"])


@contextmanager
def resumable() -> Iterator[None]:
    """Around work that goes on where it was when the command is started again: Ctrl-C says so, exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to go on where it stopped.", err=True)
        raise typer.Exit(130) from None
