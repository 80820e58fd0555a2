"""What a run was made with: versions, git state, machine. Recorded and warned about, never part of the signature."""

import logging
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from recmm import __version__

log = logging.getLogger(__name__)

LIBRARIES = ("torch", "pytorch-lightning", "hydra-core", "omegaconf", "torchmetrics", "numpy", "scipy", "polars")


def provenance() -> dict[str, Any]:
    """The entries `versions`, `git` and `machine` of a record; nothing in them names a person, a host or a folder."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {
        "versions": {"recmm": __version__, "python": platform.python_version()} | libraries,
        "git": git_state(),
        "machine": {"threads": torch.get_num_threads(), "platform": platform.platform()},
    }


def warn_about_versions(found: dict[str, Any]) -> None:
    """Say what has changed since the record ``found`` was started and may change the numbers of a resumed run."""
    changed = [
        f"{name} {was} -> {now}"
        for name, was in found.get("versions", {}).items()
        if name in LIBRARIES and (now := version(name)) != was
    ]
    if changed:
        log.warning("Resuming with other library versions (%s): numbers may differ.", ", ".join(changed))
    threads = found.get("machine", {}).get("threads")
    if threads not in (None, torch.get_num_threads()):
        log.warning("Resuming with %d threads instead of %s: last digits may differ.", torch.get_num_threads(), threads)


def git_state() -> dict[str, Any]:
    """Commit of the repository that recmm is imported from, and whether it has changes; empty outside a repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        command = ("git", "-C", str(root), *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
