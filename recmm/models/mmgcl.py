"""MMGCL (Yi et al., SIGIR 2022): LightGCN per modality, with a contrast between two augmentations of their graphs."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, user_item_graph, users_from_items
from recmm.losses import bpr_of, contrast
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.channels import propagate_side
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.modality_input import Projection
from recmm.nn.rows import centred, unit_rows


class MMGCL(Recommender):
    """One LightGCN each for the IDs and every modality, fused by a linear layer; L = L_bpr + contrast * L_ssl.

        e^0 = LightGCN([U; V]),  e^m = LightGCN([U; W_m x^m + b_m]),  x^m raw features with rows of unit length
        u = F_U [e^0 ‖ ... ‖ e^M]_u + b,  i = F_V [e^0 ‖ ... ‖ e^M]_i;  a score is u . i
        view 1, modality edge dropout: u' and i' of a random subgraph without a share ``drop`` of the edges
        view 2, modality masking: u'' and i'' of the whole graph, but for the channel of one modality m drawn at random,
        which comes from a subgraph without a share ``drop`` of the users and of the items
        L_ssl = L_users + L_items,  L_users the mean over the batch's users of

            -log exp(cos(u', u'') / temperature) / sum over the batch's users v of exp(cos(u', v'') / temperature)

    and L_items the same for its positive items, with one more negative each, the challenging one: the item itself in
    view 2 with the channel m of the sampled negative item of its pair.

    Subgraphs and m are drawn anew in every step. The U of all channels are one table. F_V has no bias, as it would add
    the same to all scores of a user. An item without modality m has e^m from its neighbours.

    The released code computes view 2 and the challenging negatives but trains with neither: its L_ssl is twice the
    cross-entropy of a user's positive among the batch's positives, both in view 1 (``ssl="pairs"``; mmgcl_code). Kept
    out of it: in view 2, texts and sounds go through the images' W_m, and an item's channel may be a user's.
    There m is drawn with .4, .4 and .2, which fits three modalities alone; here with 1 / M.

    F_U and F_V are linear, as LightGCN is, so that they are applied before it: what travels along the edges is d wide
    in place of (M + 1) d, and the same for all views.
    """

    class Settings(MethodSettings):
        """The released weight .4 drowns the ranking on a small catalogue: on TikTok, L_bpr is still .6930 after three
        epochs (lr 1e-3; log 2 is .6931); with .01 it is .6916 after two. ``mmgcl_code`` is the released code.
        """

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(3, "L, propagation layers; released code 3", ge=1)
        center: bool = hp(
            True,
            "raw features less the mean of the visible ones, so that rows filled with the mean say nothing; released "
            "code false",
        )
        ssl: Literal["views", "pairs"] = hp(
            "views",
            "views: L_ssl as above; paper | pairs: 2 x cross-entropy of u' . i' / temperature (no cosines) over the "
            "batch's positives; released code",
        )
        contrast: float = hp(0.01, "weight of L_ssl; released code .4", ge=0)
        temperature: float = hp(0.2, "of L_ssl; released code .2", gt=0)
        drop: float = hp(
            0.05, "share of the edges, or of the nodes, that a subgraph leaves out; released code .05", ge=0, lt=1
        )
        challenging: bool = hp(True, "ssl=views: whether each item has the challenging negative; paper true")
        contrast_unique: bool = hp(
            True,
            "ssl=views; true: a batch's users and items take part once each | false: as often as they occur, so that "
            "a node is a negative of itself",
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(lr=3e-3, weight_decay=1e-4), "released code: Adam, lr 1e-3, weight_decay 1e-4, batches of 2048"
        )

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.adjacency = user_item_graph(catalog)
        self.whole = users_from_items(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        self.projection = Projection(widths, s.dim)  # W_m, b_m
        self.fuse_users = nn.Linear((len(widths) + 1) * s.dim, s.dim)  # F_U, b
        self.fuse_items = nn.Linear((len(widths) + 1) * s.dim, s.dim, bias=False)  # F_V
        for layer in (self.fuse_users, self.fuse_items):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.fuse_users.bias)

    def prepare(self, view: ModalityView) -> list[Tensor]:
        """x^m of every modality: [n_items, D_m]."""
        raw = zip(view.features.values(), view.mask.unbind(1), strict=True)
        return [unit_rows(centred(x, visible) if self.settings.center else x) for x, visible in raw]

    def inputs(self, view: ModalityView) -> Tensor:
        """What the items' channels start from: [n_items, M + 1, d]."""
        ids = self.of_nodes(self.ego).items
        return torch.cat([ids[:, None], self.projection(self.prepared(view))], 1)

    def enter(self, inputs: Tensor, channels: list[int]) -> list[Tensor]:
        """What some channels bring to F_U and to F_V before they are propagated, [n_users + n_items, d] each."""
        chosen = torch.tensor(channels, device=inputs.device)
        users, items = self.of_nodes(self.ego).users, inputs.index_select(1, chosen).flatten(1)
        blocks = [f.weight.unflatten(1, inputs.shape[1:]) for f in (self.fuse_users, self.fuse_items)]
        weights = [w.index_select(1, chosen) for w in blocks]  # [d, C, d]
        return [torch.cat([users @ w.sum(1).T, items @ w.flatten(1).T]) for w in weights]

    def propagate(self, graph: Graph, entered: list[Tensor]) -> Tensor:
        """What these channels add to u - b and to i on this graph of users and items: [n_users + n_items, d]."""
        of_users, of_items = map(self.of_nodes, entered)
        users = propagate_side(graph, of_users.users, of_users.items, self.settings.n_layers)
        items = propagate_side(graph.transposed(), of_items.items, of_items.users, self.settings.n_layers)
        return torch.cat([users, items])

    def normalised(self, subgraph: Graph) -> Graph:
        """D_U^-1/2 R D_V^-1/2 of a subgraph of ``adjacency``, whose first edges are those of R."""
        return self.whole.with_values(subgraph.symmetric().values[: len(self.whole.values)])

    def represent(self, view: ModalityView) -> Embeddings:
        inputs = self.inputs(view)
        nodes = self.propagate(self.whole, self.enter(inputs, list(range(inputs.shape[1]))))
        users, items = self.of_nodes(nodes)
        return Embeddings(users + self.fuse_users.bias, items)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, size, nodes = self.settings, len(batch.users), batch.nodes(self.catalog.n_users)
        inputs, b = self.inputs(view), self.fuse_users.bias
        m = int(torch.randint(1, inputs.shape[1], ()))  # on the host, which needs not wait for the device
        others, own = self.enter(inputs, [c for c in range(inputs.shape[1]) if c != m]), self.enter(inputs, [m])
        kept = self.propagate(self.whole, others)
        u, i, j = (kept + self.propagate(self.whole, own)).index_select(0, nodes).chunk(3)
        terms = {"bpr": bpr_of(u + b, i, j)}
        if s.contrast:
            subgraph = self.normalised(self.adjacency.drop_edges(s.drop))
            first = self.propagate(subgraph, [x + y for x, y in zip(others, own, strict=True)])
            users, items = first.index_select(0, nodes[: 2 * size]).chunk(2)
            if s.ssl == "pairs":
                logits = (users + b) @ items.T / s.temperature
                ssl = 2 * F.cross_entropy(logits, torch.arange(size, device=b.device))
            else:
                ssl = self.contrast_views(Embeddings(users + b, items), kept, own, batch)
            terms["contrast"] = s.contrast * ssl
        return terms

    def contrast_views(self, first: Embeddings, kept: Tensor, own: list[Tensor], batch: Pairs) -> Tensor:
        """L_ssl from u' and i' [B, d], what all channels but m add to u - b and to i, and what m brings before that."""
        s, sizes = self.settings, (self.catalog.n_users, self.catalog.n_items)
        masked = self.propagate(self.normalised(self.adjacency.drop_nodes(s.drop, sizes)), own)
        nodes = batch.nodes(self.catalog.n_users)
        users, items, _ = kept.index_select(0, nodes).chunk(3)
        m_users, m_items, m_negatives = masked.index_select(0, nodes).chunk(3)
        second = Embeddings(users + m_users + self.fuse_users.bias, items + m_items)
        harder = items + m_negatives if s.challenging else None
        unique = s.contrast_unique
        l_users = contrast(first.users, second.users, batch.users, s.temperature, unique=unique)
        l_items = contrast(first.items, second.items, batch.positives, s.temperature, unique=unique, further=harder)
        return l_users + l_items
