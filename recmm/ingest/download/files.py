"""The files that the known datasets need, read from ``conf/dataset``: what runs ask for is what is downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recmm.data.files.fetch import RemoteFile, difference
from recmm.data.sources import ORIGINS, Origin
from recmm.errors import ConfigError, DataError
from recmm.experiment.config.folder import config_folder

VERIFIED, PRESENT, ABSENT, WRONG = "verified", "there, no digest to compare", "absent", "not the pinned file"


@dataclass(frozen=True)
class Choice:
    """One choice of ``conf/dataset``.

    Attributes:
        name: as in ``dataset=NAME``.
        split: which of the circulating splits it is.
        folder: where its files lie.
        files: their names, relative to ``folder``.
        origin: where they come from.
    """

    name: str
    split: str
    folder: Path
    files: tuple[str, ...]
    origin: Origin

    def state(self, file: str) -> tuple[str, str]:
        """One of the four words above, and where the file is not the pinned one, in what it differs.

        Raises:
            DataError: the file cannot be read.
        """
        path, remote = self.folder / file, self.remote(file)
        if not path.is_file():
            return ABSENT, ""
        if remote is None or remote.zipped:  # the digest is the archive's
            return PRESENT, ""
        try:
            problem = difference(path, remote)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions.") from error
        return (WRONG, problem) if problem else (VERIFIED, "")

    def remote(self, file: str) -> RemoteFile | None:
        """The file's pinned source, where there is one."""
        return self.origin.files.get(file)

    def missing(self) -> list[str]:
        """Which of the files are not there."""
        return [file for file in self.files if not (self.folder / file).is_file()]


def choices(dataset: str, *, split: str | None = None, data: Path | None = None) -> list[Choice]:
    """The choices of ``conf/dataset`` that hold this dataset, or the one in this split.

    Args:
        dataset: a key of ``sources.ORIGINS``.
        data: the folder that holds the datasets' folders; None for the runs' own, RECMM_DATA or ``data``.
    Raises:
        ConfigError: the dataset has no such split.
    """
    found = [_choice(name, origin, data) for name, origin in ORIGINS[dataset].items()]
    chosen = [choice for choice in found if split in (None, choice.split)]
    if not chosen:
        splits = ", ".join(choice.split for choice in found)
        raise ConfigError(f"--split {split} is unknown to {dataset}; it circulates as: {splits}.")
    return chosen


def _choice(name: str, origin: Origin, data: Path | None) -> Choice:
    conf = config_folder()
    paths = OmegaConf.load(conf / "paths" / "default.yaml") if data is None else {"data": str(data)}
    dataset = OmegaConf.load(conf / "dataset" / f"{name}.yaml")
    content: Any = OmegaConf.to_container(OmegaConf.create({"paths": paths, "dataset": dataset}), resolve=True)
    keys = content["dataset"]
    return Choice(name, keys["split"], Path(keys["folder"]), tuple(_files(**keys)), origin)


def _files(
    *, interactions: str | dict[str, str], features: dict[str, str], labels: list[str] | None, **_: object
) -> list[str]:
    tables = [interactions] if isinstance(interactions, str) else interactions.values()
    return [*tables, *features.values(), *(labels or ())]
