"""A catalogue by hand, of which a test changes one part."""

from typing import Any

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split

N_USERS, N_ITEMS = 4, 5
TEXT = np.arange(10, dtype=np.float32).reshape(N_ITEMS, 2)
IMAGE = np.ones((N_ITEMS, 3), np.float16)
OBSERVED = np.array([[1, 1], [1, 0], [0, 1], [1, 1], [0, 0]], bool)


def columns(*pairs: tuple[int, int], **more: Any) -> SplitColumns:
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return SplitColumns(users, items, **more)


def build(**changes: Any) -> MultimodalDataset:
    """Three users with history, one without, two cold items; the pairs in no order."""
    splits = {
        "train": columns((2, 1), (0, 2), (0, 0), (1, 1), source="train.tsv"),
        "val": columns((0, 3), source="val.tsv"),
        "test": columns((3, 0), (1, 4), source="test.tsv"),
    }
    arguments: dict[str, Any] = {
        "name": "toy",
        "split": Split("toy", "By hand."),
        "splits": {part: changes.pop(part, given) for part, given in splits.items()},
        "n_users": N_USERS,
        "n_items": N_ITEMS,
        "features": {"text": TEXT, "image": IMAGE},
        "observed": OBSERVED,
        "user_ids": ["u0", "u1", "u2", "u3"],
        "item_ids": ["a", "b", "c", "d", "e"],
        "feature_sources": {"text": "text.npy"},
    }
    return assemble(**(arguments | changes))
