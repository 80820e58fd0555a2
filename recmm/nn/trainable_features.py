"""Raw features that training may change (LATTICE, BM3, MGCN; methods.md B2)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recmm.missing.view import ModalityView


class TrainableFeatures(nn.Module):
    """X^m + Delta^m with a table Delta^m that starts at zero.

    The released codes of these methods train the table of features itself. A table would keep what one phase shows and
    give it away in another that hides it; hence a hidden row has no Delta: it is what the imputer put there, neither
    trained nor remembered.

    Args:
        n_items: rows of the tables.
        widths: D_m of each modality.
        trained: False has no tables and gives the features as they are.
    """

    def __init__(self, n_items: int, widths: Sequence[int], *, trained: bool = True) -> None:
        super().__init__()
        tables = [torch.zeros(n_items, width) for width in widths] if trained else []
        self.deltas = nn.ParameterList(nn.Parameter(table) for table in tables)

    def forward(self, view: ModalityView) -> list[Tensor]:
        """M tensors [n_items, D_m]."""
        raw = list(view.features.values())
        if not len(self.deltas):
            return raw
        visible = view.mask.unbind(1)
        return [x + delta * seen[:, None] for x, delta, seen in zip(raw, self.deltas, visible, strict=True)]
