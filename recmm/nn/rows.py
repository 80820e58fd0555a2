"""Row-wise operations that several blocks need."""

import torch
from torch import Tensor


def unit_rows(x: Tensor) -> Tensor:
    """x / ||x|| along the last dimension; zero rows stay zero and pass no gradient.

    ``F.normalize`` sends a gradient of 1e12 through a zero row (zero features under a bias that starts at zero), which
    would spoil the second moments of Adam for everything before it.
    """
    lengths = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / lengths.masked_fill(lengths < 1e-12, torch.inf)


def centred(x: Tensor, visible: Tensor) -> Tensor:
    """x [n, d] less the mean of its ``visible`` rows (bool [n]); x itself if there are none.

    Rows that an imputer filled with the mean become zero: they say nothing, in place of all saying the same.
    """
    return x - x[visible].mean(0) if visible.any() else x
