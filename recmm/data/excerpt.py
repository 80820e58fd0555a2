"""A small part of a catalogue, on which a configuration is tried in seconds."""

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import Interactions, MultimodalDataset


def excerpt(dataset: MultimodalDataset, *, n_users: int = 60, n_items: int = 300) -> MultimodalDataset:
    """The first users of validation and of test who have a training history, and their items.

    Args:
        n_users: at most that many users, half of them from each split.
        n_items: at least that many items, or all; the most popular ones fill up.

    Returns:
        A dataset of its own with dense ids and the raw labels; its numbers say nothing about the whole.
    """
    known = dataset.train.user_counts() > 0
    held_out = (np.flatnonzero(known & (pairs.user_counts() > 0)) for pairs in (dataset.val, dataset.test))
    users = np.unique(np.concatenate([found[: n_users // 2] for found in held_out]))
    theirs = np.concatenate([pairs.items[np.isin(pairs.users, users)] for pairs in dataset.splits.values()])
    popular = np.argsort(-dataset.train.item_counts(), kind="stable")[:n_items]
    items = np.union1d(theirs, popular)

    def columns(pairs: Interactions) -> SplitColumns:
        kept = np.isin(pairs.users, users)
        return SplitColumns(np.searchsorted(users, pairs.users[kept]), np.searchsorted(items, pairs.items[kept]))

    return assemble(
        name=dataset.name,
        split=dataset.split,
        splits={part: columns(pairs) for part, pairs in dataset.splits.items()},
        n_users=len(users),
        n_items=len(items),
        features={modality: values[items] for modality, values, _ in dataset.features.columns()},
        observed=dataset.features.observed[items],
        user_ids=[dataset.user_ids[user] for user in users],
        item_ids=[dataset.item_ids[item] for item in items],
    )
