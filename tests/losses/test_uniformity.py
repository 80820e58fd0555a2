"""Alignment and uniformity: definitions written out, and the values known from geometry."""

import math

import pytest
import torch
import torch.nn.functional as F

from recmm.losses import alignment, uniformity


def test_definitions_written_out() -> None:
    a, b = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).unbind()
    x, y = F.normalize(a), F.normalize(b)
    squares = [float((p - q) @ (p - q)) for p, q in zip(x, y, strict=True)]
    assert alignment(a, b).item() == pytest.approx(sum(squares) / 6, rel=1e-5)
    mean = sum(math.exp(-2 * float((x[i] - x[j]) @ (x[i] - x[j]))) for i in range(6) for j in range(i)) / 15
    assert uniformity(a).item() == pytest.approx(math.log(mean), rel=1e-5)
    assert torch.allclose(uniformity(7 * a), uniformity(a), rtol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_a_regular_simplex(n: int) -> None:
    rows = torch.eye(n) - 1 / n
    assert uniformity(rows).item() == pytest.approx(-4 * n / (n - 1), rel=1e-5)


def test_equal_rows_and_a_single_one_have_uniformity_zero() -> None:
    assert uniformity(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.ones(1, 3)) == 0
    assert alignment(torch.ones(5, 3), 2 * torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-6)
