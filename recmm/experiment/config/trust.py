"""Which modules a configuration may name: recmm's, Lightning's, and those that the user trusts."""

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from recmm.errors import ConfigError
from recmm.trust import TRUST_VARIABLE, trusted_names

OWN_PACKAGES = ("recmm", "pytorch_lightning", "hydra_plugins")
_SEARCHPATH = "hydra.searchpath="
_folders: set[Path] = set()  # of hydra.searchpath on the command line
_packages: set[str] = set()


def trust_searchpath(overrides: Iterable[str]) -> None:
    """Trust the modules in the folders and packages of ``hydra.searchpath``, as the user typed it."""
    for override in overrides:
        if override.startswith(_SEARCHPATH):
            for place in re.findall(r"(?:file|pkg)://[^\s,\]'\"]+", override):
                parts = urlsplit(place)
                if parts.scheme == "pkg":
                    _packages.add((parts.netloc + parts.path).partition(".")[0])
                else:
                    _folders.add(Path(unquote(place.removeprefix("file://"))).resolve())


def is_users(module: str) -> bool:
    """Whether the user trusts this module: named in RECMM_TRUST, or its file is in a folder of ``hydra.searchpath``.

    Nothing is imported.
    """
    if any(_within(module, name) for name in trusted_names() | _packages):
        return True
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])  # of a top-level name: it imports no package
    except (ImportError, ValueError):
        return False
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    return any(Path(place).resolve().is_relative_to(folder) for place in places if place for folder in _folders)


def refuse_untrusted(module: str, where: str, packages: tuple[str, ...] = OWN_PACKAGES) -> None:
    """Raise ConfigError unless ``module`` belongs to one of ``packages`` or to the user. Nothing is imported."""
    if any(_within(module, package) for package in packages) or is_users(module):
        return
    raise ConfigError(
        f"{where} is refused, because a configuration names only classes of {', '.join(packages)}. If the module "
        f"is yours, set {TRUST_VARIABLE}={module.partition('.')[0]}, or name its folder in "
        "hydra.searchpath=[file://FOLDER]."
    )


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
