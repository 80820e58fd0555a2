"""Task-guided generation and its reconstruction, against plain forms of Eq. 11 and 12 of CI2MG."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.nn.guided import GuidanceSettings, GuidedGeneration

N, M, D = 12, 2, 4


def build(n_views: int = 2, **values: Any) -> GuidedGeneration:
    torch.manual_seed(0)
    return GuidedGeneration(N, M, D, n_views, GuidanceSettings(**values))


def views(n: int = 2) -> list[Tensor]:
    return list(torch.randn(n, N, M, D, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("n_views", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("item_bias", [False, True])
@pytest.mark.parametrize("act", ["leaky", "sigmoid"])
def test_equals_the_formula(n_views: int, shared: bool, item_bias: bool, act: Any) -> None:
    block = build(n_views, shared=shared, item_bias=item_bias, act=act)
    assert len(block.weight) == (1 if shared else M) and (block.item_bias is not None) == item_bias
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    given = views(n_views)
    z = block(given)
    for m in range(M):
        x = torch.cat([view[:, m] for view in given], 1) @ block.weight[0 if shared else m]
        if block.item_bias is not None:
            x = x + block.item_bias[:, m]
        x = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() * block.scale[m] + block.shift[m]
        expected = torch.sigmoid(x) if act == "sigmoid" else F.leaky_relu(x, 0.2)
        torch.testing.assert_close(z[:, m], expected, rtol=1e-4, atol=1e-5)


def test_evaluation_normalises_by_the_same_statistics_as_training() -> None:
    block = build()
    assert torch.equal(block.train()(views()), block.eval()(views()))


@pytest.mark.parametrize("target", ["standard", "projected"])
def test_reconstruction_is_of_visible_entries(target: Any) -> None:
    block, (z, known) = build(target=target), views()
    mask = torch.ones(N, M, dtype=torch.bool)
    mask[:5, 0] = False
    z.requires_grad_(), known.requires_grad_()
    loss = block.reconstruction(z, known, mask)
    expected = 0.0
    for m in range(M):
        wanted = known[mask[:, m], m]
        if target == "standard":
            wanted = (wanted - wanted.mean(0)) / (wanted.var(0, correction=0) + 1e-5).sqrt()
        expected += (z[mask[:, m], m] - wanted).square().mean().item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert z.grad is not None and z.grad[mask].any(1).all() and not z.grad[~mask].any()
    assert (known.grad is not None) == (target == "projected")


def test_a_modality_that_nothing_shows_is_left_out() -> None:
    block, (z, known) = build(), views()
    mask = torch.ones(N, M, dtype=torch.bool)
    mask[:, 1] = False
    assert torch.equal(block.reconstruction(z, known, mask), block.reconstruction(z[:, :1], known[:, :1], mask[:, :1]))
    assert block.reconstruction(z, known, torch.zeros_like(mask)) == 0
