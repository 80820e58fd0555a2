"""k-NN graphs of visible features, in which items without a modality join by generated ones (DGMRec)."""

from typing import Any

import torch
from torch import Tensor, nn

from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.nn.knn_graph import ModalityGraphs, nearest_items, with_neighbours
from recmm.nn.rows import unit_rows


class RefreshedGraphs(nn.Module):
    """S^m = S_0^m but for items without m, whose rows are share S'^m + (1 - share) S_0^m.

    S_0^m is the symmetrically normalised k-NN graph of what is visible, in which those items are isolated. In S'^m they
    have themselves and, by their generated features, the k - 1 nearest of the others as neighbours, and are nobody's
    neighbours: generated features are alike, and would be each other's. So the other rows are those of S_0^m.

    The neighbours stay until the next ``search`` and travel in the module's state, with the digest of the view that
    they were found for. Another view gets neighbours of its own, which are not kept. Cosines are always those of the
    present features.

    Args:
        k: neighbours of an item, itself among them.
        share: in [0, 1]; with 0 nothing is searched.
    """

    def __init__(self, k: int, share: float) -> None:
        super().__init__()
        self.k, self.share = k, share
        self.neighbours: list[Tensor] = []
        self.digest = ""

    def search(self, view: ModalityView, visible: ModalityGraphs) -> None:
        """Find the neighbours of a view anew, by its present features."""
        self.neighbours, self.digest = self._found(view, visible), view.digest

    def forward(self, view: ModalityView, visible: ModalityGraphs, *, refreshed: bool = True) -> list[Graph]:
        """S^m of every modality.

        Args:
            view: features with generated rows, under the mask of what is visible.
            visible: ``modality_cosines`` of what is visible.
            refreshed: False: S_0^m.
        """
        if not (self.share and refreshed):
            return [cosines.symmetric() for cosines in visible.graphs]
        kept = self.digest == view.digest
        neighbours = [x.to(view.mask.device) for x in self.neighbours] if kept else self._found(view, visible)
        graphs = []
        parts = zip(view.features.values(), view.mask.unbind(1), visible.graphs, neighbours, strict=True)
        for x, shown, cosines, found in parts:
            graph = with_neighbours(cosines, x, _lacking(shown), found).symmetric()
            mixed = self.share * graph.values + (1 - self.share) * (graph.rows == graph.columns)
            graphs.append(graph.with_values(torch.where(shown[graph.rows], graph.values, mixed)))
        return graphs

    def _found(self, view: ModalityView, visible: ModalityGraphs) -> list[Tensor]:
        """Of each modality, int64 [n_lacking, k - 1]."""
        parts = zip(view.features.values(), view.mask.unbind(1), visible.comparable, strict=True)
        return [nearest_items(unit_rows(x), _lacking(shown), among, self.k - 1) for x, shown, among in parts]

    # ------------------------------------------------------------------ checkpoints

    def get_extra_state(self) -> dict[str, Any]:
        return {"digest": self.digest, "neighbours": self.neighbours}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.digest, self.neighbours = state["digest"], state["neighbours"]


def _lacking(shown: Tensor) -> Tensor:
    return (~shown).nonzero()[:, 0]
