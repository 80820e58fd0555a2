"""A piece of a catalogue keeps ids, features and splits together."""

import dataclasses

import numpy as np

from recmm.data.dataset import Interactions, MultimodalDataset
from recmm.data.excerpt import excerpt


def labelled(dataset: MultimodalDataset, split: str) -> set[tuple[str, str]]:
    pairs = dataset.splits[split]
    return {(dataset.user_ids[u], dataset.item_ids[i]) for u, i in zip(pairs.users, pairs.items, strict=True)}


def test_pairs_and_features_stay_with_their_labels(tiny_dataset: MultimodalDataset) -> None:
    piece = excerpt(tiny_dataset, n_users=10, n_items=5)
    assert 5 <= piece.n_users <= 10 and 5 <= piece.n_items < tiny_dataset.n_items
    for split in ("train", "val", "test"):
        whole = {pair for pair in labelled(tiny_dataset, split) if pair[0] in piece.user_ids}
        assert labelled(piece, split) == whole  # all pairs of its users
    for item, label in enumerate(piece.item_ids):
        before = tiny_dataset.item_ids.index(label)
        assert np.array_equal(piece.features.observed[item], tiny_dataset.features.observed[before])
        for modality, values in piece.features.values.items():
            assert np.array_equal(values[item], tiny_dataset.features.values[modality][before], equal_nan=True)


def test_the_most_popular_items_fill_up(tiny_dataset: MultimodalDataset) -> None:
    piece = excerpt(tiny_dataset, n_users=2, n_items=20)
    popular = np.argsort(-tiny_dataset.train.item_counts(), kind="stable")[:20]
    assert {tiny_dataset.item_ids[item] for item in popular} <= set(piece.item_ids)


def test_users_without_a_history_are_left_out(tiny_dataset: MultimodalDataset) -> None:
    train = tiny_dataset.train
    kept = train.users >= 10
    without = dataclasses.replace(
        tiny_dataset, train=Interactions(train.users[kept], train.items[kept], train.n_users, train.n_items)
    )
    piece = excerpt(without, n_users=20)
    assert piece.n_users > 0 and not set(piece.user_ids) & set(tiny_dataset.user_ids[:10])
