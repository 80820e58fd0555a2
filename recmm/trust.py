"""What the user trusts by the environment variable RECMM_TRUST: modules by name, files and folders by path."""

import os
import re
from pathlib import Path

from recmm.errors import ConfigError

TRUST_VARIABLE = "RECMM_TRUST"


def trusted_names() -> set[str]:
    """The entries of RECMM_TRUST, which commas, colons, semicolons or blanks divide."""
    return set(re.split(r"[,:;\s]+", os.environ.get(TRUST_VARIABLE, ""))) - {""}


def refuse_untrusted_file(path: Path, where: str) -> None:
    """Raise ConfigError unless RECMM_TRUST names this file, or a folder that it lies in.

    An entry is a path if it has a slash, is ``.`` or ``..``, or ends in ``.py``: the name of a module trusts no folder.
    Commas, colons and semicolons divide paths, blanks do not. Links are followed first.

    Args:
        path: the file whose code is about to run.
        where: key and value, the beginning of the message.
    """
    file = path.resolve()
    entries = (entry.strip() for entry in re.split(r"[,:;\n]", os.environ.get(TRUST_VARIABLE, "")))
    places = [entry for entry in entries if "/" in entry or entry in (".", "..") or entry.endswith(".py")]
    if any(file.is_relative_to(Path(place).expanduser().resolve()) for place in places):
        return
    shown = path.as_posix()
    raise ConfigError(
        f"{where} is refused, because running it runs its code: read the file, and if you trust it, set "
        f"{TRUST_VARIABLE}={shown if '/' in shown else f'./{shown}'}, or name its folder there."
    )
