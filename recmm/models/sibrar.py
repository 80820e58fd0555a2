"""SiBraR (Ganhör et al., RecSys 2024): one network for all modalities of an item, of which training draws some."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph
from recmm.losses import bpr
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.rows import centred, unit_rows
from recmm.nn.single_branch import Branch, History


class SiBraR(Recommender):
    """An item is the mean of what a single branch f makes of its modalities, its training interactions among them.

        c^0 = relu(W_0 r_i + b_0),  r_i the item's column of the training interactions, of unit length
        c^m = relu(W_m x_i^m + b_m),  x^m raw features with rows of unit length
        e^m = f(c^m),  f = dropout, hidden layers with ReLU, a linear layer, batch normalisation; one f for all m
        i = mean of e^m over the modalities that the item has;  a score is u . i
        L = mean over a pair's negatives j of -log sigmoid(u . i - u . j) + contrast * L_S

    In training i is the mean of two of its modalities instead, drawn anew for every place in a batch. Those two, a and
    b, are contrasted with the other items of the row, which are the pair's item and its negatives:

        L_S = mean of (-log softmax_j(cos(a_i, b_j) / temperature) - log softmax_j(cos(b_i, a_j) / temperature)) / 2

    u is made like e^0, by a branch of its own from the user's row. An item with one modality is that one, and takes no
    part in L_S; an item with none is zero. An item without training interactions has no column. What an imputer fills
    in is not read. What a step draws several times is encoded once, with one draw of dropout, and counts once in the
    statistics of the batch normalisation; the last layer has no bias, which these would take off again. The cosines are
    our reading of L_S.
    """

    class Settings(MethodSettings):
        """A small network, and a dropout and learning rate that suit it on TikTok; "released" are the ranges of the
        authors' configurations. ``sibrar_code`` is the released code, which draws among all modalities, whatever an
        item has.
        """

        dim: int = hp(64, "width d of users and items; released 256 to 768; DGMRec 64", ge=1)
        hidden: int = hp(64, "width of c^m and of the hidden layers of f; released 512; DGMRec 64", ge=1)
        n_hidden: int = hp(1, "hidden layers of f; released 3", ge=0)
        interactions: Literal["column", "id"] = hp(
            "column", "r_i: column, who has the item in training (paper) | id, which item it is (paper's other choice)"
        )
        users: Literal["history", "table"] = hp(
            "history",
            "history: a branch of their own, for the items they have in training (paper) | table: trained embeddings "
            "(released settings without users; DGMRec), which learn far more slowly on TikTok",
        )
        n_sampled: int = hp(2, "modalities drawn for an item in training; released 2, or 1 without the contrast", ge=1)
        n_negatives: int = hp(2, "of each pair; released 10, which costs twice the time; DGMRec 1", ge=1)
        contrast: float = hp(
            1e-3, "weight of L_S, for n_sampled > 1; released 1e-5 to 1e-4; DGMRec 1e-3, 1e-2 (TikTok)", ge=0
        )
        temperature: float = hp(0.5, "of L_S; released .01 to .5; DGMRec 1 to 10", gt=0)
        dropout: float = hp(0.5, "at the entrance of f, for users too; released: searched", ge=0, lt=1)
        center: bool = hp(True, "raw features less the mean of the visible ones; released false")
        available_only: bool = hp(
            True,
            "true: only modalities that an item has (paper) | false: all of them, with what the imputer filled in "
            "(released code)",
        )
        training: Training = hp(
            Training(optimizer="adamw", lr=3e-3, weight_decay=1e-4, batch_size=4096),
            "released: AdamW, lr 5e-5 to 5e-4, weight_decay 1e-6 to 1e-4; DGMRec: batches of 4096 (TikTok)",
        )

    settings: Settings
    in_batch_losses = True

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.n_negatives = s.n_negatives
        users, items = catalog.train_users, catalog.train_items
        histories = Graph(users, items, (catalog.n_users, catalog.n_items))
        ids = torch.arange(catalog.n_items)
        of_ids = Graph(ids, ids, (catalog.n_items, catalog.n_items))
        self.columns = History(of_ids if s.interactions == "id" else histories.transposed(), s.hidden)  # W_0, b_0
        self.encoders = nn.ModuleList(nn.Linear(width, s.hidden) for width in catalog.dims.values())  # W_m, b_m
        self.branch = Branch(s.hidden, s.n_hidden, s.dim, s.dropout)
        if s.users == "table":
            self.users = nn.Parameter(torch.randn(catalog.n_users, s.dim) * 0.1)
        else:
            self.histories = History(histories, s.hidden)
            self.user_branch = Branch(s.hidden, s.n_hidden, s.dim, s.dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def prepare(self, view: ModalityView) -> tuple[list[Tensor], Tensor]:
        """x^m, M tensors [n_items, D_m], and what each item has, bool [n_items, 1 + M], the interactions first."""
        pairs = zip(view.features.values(), view.mask.unbind(1), strict=True)
        features = [unit_rows(centred(x, visible) if self.settings.center else x) for x, visible in pairs]
        known = torch.cat([self.catalog.item_counts()[:, None].to(view.mask.device) > 0, view.mask], 1)
        return features, known if self.settings.available_only else torch.ones_like(known)

    def encode(self, view: ModalityView, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """e^m of the items and modalities of ``wanted``, bool [n_items, 1 + M].

        Returns:
            Their encodings, the last one zero, [n + 1, d]; int64 [n_items, 1 + M], which of them is whose: the last one
            where nothing is wanted.
        """
        features, _ = self.prepared(view)
        of_columns, *of_features = (rows.nonzero()[:, 0] for rows in wanted.unbind(1))
        inputs = [self.columns().index_select(0, of_columns)]
        for encoder, x, rows in zip(self.encoders, features, of_features, strict=True):
            inputs.append(encoder(x.index_select(0, rows)).relu())
        encodings = self.branch(torch.cat(inputs))
        places = wanted.T.flatten().cumsum(0).sub(1).view(wanted.T.shape).T
        return F.pad(encodings, (0, 0, 0, 1)), places.masked_fill(~wanted, len(encodings))

    def encode_users(self, users: Tensor) -> Tensor:
        """int64 [B] -> [B, d]."""
        if self.settings.users == "table":
            return self.users.index_select(0, users)
        encoded: Tensor = self.user_branch(self.histories().index_select(0, users))
        return encoded

    def represent(self, view: ModalityView) -> Embeddings:
        known = self.prepared(view)[1]
        encodings, places = self.encode(view, known)
        items = torch.stack([encodings[rows] for rows in places.unbind(1)]).sum(0)
        everyone = torch.arange(self.catalog.n_users, device=known.device)
        return Embeddings(self.encode_users(everyone), items / known.sum(1, keepdim=True).clamp_min(1))

    def draw(self, items: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Different modalities for items int64 [...] among those that they have, bool [n_items, 1 + M].

        Returns:
            int64 and bool [..., n_sampled]: modalities, and whether there was one left to draw.
        """
        available = known[items]
        keys = torch.rand(available.shape, device=items.device).masked_fill(~available, -1)
        drawn = keys.topk(min(self.settings.n_sampled, known.shape[1])).indices
        return drawn, available.gather(-1, drawn)

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, known = self.settings, self.prepared(view)[1]
        items = torch.cat([batch.positives[:, None], batch.negatives.view(len(batch.users), -1)], 1)  # [B, 1 + n]
        drawn, there = self.draw(items, known)
        entries = items[..., None] * known.shape[1] + drawn  # [B, 1 + n, n_sampled]
        wanted = torch.zeros_like(known).flatten().index_fill(0, entries[there], True).view_as(known)
        encodings, places = self.encode(view, wanted)
        places = places.flatten()[entries].masked_fill(~there, len(encodings) - 1)
        e = encodings.index_select(0, places.flatten()).unflatten(0, places.shape)  # [B, 1 + n, n_sampled, d]
        users = self.encode_users(batch.users)[:, None]
        scores = (e.sum(2) * users).sum(2) / there.sum(2).clamp_min(1)
        terms = {"bpr": bpr(scores[:, :1], scores[:, 1:]).mean()}
        if s.contrast and e.shape[2] > 1:
            # of what was encoded, as unit rows of all places would cost more
            lengths = torch.linalg.vector_norm(encodings, dim=1).clamp_min(1e-6)
            lengths = lengths.index_select(0, places.flatten()).view_as(places)
            a, b, *_ = e.unbind(2)
            cosines = a @ b.mT / (lengths[:, :, 0, None] * lengths[:, None, :, 1])
            terms["contrast"] = s.contrast * self.row_contrast(cosines, there[:, :, 1])
        return terms

    def row_contrast(self, cosines: Tensor, both: Tensor) -> Tensor:
        """L_S of the items of every row that have both encodings; cosines [B, 1 + n, 1 + n] and bool [B, 1 + n]."""
        own = torch.eye(both.shape[1], dtype=torch.bool, device=both.device)
        pairs = both[:, None] & both[:, :, None] | own
        logits = (cosines / self.settings.temperature).masked_fill(~pairs, -torch.inf)
        positives = logits.diagonal(dim1=1, dim2=2)
        terms = (logits.logsumexp(1) + logits.logsumexp(2)) / 2 - positives
        return (terms * both).sum() / both.sum().clamp_min(1)
