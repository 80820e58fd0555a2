"""The files that known datasets need, read from ``conf/dataset``: the same files that runs read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recmm.data.files.fetch import RemoteFile, difference
from recmm.data.sources import ORIGINS, Origin
from recmm.errors import ConfigError, DataError
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import register_resolvers

VERIFIED, PRESENT, ABSENT, WRONG = "verified", "present, no digest to compare", "absent", "not the pinned file"


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one YAML of ``conf/dataset``.

    Attributes:
        name: as in ``dataset=NAME``.
        split: name of the split; several splits of a dataset circulate.
        folder: the folder of its files.
        files: their names, relative to ``folder``.
        origin: where they can be obtained.
    """

    name: str
    split: str
    folder: Path
    files: tuple[str, ...]
    origin: Origin

    def state(self, file: str) -> tuple[str, str]:
        """One of the four states above; with WRONG also how the file differs from the pinned one, else "".

        Raises:
            DataError: the file cannot be read.
        """
        path, remote = self.folder / file, self.remote(file)
        if not path.is_file():
            return ABSENT, ""
        if remote is None or remote.zipped:  # the pinned digest is that of the archive
            return PRESENT, ""
        try:
            problem = difference(path, remote)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions.") from error
        return (WRONG, problem) if problem else (VERIFIED, "")

    def remote(self, file: str) -> RemoteFile | None:
        """The pinned source of the file; None if it has none."""
        return self.origin.files.get(file)

    def missing(self) -> list[str]:
        """The names of the files that do not exist."""
        return [file for file in self.files if not (self.folder / file).is_file()]


def dataset_files(dataset: str, *, split: str | None = None, data: Path | None = None) -> list[DatasetFiles]:
    """The files of a dataset, for each split in ``conf/dataset`` or only for ``split``.

    Args:
        dataset: a key of ``sources.ORIGINS``.
        data: the folder for all datasets; None: that of the runs, RECMM_DATA or ``data``.
    Raises:
        ConfigError: the dataset has no such split.
    """
    found = [_choice(name, origin, data) for name, origin in ORIGINS[dataset].items()]
    chosen = [choice for choice in found if split in (None, choice.split)]
    if not chosen:
        splits = ", ".join(choice.split for choice in found)
        raise ConfigError(f"--split {split}: {dataset} has no such split; expected one of {splits}.")
    return chosen


def _choice(name: str, origin: Origin, data: Path | None) -> DatasetFiles:
    conf = config_folder()
    register_resolvers()
    paths = OmegaConf.load(conf / "paths" / "default.yaml") if data is None else {"data": str(data)}
    dataset = OmegaConf.load(conf / "dataset" / f"{name}.yaml")
    content: Any = OmegaConf.to_container(OmegaConf.create({"paths": paths, "dataset": dataset}), resolve=True)
    keys = content["dataset"]
    return DatasetFiles(name, keys["split"], Path(keys["folder"]), tuple(_files(**keys)), origin)


def _files(
    *, interactions: str | dict[str, str], features: dict[str, str], labels: list[str] | None, **_: object
) -> list[str]:
    tables = [interactions] if isinstance(interactions, str) else interactions.values()
    return [*tables, *features.values(), *(labels or ())]
