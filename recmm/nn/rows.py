"""Row-wise operations that several blocks need, and what counts as zero there: what float32 cannot tell from it."""

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = torch.finfo(torch.float32).eps
"""Features are float32 when a method sees them, so that a wider type brings no further digits."""


def unit_rows(x: Tensor) -> Tensor:
    """x / ||x|| along the last dimension, of x [n, ..., d]; zero rows stay zero and pass no gradient.

    A row is zero if it is shorter than 16 eps times the root mean square length of its kind, with the eps of float32:
    it is the rounding error of a difference between rows of that size, and its direction means nothing. The n rows
    along the first dimension are of one kind; other dimensions (modalities) hold others, whose lengths are theirs.

    ``F.normalize`` sends a gradient of 1e12 through a zero row (zero features under a bias that starts at zero), which
    would spoil the second moments of Adam for everything before it.
    """
    lengths = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    smallest = (16 * EPS * _root_mean_square(lengths.detach())).clamp_min(1e-12)
    return x / lengths.masked_fill(lengths < smallest, torch.inf)


def centred(x: Tensor, visible: Tensor) -> Tensor:
    """x [n, d] less the mean of its ``visible`` rows (bool [n]); x itself if there are none.

    Rows that an imputer filled with the mean become zero: they say nothing, in place of all saying the same. Zero is
    also what the imputer's rounding leaves of them. The unit is eps of float32 times the root mean square length of the
    visible rows as they came, which is what the rounding errors of a sum and of a difference are proportional to. A
    row counts as the mean within 4 units, and a hidden one within sqrt(n) / 2 units if that is more, where n counts the
    visible rows: three times the error of a mean whose n rows were added one by one in float32.
    """
    known = x[visible]
    if not len(known):
        return x
    rest = x - known.mean(0, dtype=torch.float64).to(x.dtype)
    unit = EPS * _root_mean_square(torch.linalg.vector_norm(known, dim=1))
    smallest = unit * torch.where(visible, 4.0, max(4.0, len(known) ** 0.5 / 2))
    return rest.masked_fill((torch.linalg.vector_norm(rest, dim=1) < smallest)[:, None], 0.0)


def select(x: Tensor, rows: Tensor | slice) -> Tensor:
    """x[rows] for int64 rows of any shape, or a slice; the gradient is twice as fast as that of an index."""
    return x[rows] if isinstance(rows, slice) else x.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def perturbed(x: Tensor, length: float) -> Tensor:
    """x [..., d], and to each row a random vector of this length added, in the signs of the row (Yu et al., 2022)."""
    return x + length * x.sign() * F.normalize(torch.rand_like(x), dim=-1)


def _root_mean_square(lengths: Tensor) -> Tensor:
    """Over the first dimension, which stays with size 1; in double precision, as squares leave the range of float32."""
    return lengths.double().square().mean(0, keepdim=True).sqrt().to(lengths.dtype)
