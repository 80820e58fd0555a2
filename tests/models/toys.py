"""The small catalogue that the tests of several methods share."""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView
from recmm.models.base import Recommender

DIMS = {"visual": 5, "textual": 3}
N_USERS, N_ITEMS = 4, 12
USERS = torch.tensor([0, 0, 1, 1, 2, 2])  # user 3 has no history
ITEMS = torch.tensor([0, 1, 1, 2, 0, 3])
BATCH = Pairs(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 3, 0]), torch.tensor([5, 0, 1, 8]))
Module = TypeVar("Module", bound=nn.Module)


def catalog(dims: dict[str, int] = DIMS) -> Catalog:
    ids = [str(n) for n in range(N_ITEMS)]
    return Catalog(N_USERS, N_ITEMS, dims, USERS, ITEMS, ids[:N_USERS], ids)


def toy_view(seed: int = 1) -> ModalityView:
    """Item 1 lacks the first modality, item 5 both, item 7 the second."""
    mask = torch.ones(N_ITEMS, 2, dtype=torch.bool)
    mask[1, 0] = mask[5] = mask[7, 1] = False
    generator = torch.Generator().manual_seed(seed)
    features = {
        m: torch.where(mask[:, [k]], torch.randn(N_ITEMS, width, generator=generator), 0.0)
        for k, (m, width) in enumerate(DIMS.items())
    }
    return ModalityView(features, mask, f"toy{seed}")


def few_visible(n_visible: int) -> ModalityView:
    """One modality, which only the first ``n_visible`` items have."""
    mask = (torch.arange(N_ITEMS) < n_visible)[:, None]
    return ModalityView({"visual": torch.randn(N_ITEMS, 5) * mask}, mask, f"few{n_visible}")


def randomised(model: Module, deviation: float = 0.5) -> Module:
    """``model`` with weights that no initialisation makes special."""
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * deviation)
    return model


def total(terms: dict[str, Tensor]) -> Tensor:
    """The loss that is trained."""
    return torch.stack(list(terms.values())).sum()


def check_gradients(model: Recommender, batch: Pairs, view: ModalityView) -> None:
    """Every parameter has a gradient of numbers that are not all zero."""
    total(model.losses(batch, view)).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any(), name


def check_finite_step(model: Recommender, batch: Pairs, view: ModalityView) -> None:
    """Every loss term is a number, and every parameter has a gradient of numbers."""
    terms = model.losses(batch, view)
    total(terms).backward()
    assert all(x.isfinite() for x in terms.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def check_views_apart(model: Recommender) -> None:
    """What a method derives from one view is not used for another, and still there for the first."""
    users = torch.arange(N_USERS)
    first = model.score(users, toy_view())
    assert not torch.allclose(model.score(users, toy_view(seed=9)), first, atol=1e-3)
    assert torch.equal(model.score(users, toy_view()), first)


def numpy_adjacency() -> np.ndarray:
    """D^-1/2 A D^-1/2 of the toy catalogue's user-item graph."""
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    degrees = np.maximum(a.sum(1), 1)
    normalised: np.ndarray = a / np.sqrt(degrees[:, None] * degrees)
    return normalised


def numpy_bpr(nodes: np.ndarray) -> float:
    """Of ``BATCH``."""
    users, items, negatives = (x.numpy() for x in BATCH[:3])
    margins = (nodes[users] * (nodes[N_USERS + items] - nodes[N_USERS + negatives])).sum(1)
    return float(np.log1p(np.exp(-margins)).mean())


def numpy_ego_l2(ego: np.ndarray) -> float:
    """1/2 ||ego embeddings of ``BATCH``||^2 / its size."""
    users, items, negatives = (x.numpy() for x in BATCH[:3])
    return float((ego[np.concatenate([users, N_USERS + items, N_USERS + negatives])] ** 2).sum() / 2 / len(users))


def numpy_info_nce(anchors: np.ndarray, candidates: np.ndarray, positives: np.ndarray, temperature: float) -> float:
    """-log softmax of the cosines, anchor by anchor; zero rows have cosine 0."""
    unit, others = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (anchors, candidates))
    exponentials = np.exp(unit @ others.T / temperature)
    return float(-np.log(exponentials[np.arange(len(anchors)), positives] / exponentials.sum(1)).mean())
