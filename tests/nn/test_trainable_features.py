"""Trainable raw features may not remember what a phase hides."""

import torch

from recmm.missing.view import ModalityView
from recmm.nn.trainable_features import TrainableFeatures

MASK = torch.tensor([[True, True], [False, True], [True, False]])
VIEW = ModalityView({"a": torch.ones(3, 2), "b": torch.full((3, 1), 2.0)}, MASK, "toy")


def test_hidden_rows_stay_what_the_imputer_put_there() -> None:
    raw = TrainableFeatures(3, [2, 1])
    assert all(torch.equal(x, y) for x, y in zip(raw(VIEW), VIEW.features.values(), strict=True))
    with torch.no_grad():
        for delta in raw.deltas:
            delta.fill_(5.0)
    first, second = raw(VIEW)
    assert first.tolist() == [[6, 6], [1, 1], [6, 6]] and second.tolist() == [[7], [7], [2]]
    (first.sum() + second.sum()).backward()
    assert [p.grad.any(1).tolist() for p in raw.deltas] == [[True, False, True], [True, True, False]]  # type: ignore[union-attr]


def test_untrained_features_have_no_table() -> None:
    raw = TrainableFeatures(3, [2, 1], trained=False)
    assert not list(raw.parameters()) and raw(VIEW)[0] is VIEW.features["a"]
