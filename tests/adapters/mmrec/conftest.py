"""What the tests of the adapter share: its model files are trusted, and torch has one thread."""

from collections.abc import Iterator

import pytest
import torch

from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from tests.adapters.mmrec.running import MODELS


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECMM_TRUST", str(MODELS))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def whole() -> MultimodalDataset:
    """300 users x 200 items that lack nothing."""
    return synthetic(n_users=300, n_items=200, natural_missing=0.0)
