"""The manifest of the canonical layout, and the names of the files beside it."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from recmm.data.catalog import NegativeItems
from recmm.data.dataset import FORMAT_VERSION, TIME_UNIT
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.data.finding import Finding
from recmm.data.formats.reading import Reading
from recmm.data.times import UNITS
from recmm.errors import DataError, DigestError
from recmm.terminal import is_control

FORMAT = "recmm canonical"
MANIFEST = "manifest.json"
RAW, RAW_COLUMNS = "raw.parquet", ("item", "text", "image", "audio")
MANIFEST_LIMIT = 1 << 24  # bytes
FILE_NAME = re.compile(r"\w[\w.-]{,99}")  # a modality names a file: no separators, not hidden
KEYS = {
    "format_version": int,
    "name": str,
    "split": dict,
    "n_users": int,
    "n_items": int,
    "modalities": list,
    "files": dict,
}


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest, with its version and the types of its keys checked.

    Raises:
        MissingFileError, DataError: as ``read_canonical``.
    """
    try:
        if require_file(path, "the manifest of a canonical folder").stat().st_size > MANIFEST_LIMIT:
            raise DataError(f"{path} is larger than {MANIFEST_LIMIT:,} bytes; expected a manifest that recmm wrote.")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable JSON ({shown(error)}). Write the folder again.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(f'{path} does not say "format": "{FORMAT}"; expected a manifest that recmm wrote.')
    if manifest.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} has format_version {shown_value(manifest.get('format_version'))}, this recmm reads "
            f"{FORMAT_VERSION}. Use the release that wrote the folder."
        )
    for key, kind in KEYS.items():
        if type(manifest.get(key)) is not kind:  # True is an int, too
            raise DataError(
                f"{path}: key {key!r} is {shown_value(manifest.get(key))}; expected a value of type {kind.__name__}."
            )
    for key in ("n_users", "n_items"):
        if manifest[key] < 1:
            raise DataError(
                f"{path}: key {key!r} is {shown_value(manifest[key])}; expected at least 1. Write the folder again."
            )
    split = {"negatives": "all"} | manifest["split"]
    if sorted(split) != ["name", "negatives", "recipe"] or not all(isinstance(text, str) for text in split.values()):
        found = shown_value(manifest["split"])
        raise DataError(f"{path}: key 'split' is {found}; expected text under 'name' and 'recipe'.")
    if split["negatives"] not in get_args(NegativeItems):
        raise DataError(
            f"{path}: key 'split.negatives' is {shown_value(split['negatives'])}; expected 'all' or 'warm'."
        )
    if manifest.get(TIME_UNIT) not in (None, *UNITS):
        raise DataError(
            f"{path}: key {TIME_UNIT!r} is {shown_value(manifest[TIME_UNIT])}; expected one of {', '.join(UNITS)}."
        )
    for text in (manifest["name"], *split.values()):
        if any(map(is_control, text)):
            raise DataError(
                f"{path}: {shown_value(text)} is no valid text, it holds control characters. Write the folder again."
            )
    for modality in manifest["modalities"]:
        check_modality_name(modality, str(path))
    refuse_repeated(manifest["modalities"], f"{path}: key 'modalities'")
    return manifest


def guessed_manifest(folder: Path) -> dict[str, Any]:
    """In the place of a manifest that is refused: what it says nevertheless, completed from the files."""
    guess: dict[str, Any] = {
        "name": folder.resolve().name,
        "split": {},
        "n_users": 0,
        "n_items": 0,
        "modalities": sorted(path.stem for path in (folder / "features").glob("*.npy")),
        "files": {},
    }
    try:
        said = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        said = None
    if isinstance(said, dict):
        guess |= {key: said[key] for key in guess if type(said.get(key)) is KEYS[key]}
    guess["modalities"] = [name for name in guess["modalities"] if isinstance(name, str) and FILE_NAME.fullmatch(name)]
    split = guess["split"]
    guess["split"] = {"name": str(split.get("name", "unknown")), "recipe": str(split.get("recipe", "unknown"))}
    return guess | {key: max(0, guess[key]) for key in ("n_users", "n_items")}


def verify(folder: Path, file: str, manifest: dict[str, Any]) -> Reading[None]:
    """Compare a file that is there, size and sha256, with its entry in the manifest."""
    path, stated = folder / file, manifest["files"].get(file)
    found = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    if stated == found:
        return
    known, size = stated.get("bytes") if isinstance(stated, dict) else None, f"{found['bytes']:,} bytes"
    how = "the manifest does not name it" if known is None else f"{size} with another sha256 than stated"
    if isinstance(known, int) and known != found["bytes"]:
        how = f"{size} instead of {known:,}"
    error = DigestError(
        f"{path} is not the file that was written: it has {found}, the manifest says {shown_value(stated)}. "
        "Copy the folder again or write it again with write_canonical."
    )
    yield Finding(file, error, message=f"{file} is not the file that was written: {how}.")


def check_modality_name(modality: Any, source: str) -> None:
    """Refuse a modality whose name cannot be that of a file.

    Raises:
        DataError: naming the ``source`` of the name.
    """
    if not isinstance(modality, str) or not FILE_NAME.fullmatch(modality):
        raise DataError(
            f"{source}: the modality {shown_value(modality)} cannot name a file; expected up to 100 letters, digits, "
            "'_', '-', '.'."
        )


def refuse_repeated(modalities: Sequence[str], source: str) -> None:
    if len(set(modalities)) != len(modalities):
        raise DataError(f"{source} names a modality twice: {shown(', '.join(modalities))}; expected each once.")


def feature_file(modality: str) -> str:
    """Where a modality's features lie, relative to the canonical folder."""
    return f"features/{modality}.npy"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
