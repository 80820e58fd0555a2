"""Unit rows, and what happens where there is no direction."""

import torch
import torch.nn.functional as F

from recmm.nn.rows import centred, unit_rows


def test_equals_normalize_where_rows_have_a_direction() -> None:
    x = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(unit_rows(x), F.normalize(x, dim=2))
    assert torch.autograd.gradcheck(unit_rows, (x,))


def test_zero_rows_stay_zero_and_pass_no_gradient() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    out = unit_rows(x)
    assert out.tolist()[0] == [0, 0]
    (out * torch.tensor([1.0, 2.0])).sum().backward()
    assert x.grad is not None and x.grad[0].tolist() == [0, 0] and x.grad[1].any() and x.grad.isfinite().all()


def test_centring_takes_the_mean_of_visible_rows() -> None:
    x = torch.tensor([[1.0, 5.0], [3.0, 7.0], [2.0, 6.0]])
    assert centred(x, torch.tensor([True, True, False])).tolist() == [[-1, -1], [1, 1], [0, 0]]
    assert torch.equal(centred(x, torch.zeros(3, dtype=torch.bool)), x)
