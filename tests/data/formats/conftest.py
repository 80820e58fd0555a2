"""A small catalogue, in every layout the same."""

from pathlib import Path

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split

SPLIT = Split("toy", "By hand.")
PAIRS = {"train": [(0, 0), (0, 2), (1, 1), (2, 3)], "val": [(0, 3), (1, 0)], "test": [(2, 1), (3, 4)]}
N_USERS, N_ITEMS = 4, 5


@pytest.fixture
def features() -> dict[str, np.ndarray]:
    return {
        "visual": np.arange(15, dtype=np.float32).reshape(N_ITEMS, 3),
        "text": np.linspace(0, 1, 10).astype(np.float16).reshape(N_ITEMS, 2),
    }


@pytest.fixture
def feature_folder(tmp_path: Path, features: dict[str, np.ndarray]) -> Path:
    """A folder with visual.npy and text.npy."""
    for modality, values in features.items():
        np.save(tmp_path / f"{modality}.npy", values)
    return tmp_path


@pytest.fixture
def catalogue(features: dict[str, np.ndarray]) -> MultimodalDataset:
    """What every layout of this catalogue has to read as."""
    columns = {part: SplitColumns(*np.array(pairs).T) for part, pairs in PAIRS.items()}
    return assemble(
        name="toy",
        split=SPLIT,
        splits=columns,
        n_users=N_USERS,
        n_items=N_ITEMS,
        features=features,
    )
