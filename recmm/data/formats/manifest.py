"""The manifest of the canonical layout, and the names of the files beside it."""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from recmm.data.catalog import NegativeItems
from recmm.data.dataset import FORMAT_VERSION
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown, shown_value
from recmm.errors import DataError, DigestError

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
    for text in (manifest["name"], *split.values()):
        if text.encode(errors="replace").decode() != text:
            raise DataError(f"{path}: {shown_value(text)} is no valid text. Write the folder again.")
    for modality in manifest["modalities"]:
        check_modality_name(modality, str(path))
    refuse_repeated(manifest["modalities"], f"{path}: key 'modalities'")
    return manifest


def verify(folder: Path, file: str, manifest: dict[str, Any]) -> None:
    """Compare one file with its entry in the manifest.

    Raises:
        MissingFileError, DigestError
    """
    path = require_file(folder / file, f"a part of the canonical folder {folder.name}")
    stated = manifest["files"].get(file)
    found = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    if stated != found:
        raise DigestError(
            f"{path} is not the file that was written: it has {found}, the manifest says {shown_value(stated)}. "
            "Copy the folder again or write it again with write_canonical."
        )


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
