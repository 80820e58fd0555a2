"""Fixtures that every part's tests share."""

import os
from pathlib import Path

import pytest

from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real datasets; they may not be redistributed, so they are not in the repository."""
    folder = Path(os.environ.get("RECMM_DATA", "data"))
    if not (folder / "tiktok").is_dir():
        pytest.skip("no real data: set RECMM_DATA to the folder that holds tiktok/, amazon_baby/, ...")
    return folder.resolve()


@pytest.fixture(scope="session")
def tiny_dataset() -> MultimodalDataset:
    """60 users x 40 items with three modalities and natural gaps."""
    return synthetic(n_users=60, n_items=40, seed=0)
