"""Norms by hand."""

import math

import pytest
import torch

from recmm.losses import frobenius_norm, mean_absolute, mean_square, squared_l2


def test_the_regularisers_are_what_their_names_say() -> None:
    a, b = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert squared_l2(a, b).item() == pytest.approx(0.5 * (25 + 2) / 2)
    assert squared_l2(a, b, batch_size=10).item() == pytest.approx(0.5 * (25 + 2) / 10)
    assert frobenius_norm(a, b).item() == pytest.approx((5 + math.sqrt(2)) / 2)


def test_means_over_elements_are_taken_tensor_by_tensor() -> None:
    a, b = torch.tensor([[1.0, -2.0], [3.0, 0.0]]), torch.tensor([[-4.0]])
    assert mean_square(a, b).item() == pytest.approx(14 / 4 + 16)
    assert mean_absolute(a, b).item() == pytest.approx(6 / 4 + 4)
