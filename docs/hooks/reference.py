"""The page of the command line: what every command says about itself."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import typer.main

from recmm.cli import app

ROOT = Path(__file__).resolve().parents[2]
OWN_PARSER = ("train", "report", "report wandb")
"""Commands that parse their arguments themselves and know ``--help``."""


def pages() -> dict[str, str]:
    root = typer.main.get_command(app)
    calls: dict[str, list[str]] = {"": ["--help"]}
    described: dict[str, str] = {}
    for name, command in commands(root):
        if command.add_help_option:
            calls[name] = [*name.split(), "--help"]
        else:
            described[name] = command.help or ""
    calls |= {name: [*name.split(), "--help"] for name in OWN_PARSER}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = dict(zip(calls, pool.map(help_text, calls.values()), strict=True))
    parts = ["# Command line", "`python -m recmm COMMAND`, or `recmm COMMAND` where the package is installed."]
    for name in sorted({*texts, *described}):
        parts.append(f"## {name or 'recmm'}")
        if name in described:
            parts.append(re.sub(r"\s+", " ", described[name]))
        if name in texts:
            parts.append(f"```text\n{texts[name]}\n```")
    return {"reference/cli.md": "\n\n".join(parts) + "\n"}


def commands(group: click.Command, path: str = "") -> list[tuple[str, click.Command]]:
    """Every command below a group, by the words that call it."""
    found = []
    for name, command in getattr(group, "commands", {}).items():
        full = f"{path} {name}".strip()
        found += commands(command, full) if hasattr(command, "commands") else [(full, command)]
    return found


def help_text(arguments: list[str]) -> str:
    environment = os.environ | {"COLUMNS": "110", "TERMINAL_WIDTH": "110", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "recmm", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").split("\n"))
