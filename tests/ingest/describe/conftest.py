"""A catalogue that is small enough to count by hand."""

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split

PAIRS = {"train": [(0, 0), (0, 2), (1, 1), (2, 3)], "val": [(0, 3), (1, 0)], "test": [(2, 1), (3, 2)]}


@pytest.fixture
def toy() -> MultimodalDataset:
    """4 users, 5 items; item 4 occurs nowhere, user 3 has no history, and each modality lacks something."""
    observed = np.ones((5, 2), bool)
    observed[1, 0] = observed[3, 0] = observed[3, 1] = False
    visual = np.array([[3, 4], [np.nan, 0], [0, 0], [7, 7], [3, 4]], np.float32)
    columns = {part: SplitColumns(*np.array(pairs).T) for part, pairs in PAIRS.items()}
    return assemble(
        name="toy",
        split=Split("made", "by hand"),
        splits=columns,
        n_users=4,
        n_items=5,
        features={"visual": visual, "textual": np.arange(15, dtype=np.float16).reshape(5, 3)},
        observed=observed,
    )
