"""A one-dimensional U-Net that looks at a condition by cross-attention, for a diffusion."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FourierTime(nn.Module):
    """sin and cos of 2 pi w t for fixed random w, then a linear layer and swish (Tancik et al., NeurIPS 2020).

    Args:
        dim: even number of features.
        scale: standard deviation of w, for t in [0, 1].
    """

    def __init__(self, dim: int, scale: float = 30.0) -> None:
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(dim // 2))
        self.frequencies: Tensor
        self.linear = nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        """[n] -> [n, dim]."""
        angles = 2 * torch.pi * t[:, None] * self.frequencies
        return F.silu(self.linear(torch.cat([angles.sin(), angles.cos()], 1)))


class CrossAttention(nn.Module):
    """A transformer layer whose queries are x and whose keys and values are the condition; pre-norm, both residual.

    Places of both have embeddings: without them a condition would be a set of numbers, in no order.

    Args:
        shape: (L, dim) of x; dim is a multiple of ``n_heads``.
        condition_shape: (K, condition_dim) of the condition.
        n_heads: heads of the attention.
    """

    def __init__(self, shape: tuple[int, int], condition_shape: tuple[int, int], n_heads: int) -> None:
        super().__init__()
        (_, dim), (_, condition_dim) = shape, condition_shape
        self.n_heads = n_heads
        self.places = nn.Parameter(0.5 * torch.randn(shape))
        self.condition_places = nn.Parameter(0.5 * torch.randn(condition_shape))
        self.norm, self.query = nn.LayerNorm(dim), nn.Linear(dim, dim)
        self.key_value, self.output = nn.Linear(condition_dim, 2 * dim), nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """x [n, L, dim] and condition [n, K, condition_dim] -> [n, L, dim]."""
        key, value = self.key_value(condition + self.condition_places).chunk(2, 2)
        heads = [
            part.unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for part in (self.query(self.norm(x) + self.places), key, value)
        ]
        attended = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        x = x + self.output(attended)
        return x + self.feed_forward(x)


class Level(nn.Module):
    """One step of the way: convolution, GroupNorm, time, swish, then ``attention`` to the condition, if any."""

    def __init__(self, convolution: nn.Module, width: int, time_dim: int, attention: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.convolution, self.time = convolution, nn.Linear(time_dim, width)
        self.norm = nn.GroupNorm(min(4, width), width)
        self.attention = nn.ModuleList(attention)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """x [n, c, L], time [n, time_dim], condition as it is -> [n, width, L']."""
        x = F.silu(self.norm(self.convolution(x)) + self.time(time)[..., None])
        if self.attention:
            tokens = x.transpose(1, 2)
            for layer in self.attention:
                tokens = layer(tokens, condition)
            x = tokens.transpose(1, 2)
        return x


class ConditionalUNet(nn.Module):
    """What a diffusion predicts of noisy x at time t, given a condition. Each level below the first halves the length.

    The condition is attended to on the way down, which passes every length once.

    Args:
        channels: c of x.
        length: L of x, a multiple of 2 to the number of levels less one.
        widths: channels of the levels, from the full length down.
        condition_shape: (K, width) of the condition.
        attention: transformer layers at each length.
        n_heads: of each of them; a divisor of all widths.
        time_dim: features of the time.

    Raises:
        ValueError: a length that cannot be halved so often.
    """

    def __init__(
        self,
        channels: int,
        length: int,
        widths: Sequence[int],
        condition_shape: tuple[int, int],
        *,
        attention: int = 1,
        n_heads: int = 1,
        time_dim: int = 64,
    ) -> None:
        super().__init__()
        if length % 2 ** (len(widths) - 1):
            raise ValueError(f"A length of {length} cannot be halved {len(widths) - 1} times.")
        self.time = FourierTime(time_dim)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, width in enumerate(widths):
            stride, before = (2, widths[level - 1]) if level else (1, channels)
            shape = (length // 2**level, width)
            layers = [CrossAttention(shape, condition_shape, n_heads) for _ in range(attention)]
            self.down.append(Level(nn.Conv1d(before, width, 3, stride, padding=1), width, time_dim, layers))
        for wide, narrow in zip(widths[1:], widths[:-1], strict=True):
            n_inputs = wide if wide == widths[-1] else 2 * wide  # beside the way down, see ``forward``
            self.up.insert(0, Level(nn.ConvTranspose1d(n_inputs, narrow, 4, stride=2, padding=1), narrow, time_dim))
        self.last = nn.Conv1d(widths[0] * (2 if len(widths) > 1 else 1), channels, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """x [n, c, L], t [n] in [0, 1], condition [n, K, width] -> [n, c, L]."""
        time, beside = self.time(t), list[Tensor]()
        for level in self.down:
            x = level(x, time, condition)
            beside.append(x)
        x = beside.pop()
        for level in self.up:
            x = torch.cat([level(x, time, condition), beside.pop()], 1)
        return self.last(x)
