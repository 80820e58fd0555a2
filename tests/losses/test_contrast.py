"""The contrast of two views against its definition in loops."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.losses import contrast

N, D = 9, 4
IDS = torch.tensor([5, 2, 5, 0, 8, 2])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def textbook(a: Tensor, b: Tensor, ids: list[int], candidates: list[int], temperature: float) -> Tensor:
    """a, b: [N, D]; the mean over ``ids`` with the rows ``candidates`` of b in the denominator."""
    total = a.new_zeros(())
    for i in ids:
        logits = torch.stack([F.cosine_similarity(a[i], b[j], dim=0) for j in candidates]) / temperature
        total = total + logits.logsumexp(0) - F.cosine_similarity(a[i], b[i], dim=0) / temperature
    return total / len(ids)


@pytest.mark.parametrize("tiled", [None, False, True])
@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("among", ["batch", "all"])
def test_definition_and_gradients(among: str, unique: bool, tiled: bool | None) -> None:
    a, b = (torch.randn(N, D, dtype=torch.float64, requires_grad=True) for _ in range(2))
    ids = [5, 2, 0, 8] if unique else IDS.tolist()
    expected = textbook(a, b, ids, list(range(N)) if among == "all" else ids, 0.3)
    other = b if among == "all" else b[IDS]
    value = contrast(a[IDS], other, IDS, 0.3, among=among, unique=unique, tiled=tiled)  # type: ignore[arg-type]
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(torch.autograd.grad(value, (a, b)), torch.autograd.grad(expected, (a, b)), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("temperature", [0.01, 0.3])
@pytest.mark.parametrize("tiled", [None, False])
def test_merged_anchors_count_as_often_as_they_occur(temperature: float, tiled: bool | None) -> None:
    a, b = (torch.randn(N, D, dtype=torch.float64, requires_grad=True) for _ in range(2))
    values = [
        contrast(a[IDS], b, IDS, temperature, among="all", merged=merged, tiled=tiled) for merged in (True, False)
    ]
    torch.testing.assert_close(*values)
    for ours, theirs in zip(*(torch.autograd.grad(value, (a, b)) for value in values), strict=True):
        torch.testing.assert_close(ours, theirs)
    with pytest.raises(ValueError, match="merged needs among='all'"):
        contrast(a[IDS], b[IDS], IDS, temperature, merged=True)


def test_against_all_nodes_no_logits_are_kept() -> None:
    sizes = []

    def pack(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    a, b = torch.randn(50, 4, requires_grad=True), torch.randn(70, 4)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        contrast(a, b, torch.arange(50), 0.2, among="all")
    assert max(sizes) == 70 * 4


@pytest.mark.parametrize("unique", [False, True])
def test_a_further_negative_of_each_anchor(unique: bool) -> None:
    a, b = (torch.randn(N, D, dtype=torch.float64) for _ in range(2))
    hard = torch.randn(len(IDS), D, dtype=torch.float64)  # of two rows of a node, the first counts where it is unique
    places = [0, 1, 3, 4] if unique else range(6)
    ids = IDS.tolist()
    expected = torch.zeros((), dtype=torch.float64)
    for place in places:
        own = a[ids[place]]
        candidates = [*(b[ids[other]] for other in places), hard[place]]
        logits = torch.stack([F.cosine_similarity(own, other, dim=0) for other in candidates]) / 0.3
        expected += (logits.logsumexp(0) - F.cosine_similarity(own, b[ids[place]], dim=0) / 0.3) / len(places)
    value = contrast(a[IDS], b[IDS], IDS, 0.3, unique=unique, further=hard)
    torch.testing.assert_close(value, expected)
    with pytest.raises(ValueError, match="further needs tiled=False"):
        contrast(a[IDS], b, IDS, 0.3, among="all", further=hard)
