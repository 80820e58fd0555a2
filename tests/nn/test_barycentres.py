"""Eq. 9 of CI2MG against dense matrices, in both forms of the adjustable transport."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recmm.nn import barycentres
from recmm.nn.barycentres import Barycentres, DeltaSettings
from recmm.nn.couplings import Plans
from recmm.nn.transport import TransportSettings, solve

N, M, D = 20, 3, 5


@pytest.fixture
def q() -> Tensor:
    return torch.randn(N, M, D, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def plans(q: Tensor) -> Plans:
    settings = TransportSettings(method="dense", perplexity=4.0)
    return {(a, b): solve(q[:, a], q[:, b], settings) for a, b in ((0, 1), (0, 2), (1, 2))}


@pytest.mark.parametrize("kind", ["lowrank", "auto"])
def test_equals_the_formula_with_every_matrix_formed(kind: Any, q: Tensor, plans: Plans) -> None:
    torch.manual_seed(0)
    block = Barycentres(M, N, DeltaSettings(kind=kind, rank=2))
    assert (block.right is None) == (kind == "auto")
    plain = block(q, plans)
    with torch.no_grad():
        block.left.normal_(std=0.1)
    out, k = block(q, plans), 0
    for m in range(M):
        transported, adjusted = torch.zeros(N, D), torch.zeros(N, D)
        for other in range(M):
            if other == m:
                continue
            t = plans[m, other].apply(torch.eye(N)) if m < other else plans[other, m].apply(torch.eye(N)).T
            delta = block.left[k] if block.right is None else block.left[k] @ block.right[k].T
            transported += t @ q[:, other] / (M - 1)
            adjusted += (t + delta) @ q[:, other] / (M - 1)
            k += 1
        torch.testing.assert_close(plain[:, m], transported, rtol=1e-4, atol=1e-5)  # dT starts at zero
        torch.testing.assert_close(out[:, m], adjusted, rtol=1e-4, atol=1e-5)


def test_the_matrix_is_factored_where_it_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barycentres, "DENSE_UP_TO", N - 1)
    assert Barycentres(2, N, DeltaSettings(kind="auto", rank=3)).left.shape == (2, N, 3)
    assert Barycentres(2, N - 1, DeltaSettings(kind="auto", rank=3)).left.shape == (2, N - 1, N - 1)


def test_a_gradient_reaches_both_factors_after_one_step(q: Tensor, plans: Plans) -> None:
    torch.manual_seed(0)
    block = Barycentres(M, N, DeltaSettings())
    assert block.right is not None
    block(q, plans).square().sum().backward()
    assert block.left.grad is not None and block.left.grad.any()
    assert block.right.grad is not None and not block.right.grad.any()  # its factor is zero at the start
    with torch.no_grad():
        block.left -= 0.01 * block.left.grad
    block(q, plans).square().sum().backward()
    assert block.right.grad.any()
