"""Files that options name, and the file that is taken when no option names one."""

from collections.abc import Sequence
from pathlib import Path

from recmm.data.formats.manifest import check_modality_name
from recmm.errors import ConfigError, MissingFileError


def by_modality(given: Sequence[str], option: str) -> dict[str, str]:
    """["visual=image_feat.npy"] -> {"visual": "image_feat.npy"}.

    Raises:
        ConfigError: a value is not MODALITY=FILE, or names a modality for the second time.
    """
    found: dict[str, str] = {}
    for text in given:
        modality, equals, file = text.partition("=")
        if not (modality and equals and file) or modality in found:
            raise ConfigError(
                f"{option} {text!r}: expected MODALITY=FILE such as visual=image_feat.npy, each modality once."
            )
        check_modality_name(modality, option)
        found[modality] = file
    return found


def only_file(folder: Path, pattern: str, what: str) -> str:
    """The name of the one file in ``folder`` that fits ``pattern``; ``what`` names it in errors.

    Raises:
        MissingFileError: no file fits.
        ConfigError: several files fit.
    """
    found = sorted(path.name for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise MissingFileError(f"{folder} holds no {what}: put it there, or name a file with --interactions.")
    if len(found) > 1:
        raise ConfigError(f"{folder} holds {', '.join(found)}: choose one with --interactions.")
    return found[0]


def only_table(folder: Path) -> str:
    """The name of the .inter table in a folder that holds exactly one; raises as ``only_file``."""
    return only_file(folder, "*.inter", ".inter table")
