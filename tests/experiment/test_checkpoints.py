"""A checkpoint is whole or refused in words, and a good one is never lost."""

import os
import random
from pathlib import Path

import pytest
import torch

from recmm.errors import CheckpointError
from recmm.experiment.checkpoints import (
    VerifiedCheckpoints,
    damage_of,
    newest_whole,
    place_copy,
    read_checkpoint,
    write_checkpoint,
)

CONTENT = {"epoch": 3, "state_dict": {"weight": torch.arange(60.0).reshape(6, 10)}, "names": ["a", "b"]}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_checkpoint(CONTENT, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_what_was_written_is_read_by_us_and_by_torch(checkpoint: Path) -> None:
    for content in (read_checkpoint(checkpoint), torch.load(checkpoint, weights_only=True)):
        assert content["epoch"] == 3 and content["names"] == ["a", "b"]
        assert torch.equal(content["state_dict"]["weight"], CONTENT["state_dict"]["weight"])
    assert os.listdir(checkpoint.parent) == ["last.ckpt"]


def test_every_flipped_bit_is_found(checkpoint: Path) -> None:
    whole = checkpoint.read_bytes()
    places = {0, len(whole) - 1, len(whole) - 70, len(whole) - 72, *random.Random(0).sample(range(len(whole)), 200)}
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        checkpoint.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"last\.ckpt is (damaged|cut short)"):
            VerifiedCheckpoints().load_checkpoint(checkpoint)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_checkpoint_says_so(checkpoint: Path, kept: float) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(CheckpointError, match="is empty" if kept == 0 else "is cut short"):
        read_checkpoint(checkpoint)
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(checkpoint.with_name("absent.ckpt"))


def test_the_one_before_stands_in_for_a_damaged_or_absent_last(checkpoint: Path) -> None:
    def path_of(name: str) -> Path:
        return checkpoint.with_name(f"{name}.ckpt")

    assert newest_whole(path_of) == (checkpoint, [])
    write_checkpoint(CONTENT, path_of("previous"))
    checkpoint.write_bytes(b"")
    assert newest_whole(path_of) == (path_of("previous"), ["last.ckpt is empty: it holds 0 bytes"])
    checkpoint.unlink()  # killed between the two renames
    assert newest_whole(path_of) == (path_of("previous"), [])
    path_of("previous").write_bytes(b"PK")
    found, damages = newest_whole(path_of)
    assert found is None and len(damages) == 1


def test_a_hard_link_has_the_digest_too(checkpoint: Path) -> None:
    best = checkpoint.with_name("best.ckpt")
    place_copy(checkpoint, best)
    write_checkpoint({"epoch": 4}, checkpoint)
    assert damage_of(best) is None and read_checkpoint(best)["epoch"] == 3 and read_checkpoint(checkpoint)["epoch"] == 4


def test_a_write_that_fails_leaves_the_old_one(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recmm.data.files.atomic._flush", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint({"epoch": 4}, checkpoint)
    assert read_checkpoint(checkpoint)["epoch"] == 3 and os.listdir(checkpoint.parent) == ["last.ckpt"]
