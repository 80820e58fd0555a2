"""Raw item features that may be trained along with a method (LATTICE, BM3, MGCN, SMORE)."""

import torch
from torch import Tensor, nn

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView


class RawFeatures(nn.Module):
    """X^m of a view, or X^m plus what training has learnt to add to it.

    What is learnt is an offset and not a table that starts at the features: a table would remember what a later phase
    hides, and could not be used under another view. An item's offset counts only where the item has the modality.

    Args:
        catalog: number of items, modalities and their widths D_m.
        trainable: whether there are offsets, [n_items, D_m] each, zero at the start.
    """

    def __init__(self, catalog: Catalog, *, trainable: bool) -> None:
        super().__init__()
        widths = catalog.dims.values() if trainable else ()
        self.offsets = nn.ParameterList(torch.zeros(catalog.n_items, width) for width in widths)

    def forward(self, view: ModalityView, rows: Tensor | slice = slice(None)) -> list[Tensor]:
        """M tensors [n, D_m]: the features of ``rows`` (int64 [n]), of all items without."""
        raw = [x[rows] for x in view.features.values()]
        if not self.offsets:
            return raw
        visible = view.mask[rows].float().split(1, 1)
        return [x + offset[rows] * kept for x, offset, kept in zip(raw, self.offsets, visible, strict=True)]
