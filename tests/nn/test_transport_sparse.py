"""The parts of sparse transport that only large or real clouds show: neighbour search and quality on TikTok."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.dataset import Split
from recmm.data.formats import read_matrices
from recmm.graph import mean_over_items, mean_over_users
from recmm.nn import neighbours
from recmm.nn.transport import TransportSettings, solve

ITEMS = 2_000


@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_quality_of_the_default_on_real_items(rate: float, real_data: Path) -> None:
    """At initialisation: two-hop means of projected features, hidden entries filled with the mean (CI2MG Eq. 1)."""
    files = {"visual": "image_feat.npy", "acoustic": "audio_feat.npy"}
    dataset = read_matrices(real_data / "tiktok", name="tiktok_va", split=Split("released", "as is"), features=files)
    catalog = dataset.catalog()
    generator = torch.Generator().manual_seed(0)
    cold = catalog.item_counts()[:, None] == 0
    chosen = torch.randperm(catalog.n_items, generator=generator)[:ITEMS]
    clouds = []
    for values in dataset.features.values.values():
        x = torch.tensor(values).float()
        hidden = torch.rand(len(x), generator=generator) < rate
        x = torch.where(hidden[:, None], x[~hidden].mean(0), x)
        projected = x @ torch.nn.init.xavier_uniform_(torch.empty(x.shape[1], 64), generator=generator)
        means = mean_over_users(catalog)(mean_over_items(catalog)(projected))
        clouds.append(torch.where(cold, projected, means)[chosen])
    source, target = clouds

    dense, sparse = (solve(source, target, TransportSettings(method=method)) for method in ("dense", "sparse"))
    exact = dense.apply(target)

    def cosine(generated: Tensor) -> float:
        return float(F.cosine_similarity(generated - generated.mean(0), exact - exact.mean(0)).mean())

    for plan in (dense, sparse):
        assert plan.marginal_error <= 1e-3 and plan.perplexity == pytest.approx(32, rel=0.1)
    assert cosine(sparse.apply(target)) >= 0.94 > 0.5 > cosine(target)  # what the identity plan generates
    assert len(sparse.tensors()["values"]) <= 100 * ITEMS


def test_neighbours_are_exact_on_small_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    queries, points = torch.randn(70, 5, generator=generator), torch.randn(90, 5, generator=generator)
    wanted = torch.cdist(queries, points).topk(7, largest=False).indices.sort(1).values
    assert torch.equal(neighbours.nearest(queries, points, 7).sort(1).values, wanted)
    monkeypatch.setattr(neighbours, "CHUNK", 200)
    assert torch.equal(neighbours.nearest(queries, points, 7).sort(1).values, wanted)


def test_neighbours_are_nearly_exact_among_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(30, 8, generator=generator)
    points, queries = (
        centres[torch.randint(30, (n,), generator=generator)] + torch.randn(n, 8, generator=generator)
        for n in (3_000, 400)
    )
    monkeypatch.setattr(neighbours, "EXACT", 500)
    monkeypatch.setattr(neighbours, "CANDIDATES", 1_000)
    monkeypatch.setattr(neighbours, "CELL", 64)
    found = neighbours.nearest(queries, points, 20)
    assert found.sort(1).values.diff(dim=1).min() > 0  # no point twice
    wanted = torch.cdist(queries, points).topk(20, largest=False).indices
    hits = (found[:, :, None] == wanted[:, None]).any(1).float().mean()
    assert hits > 0.9


def test_cells_hold_more_equal_points_than_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 50)
    monkeypatch.setattr(neighbours, "CANDIDATES", 60)
    monkeypatch.setattr(neighbours, "CELL", 16)
    points = torch.zeros(200, 3)
    points[150:] = torch.arange(50.0)[:, None]
    found = neighbours.nearest(points, points, 10)
    assert found.sort(1).values.diff(dim=1).min() > 0
    assert (points[found[:150]] == 0).all()
