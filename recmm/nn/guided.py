"""Task-guided generation: what was generated, fused and held to what is known (CI2MG section 3.3.1, Eq. 11-12)."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.nn.activations import Activation, activate
from recmm.nn.initialisation import xavier_matrices
from recmm.settings import ComponentSettings, hp


class GuidanceSettings(ComponentSettings):
    """What CI2MG's Eq. 11 and 12 leave open."""

    key: ClassVar[str] = "model.guidance"

    shared: bool = hp(
        False, "true: one W of Eq. 11 for all modalities, as printed (it has no index m) | false: one each, ours"
    )
    item_bias: bool = hp(
        False, "B of Eq. 11: true, a vector per item, as printed | false, none (BN would cancel a common one); ours"
    )
    act: Activation = hp("leaky", "sigma of Eq. 11: leaky (LeakyReLU, slope 0.2) | sigmoid; paper: unnamed")
    target: Literal["standard", "projected"] = hp(
        "standard",
        "F-bar of Eq. 12: projected, as printed | standard, ours, without gradient and with every coordinate "
        "standardised over the visible items, as Z comes out of BN (raw features of size 4 make Eq. 12 thirty times "
        "Eq. 14)",
    )


class GuidedGeneration(nn.Module):
    """Z^m = act(BN(Psi^m W^m + B^m)), CI2MG Eq. 11, where Psi^m joins the given views of modality m.

    The batch of BN is all items, in evaluation too.

    Args:
        n_items, n_modalities, dim: N, M and d.
        n_views: how many views Psi joins; the paper's "[Q^m, V^m]" is read as Q and Q-hat.
    """

    def __init__(self, n_items: int, n_modalities: int, dim: int, n_views: int, settings: GuidanceSettings) -> None:
        super().__init__()
        self.settings = settings
        self.weight = nn.Parameter(xavier_matrices(1 if settings.shared else n_modalities, n_views * dim, dim))  # W
        self.scale = nn.Parameter(torch.ones(n_modalities, dim))  # of BN, as is the shift
        self.shift = nn.Parameter(torch.zeros(n_modalities, dim))
        self.item_bias = nn.Parameter(torch.zeros(n_items, n_modalities, dim)) if settings.item_bias else None  # B

    def forward(self, views: list[Tensor]) -> Tensor:
        """``n_views`` tensors [n_items, M, d] -> Z [n_items, M, d]."""
        psi = torch.cat(views, 2)
        z = (psi.transpose(0, 1) @ self.weight).transpose(0, 1)
        if self.item_bias is not None:
            z = z + self.item_bias
        normed = F.batch_norm(z.flatten(1), None, None, self.scale.flatten(), self.shift.flatten(), training=True)
        return activate(normed.unflatten(1, self.scale.shape), self.settings.act)

    def reconstruction(self, z: Tensor, known: Tensor, mask: Tensor) -> Tensor:
        """L_rec, Eq. 12, as the mean over visible items and coordinates, summed over modalities.

        Args:
            z: [n_items, M, d], from ``forward``.
            known: F-bar, projected features, [n_items, M, d].
            mask: bool [n_items, M], where ``known`` is not imputed.
        """
        total = z.new_zeros(())
        for m, shown in enumerate(mask.unbind(1)):
            visible = shown.nonzero()[:, 0]
            if not len(visible):
                continue
            own, target = z[visible, m], known[visible, m]
            if self.settings.target == "standard":
                target = target.detach()
                target = (target - target.mean(0)) / (target.var(0, correction=0) + 1e-5).sqrt()
            total = total + F.mse_loss(own, target)
        return total
