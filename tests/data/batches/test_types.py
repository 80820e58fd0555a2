"""Training triples, and which of their ids are new."""

import torch

from recmm.data.batches import Pairs, first_occurrences


def test_rows_of_users_positives_and_negatives_come_in_one_gather() -> None:
    batch = Pairs(torch.tensor([1, 0]), torch.tensor([0, 2]), torch.tensor([1, 1]))
    nodes = torch.arange(5.0)[:, None]  # two users, three items
    u, i, j = batch.gather(nodes, n_users=2).chunk(3)
    assert [x.flatten().tolist() for x in (u, i, j)] == [[1, 0], [2, 4], [3, 3]]


def test_first_occurrences_by_hand() -> None:
    assert first_occurrences(torch.tensor([2, 0, 2, 3, 0]), 5).tolist() == [True, True, False, True, False]
    assert first_occurrences(torch.zeros(0, dtype=torch.int64), 5).tolist() == []
