"""k-means for prototypes."""

import pytest
import torch

from recmm.nn.clusters import kmeans


def test_finds_well_separated_clusters() -> None:
    torch.manual_seed(0)
    corners = torch.tensor([[10.0, 0.0], [-10.0, 0.0], [0.0, 10.0]])
    points = corners.repeat_interleave(20, 0) + 0.1 * torch.randn(60, 2)
    centres = kmeans(points, 3)
    expected = points.view(3, 20, 2).mean(1)
    assert torch.cdist(expected, centres).min(1).values.max() < 1e-5


def test_centres_are_means_of_their_members() -> None:
    torch.manual_seed(0)
    points = torch.randn(200, 3)
    centres = kmeans(points, 5, n_iterations=100)
    members = torch.cdist(points, centres).argmin(1)
    means = torch.stack([points[members == k].mean(0) for k in range(5)])
    torch.testing.assert_close(centres, means)


def test_draws_from_the_global_generator() -> None:
    points = torch.randn(50, 3)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(kmeans(points, 7))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


@pytest.mark.parametrize("points", [torch.ones(4, 2), torch.zeros(3, 2), torch.tensor([[1.0, 2.0]])])
def test_more_clusters_than_distinct_points_gives_distinct_centres(points: torch.Tensor) -> None:
    torch.manual_seed(0)
    centres = kmeans(points, 6)
    assert torch.isfinite(centres).all()
    assert len(torch.unique(centres, dim=0)) >= 5
    assert (centres - points[0]).abs().max() < 1


def test_no_point_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        kmeans(torch.empty(0, 2), 2)
