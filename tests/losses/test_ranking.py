"""BPR against its definition."""

import math

import pytest
import torch

from recmm.losses import bpr, bpr_of


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_bpr_is_stable_and_averages_over_the_batch() -> None:
    assert bpr(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0])).item() == pytest.approx(math.log(2))
    assert bpr(torch.tensor([-200.0]), torch.tensor([200.0])).item() == pytest.approx(400)
    positives, negatives = torch.randn(7, 2), torch.randn(7, 2)
    columns = torch.stack([bpr(positives[:, m], negatives[:, m]) for m in range(2)])
    assert torch.allclose(bpr(positives, negatives), columns)
    assert torch.allclose(columns, -torch.sigmoid(positives - negatives).log().mean(0), atol=1e-6)


def test_bpr_of_embeddings_takes_inner_products() -> None:
    u, i, j = torch.randn(3, 7, 4)
    expected = -torch.sigmoid(torch.stack([u[b] @ i[b] - u[b] @ j[b] for b in range(7)])).log().mean()
    assert torch.allclose(bpr_of(u, i, j), expected)
