"""ModWalk (ours): a walk between items over users and over mutual neighbours in the features, without training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.history import FromHistory, history_rows, order_ties
from recmm.models.settings import hp
from recmm.nn.item_walk import Explanation, ItemWalk, feature_neighbours, no_neighbours, walk_tensors


class ModWalk(FromHistory):
    """R is the training matrix, D_u a user's degree in it, v_im whether modality m of item i is visible.

    1. y_i^m = v_im (x_i^m - mean over visible) / (mean norm over visible), joined over the modalities.
    2. M_ij = max(cos(y_i, y_j), 0) where i and j are in each other's k nearest, 0 elsewhere. Items with nothing visible
       have no edge.
    3. B = R^T diag(t_u / D_u) R + lambda M with t_u = min(1, kappa / D_u), and W = D_B^-1/2 B D_B^-1/2 with D_B the row
       sums of B.
    4. s_u = [ r_u sum over h = 1..H of (1 - c) c^(h-1) W^h ] diag(d~^o), where d = R^T t and
       d~_i = max(d_i, 1/2) / mean of the positive d.

    What is missing takes edges of M away and nothing else, so that the walk over users alone is what remains. A
    catalogue without modalities is ranked by that walk.

    It stands on RP3beta (Paudel et al., TiiS 2017: walks over users with a power of the item's popularity), GF-CF (Shen
    et al., CIKM 2021: ranking by the normalised item-item graph without training), personalised PageRank (the weights
    of the steps) and FREEDOM (Zhou and Shen, MM 2023: an item graph from features that is never trained). Its own are
    the weight t_u / D_u, which bounds what a heavy user says in all, mutual neighbours over what is visible of each
    item, and one normalisation of both kinds of edges, by which an item with few users leans on its features.
    """

    class Settings(FromHistory.Settings):
        """The values are those that are best on TikTok's validation split (visual and acoustic features). On Amazon
        Baby, interactions alone, damping .5, hops 4 and popularity_exponent .5 are.
        """

        damping: float = hp(
            0.8, "c: each further step of the walk weighs this much less than the one before", ge=0, lt=1
        )
        hops: int = hp(10, "H, the most steps; each is two sparse products", ge=1)
        popularity_exponent: float = hp(0.7, "o, of the items' popularity among the trusted users")
        kappa: float | None = hp(
            5.0, "interactions from which on a user's weight in B no longer grows; null: it grows with the degree", gt=0
        )
        modality_weight: float = hp(0.5, "lambda, of the edges between items with like features; 0: none", ge=0)
        k: int = hp(10, "neighbours of an item; an edge needs both sides", ge=1)
        weights: dict[str, float] = hp(
            {}, "modality -> factor on its features before they are joined, such as {visual: 0.5}; those not named: 1"
        )

    settings: Settings
    uses_modalities = True
    needs_modalities = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        unknown = self.settings.weights.keys() - set(catalog.modalities)
        if unknown:
            raise ConfigError(
                f"model.weights names {sorted(unknown)[0]!r}, which is no modality of this dataset; it has "
                f"{', '.join(catalog.modalities) or 'none'}."
            )

    def prepare(self, view: ModalityView) -> ItemWalk:
        s = self.settings
        neighbours = no_neighbours(view)
        if s.modality_weight and view.modalities:
            weights = [s.weights.get(m, 1.0) for m in view.modalities]
            neighbours = feature_neighbours(view, s.k, weights)
        tensors = walk_tensors(
            self.get_buffer("row_starts"),
            self.get_buffer("train_items"),
            self.catalog.n_items,
            neighbours._replace(shares=s.modality_weight * neighbours.shares),
            kappa=s.kappa,
            coefficients=[(1 - s.damping) * s.damping**h for h in range(s.hops)],
            popularity_exponent=s.popularity_exponent,
        )
        return ItemWalk(tensors)

    def score_rows(self, rows: Tensor, prepared: ItemWalk) -> Tensor:
        return prepared.scores(rows)

    def explain(self, user: int, item: int, view: ModalityView) -> Explanation:
        """What the walk's score of ``item`` for ``user`` is made of: which items of the history, which edges."""
        return self.prepared(view).explain(self.rows(torch.tensor([user], device=view.mask.device)).col_indices(), item)

    def deployable(self, view: ModalityView) -> dict[str, Tensor]:
        """The tensors of the ``ItemWalk``, and ``popularity`` float [n_items], the order of ties.

        ``ItemWalk(tensors).explain(...)`` explains a score from them.
        """
        tensors = self.prepared(view).tensors | {"popularity": self.get_buffer("popularity")}
        return {name: x.cpu() for name, x in tensors.items()}

    @classmethod
    def deployed_scores(cls, deployed: Mapping[str, Tensor], users: Tensor) -> Tensor:
        rows = history_rows(deployed["row_starts"], deployed["train_items"], users, len(deployed["popularity"]))
        return order_ties(ItemWalk(deployed).scores(rows), deployed["popularity"])
