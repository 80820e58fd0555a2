"""The page of the command line: what every command says about itself."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import typer.main
from typer.testing import CliRunner

from recmm.cli import app

ROOT = Path(__file__).resolve().parents[2]
OWN_PARSER = ("train", "report", "report wandb")
"""Commands that parse their arguments themselves and know ``--help``."""
TERMINAL = {"COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}


def pages() -> dict[str, str]:
    texts: dict[str, str] = {"": help_here([])}
    described: dict[str, str] = {}
    for name, command in commands(typer.main.get_command(app)):
        if command.add_help_option:
            texts[name] = help_here(name.split())
        else:
            described[name] = re.sub(r"\s+", " ", command.help or "")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts |= zip(OWN_PARSER, pool.map(help_of_process, OWN_PARSER), strict=True)
    parts = ["# Command line", "`python -m recmm COMMAND`, or `recmm COMMAND` where the package is installed."]
    for name in sorted({*texts, *described}):
        parts += [f"## {name or 'recmm'}", described.get(name, "")]
        parts += [f"```text\n{texts[name]}\n```"] if name in texts else []
    return {"reference/cli.md": "\n\n".join(part for part in parts if part) + "\n"}


def commands(group: click.Command, path: str = "") -> list[tuple[str, click.Command]]:
    """Every command below a group, by the words that call it."""
    found = []
    for name, command in getattr(group, "commands", {}).items():
        full = f"{path} {name}".strip()
        found += commands(command, full) if hasattr(command, "commands") else [(full, command)]
    return found


def help_here(words: list[str]) -> str:
    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="recmm", env=TERMINAL, catch_exceptions=False)
    return tidy(shown.stdout)


def help_of_process(name: str) -> str:
    command = [sys.executable, "-m", "recmm", *name.split(), "--help"]
    environment = os.environ | TERMINAL | {"PYTHONPATH": str(ROOT)}
    return tidy(
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout
    )


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
