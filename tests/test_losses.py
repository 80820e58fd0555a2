"""Losses against closed forms, naive loops and autograd."""

import math
from collections.abc import Callable
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.losses import (
    bpr,
    chunked_info_nce,
    frobenius_norm,
    gradient_variance,
    info_nce,
    irmv1_penalty,
    loss_variance,
    mean_absolute,
    mean_square,
    pairwise_info_nce,
    squared_l2,
)

InfoNCE = Callable[[Tensor, Tensor, float], Tensor]


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


def test_the_regularisers_are_what_their_names_say() -> None:
    a, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert squared_l2(a, b).item() == pytest.approx(0.5 * (25 + 2) / 2)
    assert squared_l2(a, b, batch_size=10).item() == pytest.approx(0.5 * (25 + 2) / 10)
    assert frobenius_norm(a, b).item() == pytest.approx((5 + math.sqrt(2)) / 2)


def test_means_over_elements_are_taken_tensor_by_tensor() -> None:
    a, b = torch.tensor([[1.0, -2.0], [3.0, 0.0]]), torch.tensor([[-4.0]])
    assert mean_square(a, b).item() == pytest.approx(14 / 4 + 16)
    assert mean_absolute(a, b).item() == pytest.approx(6 / 4 + 4)


def test_variance_is_unbiased_and_zero_for_one_environment() -> None:
    assert loss_variance(torch.tensor([1.0, 3.0])).item() == pytest.approx(2)
    assert loss_variance(torch.tensor([5.0])).item() == 0
    assert gradient_variance(torch.tensor([5.0], requires_grad=True), torch.ones(2)).item() == 0


def test_gradient_variance_by_hand() -> None:
    shared = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = torch.stack([shared.square().sum(), 3 * shared[0]])  # gradients (2a, 2b) and (3, 0)
    penalty = gradient_variance(losses, shared)
    assert penalty.item() == pytest.approx(2 * ((0.5**2) ** 2 + (2.0**2) ** 2))
    (gradient,) = torch.autograd.grad(penalty, shared)
    # d/da of (a - 3/2)^4 and d/db of b^4, times the two elements
    assert gradient.tolist() == pytest.approx([2 * 4 * (-0.5) ** 3, 2 * 4 * 2.0**3])


def test_irmv1_is_the_gradient_at_a_dummy_scale() -> None:
    margins = torch.randn(6, 3)
    scale = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(F.softplus(-margins * scale).mean(0).sum(), scale)
    assert torch.allclose(irmv1_penalty(margins), gradient.square().sum())


@pytest.mark.parametrize("temperature", [0.4, 1.0])
def test_info_nce_of_identical_orthogonal_views(temperature: float) -> None:
    n, high = 6, math.exp(1 / temperature)
    expected = -math.log(high / (high + n - 1))
    views = torch.eye(n) * torch.arange(1, n + 1)[:, None]  # cosines ignore lengths
    both = torch.stack([views, torch.eye(n)])
    assert pairwise_info_nce(both, temperature).item() == pytest.approx(2 * expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.01, 0.4])  # below and above where one exponential suffices
@pytest.mark.parametrize("n_views", [1, 2, 3])
def test_rows_and_columns_serve_both_directions(n_views: int, temperature: float, info_nce: InfoNCE) -> None:
    views = torch.randn(n_views, 9, 4, dtype=torch.float64, requires_grad=True)
    naive = views.new_zeros(()) + sum(info_nce(a, b, temperature) for a, b in permutations(views.unbind(), 2))
    value = pairwise_info_nce(views, temperature)
    assert torch.allclose(value, naive)
    if n_views > 1:
        for ours, theirs in zip(torch.autograd.grad(value, views), torch.autograd.grad(naive, views), strict=True):
            assert torch.allclose(ours, theirs)


def test_a_low_temperature_does_not_overflow() -> None:
    views = torch.randn(2, 9, 4)
    exact = pairwise_info_nce(views.double(), 0.01)
    assert torch.allclose(pairwise_info_nce(views, 0.01).double(), exact, rtol=1e-4)


def test_unordered_pairs_take_the_first_view_as_anchor(info_nce: InfoNCE) -> None:
    a, b, c = views = torch.randn(3, 5, 4)
    expected = info_nce(a, b, 0.4) + info_nce(a, c, 0.4) + info_nce(b, c, 0.4)
    assert torch.allclose(pairwise_info_nce(views, 0.4, pairs="unordered"), expected)


def intra(anchor: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Eq. 13 of I3-MRec as printed, in loops."""
    total = torch.zeros(())
    for i in range(len(anchor)):
        positive = F.cosine_similarity(anchor[i], other[i], dim=0) / temperature
        own = torch.stack([F.cosine_similarity(anchor[i], anchor[j], dim=0) for j in range(len(anchor))]) / temperature
        total += own.exp().sum().log() - positive
    return total / len(anchor)


def test_intra_negatives_come_from_the_anchors_own_view() -> None:
    a, b = views = torch.randn(2, 5, 4)
    unordered = pairwise_info_nce(views, 0.4, pairs="unordered", negatives="intra")
    assert torch.allclose(unordered, intra(a, b, 0.4), atol=1e-6)
    both = intra(a, b, 0.4) + intra(b, a, 0.4)
    assert torch.allclose(pairwise_info_nce(views, 0.4, negatives="intra"), both, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.2, 0.01])
@pytest.mark.parametrize("limit", [10**6, 33, 1])
def test_info_nce_in_chunks_is_info_nce(limit: int, temperature: float) -> None:
    results = []
    anchors, candidates, positives = torch.randn(10, 4).double(), torch.randn(11, 4).double(), torch.arange(10)
    for function, keywords in ((info_nce, {}), (chunked_info_nce, {"limit": limit})):
        inputs = [x.clone().requires_grad_() for x in (anchors, candidates)]
        loss = function(*inputs, positives, temperature, **keywords)
        results.append([loss.detach(), *torch.autograd.grad(loss, inputs)])
    for expected, result in zip(*results, strict=True):
        torch.testing.assert_close(result, expected)


def test_chunks_keep_no_logits() -> None:
    sizes = []

    def pack(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    anchors, candidates = torch.randn(50, 4, requires_grad=True), torch.randn(70, 4)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        chunked_info_nce(anchors, candidates, torch.arange(50), 0.2, limit=350)
    assert max(sizes) == 70 * 4
