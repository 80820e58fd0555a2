"""Missing modalities generated from those that an item has, by a diffusion in a latent space (MoDiCF)."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.errors import ConfigError
from recmm.nn.conditional_unet import ConditionalUNet
from recmm.nn.diffusion import Diffusion
from recmm.settings import ComponentSettings, hp

FIRST_WIDTH = 16
"""Channels of the U-Nets at the full length."""


class CompletionSettings(ComponentSettings):
    """Networks and training of the completion; the released code's are far larger than a CPU's day allows."""

    key: ClassVar[str] = "model.completion"

    epochs: int = hp(30, "of its training, at most trainer.max_epochs; released code 1000", ge=0)
    lr: float = hp(1e-3, "learning rate; released code 1e-4, times .95 every 100 epochs", gt=0)
    batch_size: int = hp(512, "items in a batch; released code 512", ge=1)
    latent_channels: int = hp(16, "channels of a latent; released code 16", ge=1)
    latent_width: int = hp(32, "length of a latent, a multiple of 2^(n_levels - 1); released code 32", ge=1)
    n_levels: int = hp(3, "resolutions of the U-Net, with 16, 32, 64, ... channels; released code 4", ge=1)
    attention: int = hp(1, "transformer layers at each resolution; released code 2", ge=1)
    n_heads: int = hp(1, "of the attention, a divisor of 16; released code 8", ge=1)
    n_steps: int = hp(1000, "steps of the diffusion; released code 1000", ge=2)
    n_sampling_steps: int = hp(10, "steps of DDIM; released code 10", ge=1)


class Autoencoder(nn.Module):
    """x -> latent [channels, width] -> x. Latents have mean 0 and variance 1 each, whatever the scale of x.

    A latent is one row of numbers above 0 times one factor per channel. If the way back begins with a ReLU, as in the
    released code, it may see nothing but negative numbers from the start, and never learn; hence LeakyReLU.

    Args:
        dim: D_m.
        channels, width: of the latent.
    """

    def __init__(self, dim: int, channels: int, width: int) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Linear(dim, width), nn.Linear(width, width), nn.ReLU())
        self.spread, self.gather = nn.Conv1d(1, channels, 1), nn.Conv1d(channels, 1, 1)
        self.back = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(width, width), nn.Linear(width, dim))

    def encode(self, x: Tensor) -> Tensor:
        """[n, D_m] -> [n, channels, width]."""
        latents = self.spread(self.into(x)[:, None])
        return F.layer_norm(latents, latents.shape[1:])

    def decode(self, latents: Tensor) -> Tensor:
        """[n, channels, width] -> [n, D_m]."""
        x: Tensor = self.back(self.gather(latents)[:, 0])
        return x


class Completion(nn.Module):
    """For every modality an autoencoder and a diffusion of its latents, given those of the item's other modalities.

    The condition is a convolution of the visible latents of the others, zeros where an item lacks one. Latents have no
    gradient in the diffusion's loss, which is lowest where all of them are alike: both losses train their own networks.

    Args:
        widths: D_m.
        settings: sizes.

    Raises:
        ConfigError: a latent that cannot be halved for every level, or heads that do not divide the first width.
    """

    CHUNK = 2048
    """Items that are completed at once."""

    def __init__(self, widths: Sequence[int], settings: CompletionSettings) -> None:
        super().__init__()
        self.settings = s = settings
        _check(s)
        channels, length, levels = (
            s.latent_channels,
            s.latent_width,
            [FIRST_WIDTH * 2**level for level in range(s.n_levels)],
        )
        self.diffusion = Diffusion(s.n_steps)
        self.autoencoders = nn.ModuleList(Autoencoder(width, channels, length) for width in widths)
        self.conditions = nn.ModuleList(nn.Conv1d(len(widths) * channels, channels, 1) for _ in widths)
        self.networks = nn.ModuleList(
            ConditionalUNet(channels, length, levels, (length, channels), attention=s.attention, n_heads=s.n_heads)
            for _ in widths
        )

    def autoencoder(self, m: int) -> Autoencoder:
        found = self.autoencoders[m]
        assert isinstance(found, Autoencoder)
        return found

    def encode(self, features: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Latents of n items, [n, D_m] each and bool [n, M]; zero where hidden, whatever is there: [n, M, c, L]."""
        latents = [self.autoencoder(m).encode(x) for m, x in enumerate(features)]
        return torch.stack(latents, 1) * mask[..., None, None]

    def condition(self, m: int, latents: Tensor) -> Tensor:
        """What the other modalities say of modality m, from latents [n, M, c, L]: [n, L, c]."""
        others = latents.index_fill(1, torch.tensor([m], device=latents.device), 0)
        tokens: Tensor = self.conditions[m](others.flatten(1, 2)).transpose(1, 2)
        return tokens

    def predict(self, m: int, condition: Tensor, noisy: Tensor, steps: Tensor) -> Tensor:
        """v of noisy latents of modality m, see ``Diffusion``: [n, c, L]."""
        predicted: Tensor = self.networks[m](noisy, steps / len(self.diffusion.kept), condition)
        return predicted

    def losses(self, features: Sequence[Tensor], mask: Tensor) -> dict[str, Tensor]:
        """Of n items: means over the modalities of what is visible, which alone is read."""
        latents = self.encode(features, mask)
        constant, diffusion, reconstruction = latents.detach(), list[Tensor](), list[Tensor]()
        for m, x in enumerate(features):
            rows = mask[:, m].nonzero()[:, 0]
            predict = partial(self.predict, m, self.condition(m, constant[rows]))
            diffusion.append(self.diffusion.loss(predict, constant[rows, m]))
            errors = (self.autoencoder(m).decode(latents[rows, m]) - x[rows]).square()
            reconstruction.append(errors.sum() / max(errors.numel(), 1))
        return {
            "diffusion": torch.stack(diffusion).mean(),
            "reconstruction": torch.stack(reconstruction).mean(),
        }

    @torch.no_grad()
    def complete(self, features: Sequence[Tensor], mask: Tensor, seed: int) -> list[Tensor]:
        """The features with generated rows where ``mask`` hides them; what is there is not read.

        All items start from the same noise, so that what is generated follows from what an item shows, and not from its
        place or its phase. The noise comes from ``seed`` and not from torch's global generator, so that it does not
        matter when this is called.

        Args:
            features: M tensors [n_items, D_m].
            mask: bool [n_items, M].

        Returns:
            M tensors [n_items, D_m].
        """
        completed, limits = [], self._largest(features, mask)
        shape = (self.settings.latent_channels, self.settings.latent_width)
        for m, x in enumerate(features):
            noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(x.device)
            rows = (~mask[:, m]).nonzero()[:, 0]
            generated = [x[:0]]
            for part in rows.split(self.CHUNK):
                condition = self.condition(m, self.encode([each[part] for each in features], mask[part]))
                predict = partial(self.predict, m, condition)
                of_part = noise.expand(len(part), *shape)
                sampled = self.diffusion.sample(predict, of_part, self.settings.n_sampling_steps, limits[m])
                generated.append(self.autoencoder(m).decode(sampled))
            completed.append(x.index_copy(0, rows, torch.cat(generated)))
        return completed

    def _largest(self, features: Sequence[Tensor], mask: Tensor) -> Tensor:
        """The largest absolute entry of a visible latent of each modality, [M]."""
        parts = zip(*(x.split(self.CHUNK) for x in (*features, mask)), strict=True)
        return torch.stack([self.encode(x, visible).abs().amax((0, 2, 3)) for *x, visible in parts]).amax(0)


def _check(s: CompletionSettings) -> None:
    multiple = 2 ** (s.n_levels - 1)
    if s.latent_width % multiple:
        raise ConfigError(
            f"{s.key}.latent_width is {s.latent_width}, which cannot be halved {s.n_levels - 1} times: take a "
            f"multiple of {multiple}, or a smaller {s.key}.n_levels."
        )
    if FIRST_WIDTH % s.n_heads:
        raise ConfigError(f"{s.key}.n_heads is {s.n_heads}; expected a divisor of {FIRST_WIDTH}: 1, 2, 4, 8 or 16.")
