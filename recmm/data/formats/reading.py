"""How a layout is read once for two purposes: a run takes nothing that is wrong, `data check` lists all that is wrong.

The reader of a layout is a generator. It yields a ``Finding`` for each problem, goes on with what is left, and returns
the ``Contents``. ``strictly`` raises the error of the first finding, so whatever follows is never read.
"""

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import SPLITS, TIME_UNIT, MultimodalDataset, Split
from recmm.data.files.arrays import check_matrix
from recmm.data.files.feature_files import load_matrix, named_file
from recmm.data.files.paths import require_file
from recmm.data.finding import Finding
from recmm.errors import DataError, FeatureFileError, MissingFileError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


Reading = Generator[Finding, None, T]
"""Yields findings and returns what was read."""

NOTHING = SplitColumns(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass
class Contents:
    """What the files of a catalogue hold; where there were findings, anything may be wrong with it.

    Attributes:
        source: the folder, or the dataset's name.
        n_users, n_items: sizes of the id spaces as the files state them; 0 where nothing does.
        splits: "train", "val", "test" -> parallel columns, unsorted and unchecked.
        features: modality -> real matrix [n_rows, D], possibly a memory map; what cannot be read as one is absent.
        observed: modality -> bool [n_items]; empty where the layout does not say, so that every entry counts.
        user_ids, item_ids: raw labels; None where there are none.
        origins: name of a split or modality, "users" or "items" -> its file, relative to ``source``.
        time_unit: of the timestamps, a key of ``times.UNITS``; None where nothing says it.
    """

    name: str
    source: str
    split: Split
    n_users: int = 0
    n_items: int = 0
    splits: dict[str, SplitColumns] = field(default_factory=lambda: dict.fromkeys(SPLITS, NOTHING))
    features: dict[str, np.ndarray] = field(default_factory=dict)
    observed: dict[str, np.ndarray] = field(default_factory=dict)
    user_ids: list[str] | None = None
    item_ids: list[str] | None = None
    origins: dict[str, str] = field(default_factory=dict)
    time_unit: str | None = None

    def assembled(self) -> MultimodalDataset:
        """The dataset of these contents; raises what ``assembly.assemble`` raises."""
        paths = {part: str(Path(self.source) / file) for part, file in self.origins.items()}
        dataset = assemble(
            name=self.name,
            split=self.split,
            splits={part: columns._replace(source=paths[part]) for part, columns in self.splits.items()},
            n_users=self.n_users,
            n_items=self.n_items,
            features=self.features,
            feature_sources=paths,
            observed=np.column_stack([self.observed[m] for m in self.features]) if self.observed else None,
            user_ids=self.user_ids,
            item_ids=self.item_ids,
        )
        return (
            dataset if self.time_unit is None else replace(dataset, notes=dataset.notes | {TIME_UNIT: self.time_unit})
        )


def strictly(reading: Reading[T]) -> T:
    """What ``reading`` returns; raises the error of its first finding that has one."""
    while True:
        try:
            finding = next(reading)
        except StopIteration as end:
            result: T = end.value
            return result
        if finding.error is not None:
            raise finding.error
        if not finding.listed:
            log.warning("%s", finding.message)


def attempt(where: str, code: str | None, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Reading[T | None]:
    """What ``read`` returns; a DataError that it raises is yielded as a finding, and None is returned."""
    try:
        return read(*args, **kwargs)
    except DataError as error:
        yield Finding(where, error, code)
    return None


def only_strictly(where: str, check: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> Reading[None]:
    """A ``check`` that `data check` makes later, in more detail."""
    try:
        check(*args, **kwargs)
    except DataError as error:
        yield Finding(where, error, listed=False)


def is_there(folder: Path, file: str, role: str) -> Reading[bool]:
    """Whether the file can be read; ``role`` says in the error what it should hold."""
    try:
        require_file(folder / file, role)
    except MissingFileError as error:
        must_not_be_read = error.__cause__ is not None
        yield Finding(file, error, message="" if must_not_be_read else f"There is no file {file} in {folder}.")
        return False
    return True


def read_features(contents: Contents, folder: Path, files: Mapping[str, str]) -> Reading[None]:
    """Map the matrix of each modality -> file into ``contents``; its values and number of rows are checked later."""
    for modality, file in files.items():
        contents.origins[modality] = file
        if not (
            yield from is_there(folder, named_file(Path(file))[0].as_posix(), role := f"the features of {modality!r}")
        ):
            continue
        values = yield from attempt(file, None, load_matrix, folder / file, role)
        if values is None:
            continue
        try:
            check_matrix(values, str(folder / file))
        except DataError as error:
            yield Finding(file, error, "wrong_dtype" if isinstance(error, FeatureFileError) else "wrong_shape")
        else:
            contents.features[modality] = values
    if not contents.n_items and not any(len(columns.items) for columns in contents.splits.values()):
        contents.n_items = max(map(len, contents.features.values()), default=0)
