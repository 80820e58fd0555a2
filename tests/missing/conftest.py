"""Small catalogues of any shape for the tests of this folder."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split

Maker = Callable[..., MultimodalDataset]


@pytest.fixture(scope="session")
def make_dataset() -> Maker:
    """``make_dataset(n_items, modalities, gaps, seed)``: item 0 is the most popular one, the last ones are cold."""

    def make(
        n_items: int = 50, modalities: Sequence[str] = ("visual", "acoustic"), gaps: float = 0.0, seed: int = 0
    ) -> MultimodalDataset:
        rng = np.random.default_rng(seed)
        warm = max(n_items * 4 // 5, 1)
        # item i has about warm / (i + 1) training users; user 0 has all of them
        pairs = np.array([(u, i) for i in range(warm) for u in range(max(warm // (i + 1), 1))])
        n_users = int(pairs[:, 0].max()) + 3
        tested = np.arange(0, n_items, 3)
        features = {m: rng.standard_normal((n_items, 3 + k)).astype(np.float32) for k, m in enumerate(modalities)}
        observed = rng.random((n_items, len(modalities))) >= gaps
        for k, values in enumerate(features.values()):
            values[~observed[:, k]] = np.nan
        return assemble(
            name="small",
            split=Split("hand-made", "items 0, 3, 6, ... are the test items"),
            splits={
                "train": SplitColumns(pairs[:, 0], pairs[:, 1]),
                "val": SplitColumns(np.array([n_users - 2]), np.array([0])),
                "test": SplitColumns(np.full(len(tested), n_users - 1), tested),
            },
            n_users=n_users,
            n_items=n_items,
            features=features,
            observed=observed,
        )

    return make
