"""The files to download are those that runs read."""

import importlib
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from recmm.data.sources import ORIGINS
from recmm.experiment.config.folder import config_folder
from recmm.ingest.download.command import Dataset
from recmm.ingest.download.dataset_files import dataset_files


def test_files_and_folders_are_those_of_the_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The choice's class would look for the same origin, and every pinned file has a use."""
    assert [dataset.value for dataset in Dataset] == list(ORIGINS)
    for dataset in ORIGINS:
        for choice in dataset_files(dataset, data=tmp_path):
            keys = OmegaConf.load(config_folder() / "dataset" / f"{choice.name}.yaml")
            module, _, name = keys._target_.rpartition(".")
            assert getattr(importlib.import_module(module), name).origins[choice.split] is choice.origin
            assert set(choice.origin.files) <= set(choice.files)
            assert choice.folder.parent == tmp_path
    monkeypatch.delenv("RECMM_DATA", raising=False)
    assert dataset_files("tiktok")[0].folder == Path("data/tiktok")
    monkeypatch.setenv("RECMM_DATA", "/somewhere")
    assert dataset_files("tiktok")[0].folder == Path("/somewhere/tiktok")
