"""Linear propagation."""

import torch

from recmm.nn.propagation import propagate


def test_mean_over_layers() -> None:
    matrix, x = torch.randn(4, 4), torch.randn(4, 2)
    expected = (x + matrix @ x + matrix @ matrix @ x) / 3
    assert torch.allclose(propagate(lambda y: matrix @ y, x, 2), expected, atol=1e-6)
    assert torch.equal(propagate(lambda y: matrix @ y, x, 0), x)


def test_side_by_side_equals_one_by_one() -> None:
    matrix, a, b = torch.randn(5, 5), torch.randn(5, 2), torch.randn(5, 3)
    together = propagate(lambda y: matrix @ y, torch.cat([a, b], 1), 3)
    apart = [propagate(lambda y: matrix @ y, x, 3) for x in (a, b)]
    assert torch.allclose(together, torch.cat(apart, 1), atol=1e-5)
