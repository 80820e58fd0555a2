"""Masked fusion: what each pooling divides by, and that it starts as a mean."""

import pytest
import torch

from recmm.nn.fusion import MaskedFusion, nonempty_masks


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_all_non_empty_masks_with_the_full_one_last() -> None:
    assert nonempty_masks(1).tolist() == [[1]]
    assert nonempty_masks(2).tolist() == [[1, 0], [0, 1], [1, 1]]
    three = nonempty_masks(3)
    assert len({tuple(mask) for mask in three.tolist()}) == len(three) == 7
    assert three.any(1).all()
    assert three[-1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("pooling", ["mean", "concat"])
def test_full_mask_starts_as_the_mean_of_the_modalities(pooling: str) -> None:
    embeddings = torch.randn(4, 3, 5)
    fusion = MaskedFusion(3, 5, pooling=pooling, dropout=0.5)  # type: ignore[arg-type]
    assert torch.allclose(fusion(embeddings, torch.ones(1, 3), drop=False)[0], embeddings.mean(1).tanh(), atol=1e-6)


def test_what_the_sum_is_divided_by() -> None:
    embeddings, one_of_two = torch.randn(4, 2, 5), torch.tensor([[1.0, 0.0]])
    divided = {
        pooling: MaskedFusion(2, 5, pooling=pooling, dropout=0.0)(embeddings, one_of_two, drop=True)[0].atanh()
        for pooling in ("mean", "concat")
    }
    assert torch.allclose(divided["mean"], embeddings[:, 0] / 2, atol=1e-4)
    assert torch.allclose(divided["concat"], embeddings[:, 0] / 2, atol=1e-4)


def test_dropout_draws_anew_for_every_mask_and_only_if_asked() -> None:
    fusion, embeddings = MaskedFusion(2, 64, pooling="mean", dropout=0.5), torch.ones(20, 2, 64)
    masks = torch.ones(2, 2)
    first, second = fusion(embeddings, masks, drop=True)
    assert not torch.equal(first, second)
    assert (first == 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    first, second = fusion(embeddings, masks, drop=False)
    assert torch.equal(first, second)
