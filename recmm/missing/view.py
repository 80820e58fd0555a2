"""What a method sees of the items' modalities in one phase."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ModalityView:
    """Features after imputation, with the mask of the entries that are visible.

    Attributes:
        features: modality -> float32 [n_items, D_m]; entries hidden by ``mask`` are imputed.
        mask: bool [n_items, M], True where the entry is visible; columns in the order of ``features``.
        digest: identifies features, mask and imputer; equal digests mean bit-identical views.
    """

    features: dict[str, Tensor]
    mask: Tensor
    digest: str

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.features)

    def visible(self, modality: str) -> Tensor:
        """bool [n_items]: where this modality is visible."""
        return self.mask[:, self.modalities.index(modality)]

    def to(self, device: torch.device) -> "ModalityView":
        """The same view on ``device``; itself if it is there already."""
        if self.mask.device == device:
            return self
        return ModalityView({m: x.to(device) for m, x in self.features.items()}, self.mask.to(device), self.digest)
