"""InfoNCE against closed forms, naive loops and autograd."""

import math
from collections.abc import Callable
from functools import partial
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.losses import chunked_info_nce, info_nce, mutual_info_nce, pairwise_info_nce

InfoNCE = Callable[[Tensor, Tensor, float], Tensor]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


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
    for function in (info_nce, partial(chunked_info_nce, limit=limit)):
        a, c = anchors.clone().requires_grad_(), candidates.clone().requires_grad_()
        loss = function(a, c, positives, temperature)
        results.append([loss.detach(), *torch.autograd.grad(loss, (a, c))])
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


@pytest.mark.parametrize("temperature", [0.01, 0.4])  # below and above where one exponential suffices
@pytest.mark.parametrize("limit", [None, 24])
def test_an_excluded_candidate_is_none(temperature: float, limit: int | None) -> None:
    """Two views of the same nodes: all of both are candidates, but for the anchor itself."""
    anchors, others = torch.randn(2, 7, 4, dtype=torch.float64, requires_grad=True)
    positives, cosines = torch.arange(7), []
    for other in (others, anchors):
        cosines.append(F.normalize(anchors, dim=1) @ F.normalize(other, dim=1).T / temperature)
    cosines[1] = cosines[1].masked_fill(torch.eye(7, dtype=torch.bool), -torch.inf)
    naive = F.cross_entropy(torch.cat(cosines, 1), positives)
    both = torch.cat([others, anchors])
    value = chunked_info_nce(anchors, both, positives, temperature, excluded=7 + positives, limit=limit)
    assert torch.allclose(value, naive)
    inputs = (anchors, others)
    for ours, theirs in zip(torch.autograd.grad(value, inputs), torch.autograd.grad(naive, inputs), strict=True):
        assert torch.allclose(ours, theirs)


def test_mutual_info_nce_has_the_other_nodes_of_both_views_as_negatives() -> None:
    a, b = torch.randn(2, 5, 4, dtype=torch.float64).unbind()
    total = 0.0
    for i in range(5):
        against = [math.exp(F.cosine_similarity(a[i], b[j], dim=0) / 0.5) for j in range(5)]
        own = [math.exp(F.cosine_similarity(a[i], a[j], dim=0) / 0.5) for j in range(5) if j != i]
        total += -math.log(against[i] / sum(against + own)) / 5
    assert mutual_info_nce(a, b, 0.5).item() == pytest.approx(total)
    assert torch.autograd.gradcheck(partial(mutual_info_nce, temperature=0.5), (a.requires_grad_(), b))
