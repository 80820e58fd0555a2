"""The layout `json`: a dictionary {user: [items]} per split, as LATTICE and MMSSL release them, and .npy features."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.data.files.paths import require_file
from recmm.data.files.quoting import shown_value
from recmm.data.formats.mmrec import count_ids
from recmm.data.formats.reading import Contents, Reading, read_features, strictly
from recmm.errors import DataError, IdError

FILES = {"train": "train.json", "val": "val.json", "test": "test.json"}


def read_json(
    folder: Path, *, name: str, split: Split, features: Mapping[str, str], splits: Mapping[str, str] = FILES
) -> MultimodalDataset:
    """Read a folder of dictionaries {user: [items]} over dense ids, which are integers or text of digits.

    A user's list may be empty. The sizes are the largest id plus one over all files; feature files with more rows than
    that, all of them equally many, enlarge the items. All three files must be there: models are selected on validation.

    Args:
        features: modality -> .npy file [n_items, D_m], float16 or float32 kept and memory-mapped; only these are read.
        splits: "train", "val", "test" -> file.

    Raises:
        MissingFileError: a file that is not there.
        DataError: not JSON, not such a dictionary, a user named twice.
        IdError: ids that are not whole numbers from 0.
        FeatureShapeError, FeatureFileError: as in ``arrays.load_features``; fewer rows than items.
        Everything else that ``assembly.assemble`` raises.
    """
    return strictly(_reading(Path(folder), name, split, features, splits)).assembled()


def _reading(
    folder: Path, name: str, split: Split, features: Mapping[str, str], splits: Mapping[str, str]
) -> Reading[Contents]:
    contents = Contents(name, str(folder), split, origins=dict(splits))
    contents.splits = {part: _pairs(folder / splits[part], part) for part in SPLITS}
    yield from read_features(contents, folder, features)
    yield from count_ids(contents, folder)
    return contents


def _pairs(path: Path, part: str) -> SplitColumns:
    """The pairs of one file, in its order."""
    try:
        content = json.loads(
            require_file(path, f"the dictionary of split {part!r}").read_bytes(), object_pairs_hook=_without_repetition
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise DataError(f"{path} is not a readable JSON dictionary {{user: [items]}}: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}; expected a dictionary {{user: [items]}}.")
    users, items = [], []
    for key, values in content.items():
        if not isinstance(values, list):
            raise DataError(f"{path}: user {shown_value(key)} has {shown_value(values)}; expected a list of items.")
        users.append(np.full(len(values), _id(key, f"{path}: user")))
        items.append(np.array([_id(value, f"{path}, user {key}: item") for value in values], np.int64))
    nothing = [np.empty(0, np.int64)]
    return SplitColumns(np.concatenate(users or nothing), np.concatenate(items or nothing))


def _id(value: Any, what: str) -> int:
    """A dense id, from an integer or from digits."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if type(value) is int and 0 <= value < 1 << 62:
        return value
    raise IdError(
        f"{what} {shown_value(value)} is no dense id; expected whole numbers from 0. With other labels, write the "
        "pairs as a table with a column 'split' and import that with --from csv --split given."
    )


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {shown_value(twice)} stands there twice")
    return found
