"""Raw features with offsets that are learnt only where there is something to see."""

import pytest
import torch

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.nn.raw_features import RawFeatures

NONE = torch.zeros(0, dtype=torch.int64)
CATALOG = Catalog(1, 3, {"visual": 2, "textual": 1}, NONE, NONE, ["u"], list("abc"))
FEATURES = {"visual": torch.tensor([[1.0, 2], [3, 4], [5, 6]]), "textual": torch.tensor([[7.0], [8], [9]])}
MASK = torch.tensor([[True, True], [False, True], [True, False]])
VIEW = ModalityView(FEATURES, MASK, "v")


@pytest.mark.parametrize("trainable", [False, True])
def test_they_start_as_the_features(trainable: bool) -> None:
    raw = RawFeatures(CATALOG, trainable=trainable)
    assert len(list(raw.parameters())) == 2 * trainable
    for x, of_view in zip(raw(VIEW), FEATURES.values(), strict=True):
        assert torch.equal(x, of_view)
    visual, textual = raw(VIEW, torch.tensor([2, 2, 0]))
    assert visual.tolist() == [[5, 6], [5, 6], [1, 2]] and textual.tolist() == [[9], [9], [7]]


def test_offsets_count_and_learn_only_where_a_modality_is_visible() -> None:
    raw = RawFeatures(CATALOG, trainable=True)
    with torch.no_grad():
        for offset in raw.offsets:
            offset.fill_(10.0)
    visual, textual = raw(VIEW)
    assert visual.tolist() == [[11, 12], [3, 4], [15, 16]] and textual.tolist() == [[17], [18], [9]]
    (visual.sum() + textual.sum()).backward()
    assert raw.offsets[0].grad.tolist() == [[1, 1], [0, 0], [1, 1]]
    assert raw.offsets[1].grad.tolist() == [[1], [1], [0]]
    elsewhere = ModalityView(FEATURES, torch.zeros_like(MASK), "nothing is visible")
    assert all(torch.equal(x, of_view) for x, of_view in zip(raw(elsewhere), FEATURES.values(), strict=True))
