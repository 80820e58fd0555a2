"""XSimGCL (Yu et al., TKDE 2023): SimGCL in one perturbed pass, which ranks and contrasts two of its depths."""

from typing import Any

import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.settings import hp
from recmm.models.simgcl import SimGCL


class XSimGCL(SimGCL):
    """L = L_bpr + lambda1 (L_cl^users + L_cl^items) + ego_l2 ||E^0||^2 / 2, on one perturbed pass of SimGCL's.

    L_bpr ranks by E', the mean over l = 1..L of the perturbed layers E'^l. L_cl contrasts E' with E'^l*, the layer
    ``contrast_layer``; layer 0 is E^0. Scores come from a pass without noise. A step costs as many sparse products as
    one of LightGCN. The L2 term and the missing layer 0 are as in SimGCL.

    Raises:
        ConfigError: ``contrast_layer`` above ``n_layers``.
    """

    class Settings(SimGCL.Settings):
        """The authors' values for Yelp2018 but for lambda1, see SimGCL."""

        lambda1: float = hp(0.01, "weight of the contrast; authors .2", ge=0)
        eps: float = hp(0.2, "length of the noise; authors .2", ge=0)
        temperature: float = hp(0.15, "of the contrast; authors .15", gt=0)
        contrast_layer: int = hp(1, "l*, the layer that E' is contrasted with, 0 to n_layers; authors 1", ge=0)

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        if s.contrast_layer > s.n_layers:
            raise ConfigError(
                f"model.contrast_layer must be at most model.n_layers = {s.n_layers}; got {s.contrast_layer}."
            )

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, layers = self.settings, self.perturbed_layers()
        nodes = torch.stack(layers).mean(0)
        terms = self.ranking(nodes, batch)
        if s.lambda1:
            early = [self.ego, *layers][s.contrast_layer]
            terms["contrast"] = s.lambda1 * self.contrast(nodes, early, batch)
        return terms
