"""Help texts, the command line that trains on a folder, and the message after Ctrl-C."""

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path

import typer


def help_text(command: Callable) -> str:
    """A command's docstring as Typer needs it: each paragraph on one line, indented paragraphs as written.

    Typer keeps the line breaks of a docstring, and the terminal wraps the lines again.
    """
    paragraphs = cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(text if text.startswith(" ") else text.replace("\n", " ") for text in paragraphs)


def train_line(folder: Path, *arguments: str) -> str:
    """The command line that trains on a canonical folder, quoted for the shell and for Hydra."""
    path = str(folder)
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", path):  # other characters may have a meaning in Hydra's grammar
        path = "'" + path.replace("'", "\\'") + "'"
    return shlex.join(["python", "train.py", *arguments, "dataset=canonical", f"dataset.folder={path}"])


@contextmanager
def say_how_to_resume() -> Iterator[None]:
    """Wrap work that continues when the command is run again: Ctrl-C prints how to continue and exits with 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to continue where it stopped.", err=True)
        raise typer.Exit(130) from None
