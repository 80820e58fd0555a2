"""What a checkpoint is read into, and what is refused."""

import shutil
from pathlib import Path

import pytest
import torch

from recmm.deploy.checkpoint import read_deployed
from recmm.errors import CheckpointError
from recmm.experiment.checkpoints import write_checkpoint


def test_a_folder_and_its_best_checkpoint_are_the_same(finished: Path) -> None:
    folder, file = read_deployed(finished), read_deployed(finished / "checkpoints" / "best.ckpt")
    assert folder.path == file.path and folder.name == "VBPR"
    assert folder.catalog.user_ids[0] == "user0" and folder.tensors["users"].shape[0] == folder.catalog.n_users
    assert all(torch.equal(folder.tensors[name], file.tensors[name]) for name in ("users", "items"))


def test_what_is_no_run_is_refused(tmp_path: Path, finished: Path) -> None:
    with pytest.raises(CheckpointError, match="neither the folder of a run"):
        read_deployed(tmp_path)
    flipped = tmp_path / "flipped.ckpt"
    shutil.copy(finished / "checkpoints" / "best.ckpt", flipped)
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        read_deployed(flipped)
    write_checkpoint({"catalog": {}}, tmp_path / "half.ckpt")
    with pytest.raises(CheckpointError, match="holds no deployed and no method"):
        read_deployed(tmp_path / "half.ckpt")
