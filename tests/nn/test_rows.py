"""Unit rows, and what happens where there is no direction."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recmm.nn.rows import centred, perturbed, unit_rows


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


def rows_around(offset: float, spread: float, seed: int, n: int = 400, d: int = 24) -> tuple[Tensor, Tensor]:
    """Features [n, d] with a common offset, and which tenth of them is visible."""
    generator = torch.Generator().manual_seed(seed)
    x = offset * (1 + torch.rand(d, generator=generator)) + spread * torch.randn(n, d, generator=generator)
    return x, torch.randperm(n, generator=generator) < n // 10


MEANS = {  # of the visible rows [n, d], in the precision of somebody's imputer
    "double": lambda x: x.mean(0, dtype=np.float64).astype(np.float32),
    "float": lambda x: x.mean(0),  # numpy adds one row after the other
    "shuffled": lambda x: x[::-1].mean(0),
    "sum": lambda x: (x / np.float32(len(x))).sum(0),
}


@settings(max_examples=60, deadline=None)
@given(
    offset=st.sampled_from([0.0, 0.3, -7.0, 1e3]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    mean=st.sampled_from(sorted(MEANS)),
    seed=st.integers(0, 999),
)
def test_rows_filled_with_the_mean_become_exact_zeros_whatever_the_precision(
    offset: float, scale: float, mean: str, seed: int
) -> None:
    x, visible = rows_around(offset * scale, scale, seed)
    x[~visible] = torch.from_numpy(MEANS[mean](x[visible].numpy()))
    out = centred(x, visible)
    assert not out[~visible].any() and out[visible].any(1).all()
    # float32 holds the offset itself to 7 digits, so that so much of the difference is lost
    torch.testing.assert_close(
        out[visible].double(),
        x[visible].double() - x[visible].double().mean(0),
        rtol=1e-4,
        atol=2.5e-7 * scale * (abs(offset) + 1),
    )


@settings(max_examples=60, deadline=None)
@given(offset=st.sampled_from([0.0, 0.3, 1e3]), among=st.booleans(), seed=st.integers(0, 999))
def test_a_row_a_thousand_times_shorter_than_the_others_is_kept(offset: float, among: bool, seed: int) -> None:
    x, visible = rows_around(offset, 1.0, seed)
    short = int((visible == among).nonzero()[3])
    x[short] = 0  # the mean of the others, and a short way from it
    visible[short] = False
    x[short] = x[visible].mean(0, dtype=torch.float64) + 1e-3 * F.normalize(torch.randn(24), dim=0) * 24**0.5
    visible[short] = among
    assert torch.linalg.vector_norm(unit_rows(centred(x, visible))[short]) > 0.99


@settings(max_examples=60, deadline=None)
@given(
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    short=st.sampled_from([1e-3, 1e-5]),
    share=st.sampled_from([0.1, 0.5, 0.95]),
    seed=st.integers(0, 999),
)
def test_what_rounding_left_has_no_direction_and_what_is_short_has_one(
    scale: float, short: float, share: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 16, generator=generator)
    noise = torch.rand(200, generator=generator) < share
    noise[:2] = False
    x[noise] *= 6e-8
    x[1] *= short
    out = unit_rows(x * scale)
    lengths = torch.linalg.vector_norm(out, dim=1)
    assert not out[noise].any() and torch.allclose(lengths[~noise], torch.ones(()))


def test_modalities_of_other_sizes_keep_their_directions() -> None:
    x = torch.randn(50, 3, 8) * torch.tensor([1e-9, 1.0, 1e9])[:, None]
    torch.testing.assert_close(unit_rows(x), F.normalize(x, dim=2))


def test_equal_rows_are_all_their_mean() -> None:
    x = torch.tensor([0.1, -1e3, 7e5]).repeat(7, 1)
    assert not centred(x, torch.arange(7) < 3).any()


def test_perturbed_rows_move_by_the_length_and_never_across_zero() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 3, 8)
    moved = perturbed(x, 0.1) - x
    torch.testing.assert_close(moved.norm(dim=-1), torch.full((50, 3), 0.1))
    assert (moved * x >= -1e-7).all()
    assert torch.equal(perturbed(x, 0.0), x)
