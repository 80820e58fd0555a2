"""Masks: validation, digest, file, and the rates by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmm.errors import DataError, MissingFileError
from recmm.missing.masks import TEST_ITEMS_SENTENCE, Masks, PhaseDraw
from recmm.missing.settings import TrainTest

OPEN = np.ones((4, 2), bool)


def masks(**changes: Any) -> Masks:
    return Masks(**({"modalities": ("v", "a"), "train": OPEN, "val": OPEN, "test": OPEN} | changes))


def test_digest_sees_every_array_and_name_and_nothing_else() -> None:
    closed = OPEN.copy()
    closed[2, 1] = False
    variants = [masks(), masks(train=closed), masks(val=closed), masks(test=closed), masks(modalities=("v", "t"))]
    assert len({m.digest for m in variants}) == len(variants)
    assert masks(rates=[{"phase": "train"}], provenance={"seed": 3}).digest == masks().digest
    # no modality: the number of items still tells the masks apart
    assert len({Masks((), *[np.ones((n, 0), bool)] * 3).digest for n in (3, 4)}) == 2


def test_masks_are_read_only_and_checked() -> None:
    with pytest.raises(ValueError, match="read-only"):
        masks().train[0, 0] = False
    with pytest.raises(DataError, match=r"val mask .* expected bool of shape \(4, 2\)"):
        masks(val=np.ones((4, 3), bool))
    with pytest.raises(DataError, match="test mask is int64"):
        masks(test=np.ones((4, 2), np.int64))


def test_rates_by_hand() -> None:
    # 5 items, 2 modalities; the data lacks (4, a); items 0..3 are in scope; training hid (1, v), test's draw hides
    # (0, v), (0, a) and (1, a)
    observed = np.ones((5, 2), bool)
    observed[4, 1] = False
    drawn, carried = np.zeros((5, 2), bool), np.zeros((5, 2), bool)
    drawn[[0, 0, 1], [0, 1, 1]] = True
    carried[1, 0] = True
    draw = PhaseDraw(drawn, np.arange(5) < 4, {"items": 0.5}, carried)
    assert draw.visible(observed).astype(int).tolist() == [[0, 0], [0, 0], [1, 1], [1, 1], [1, 0]]
    items, visual, acoustic = draw.rates("test", ("v", "a"), observed)
    assert items == {
        "phase": "test", "modality": "items", "requested": 0.5, "drawn": 0.5, "total": 0.6,
        "n": 5, "n_eligible": 4, "n_drawn": 2, "n_missing": 3,
    }  # fmt: skip
    assert visual == {
        "phase": "test", "modality": "v", "requested": None, "drawn": 0.25, "total": 0.4,
        "n": 5, "n_eligible": 4, "n_drawn": 1, "n_missing": 2,
    }  # fmt: skip
    assert (acoustic["drawn"], acoustic["total"], acoustic["n_missing"]) == (0.5, 0.6, 3)


def test_summary_names_rates_and_warns_of_test_items(make_dataset: Any) -> None:
    setting = TrainTest(train_rate=0.3, test_rate=0.5, scope="phase_items")
    text = setting.draw(make_dataset(50)).summary()
    assert "requested" in text and "missing in total" in text
    assert "30.0%" in text and "12 of 40 (30.0%)" in text  # 40 of 50 items are warm
    assert "8 of 17 (47.1%)" in text and "8 of 50 (16.0%)" in text  # 17 of 50 items are tested
    assert "val, test" in text
    assert TEST_ITEMS_SENTENCE in text
    assert TEST_ITEMS_SENTENCE not in TrainTest(scope="catalogue").draw(make_dataset(50)).summary()


def test_file_round_trip(tmp_path: Path, make_dataset: Any) -> None:
    drawn = TrainTest(train_rate=0.3, scope="phase_items", seed=4).draw(make_dataset(30, gaps=0.2))
    drawn.save(tmp_path / "masks.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["masks.npz"]
    loaded = Masks.load(tmp_path / "masks.npz")
    assert loaded.digest == drawn.digest
    assert (loaded.test == drawn.test).all()
    assert (loaded.rates, loaded.provenance) == (drawn.rates, drawn.provenance)
    assert loaded.sees_test_items and loaded.modalities == drawn.modalities


def test_file_without_modalities(tmp_path: Path, make_dataset: Any) -> None:
    drawn = TrainTest().draw(make_dataset(30, modalities=()))
    drawn.save(tmp_path / "masks.npz")
    assert Masks.load(tmp_path / "masks.npz").digest == drawn.digest


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.npz"
    with pytest.raises(MissingFileError):
        Masks.load(path)
    masks().save(path)
    whole = path.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="not a whole mask file"):
            Masks.load(path)
    with np.load(path := _saved(tmp_path), allow_pickle=False) as archive:
        content = dict(archive)
    content["test"] = ~content["test"]
    np.savez(path, **content)
    with pytest.raises(DataError, match="digest"):
        Masks.load(path)
    content["train"] = np.array([{"an": "object"}], dtype=object)
    np.savez(path, **content)
    with pytest.raises(DataError, match="not a whole mask file"):
        Masks.load(path)


def _saved(folder: Path) -> Path:
    masks().save(folder / "other.npz")
    return folder / "other.npz"
