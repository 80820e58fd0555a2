"""SMORE (Ong & Khong, WSDM 2025): modalities filtered and fused as spectra."""

from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, maximum, symmetric_adjacency, users_from_items
from recmm.losses import bpr_of, contrast, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.knn_graph import modality_graphs
from recmm.nn.raw_features import RawFeatures


class SMORE(Recommender):
    """Final = content + side: LightGCN on IDs, beside a view of every modality and one of all modalities fused.

        z^m = FFT(X^m W_m + b_m);  s^m = IFFT(c^m * z^m),  s^f = IFFT(c^f * prod_m z^m), with learnt complex c
        purified items^c = V * sigmoid(G_c s^c) for every channel c (the modalities and f), V the items' IDs
        e^c: of items S^c purified^c; of users D_U^-1/2 R D_V^-1/2 e^c
        S^m the normalised k-NN graph of the raw X^m, S^f the largest of the S^m at every place that one of them has
        side = mean over c of p^c * a^c * e^c,  p^c = dropout(sigmoid(P_c content))
        a^m = softmax over the d coordinates of Q_m tanh(W'_m e^f + b'_m);  a^f = 1
        L = L_bpr + contrast (InfoNCE(side_i, content_i) + InfoNCE(side_u, content_u)) + final_l2 ||final||^2 / 2

    FFT is the real transform along the d coordinates with orthonormal scale. The paper and its released code have two
    modalities; the product of all spectra and the largest of all graphs are our extension to any number. With one
    modality the fused channel is a second filter of the same spectrum, on the same graph.

    Items without modality m, or with nothing to compare there (``comparable``), are their own and only neighbour in
    S^m, and this place does not enter S^f if they have another modality. The sources do not say what becomes of them.
    The released code gives every modality a k of its own; here all share one.
    """

    class Settings(MethodSettings):
        """The authors' best values for complete modalities: Baby n_layers 4, k 40 (images) and 15 (texts), contrast
        .01, final_l2 1e-4, dropout .1; Sports 3, 10 and 10, .03, 1e-4, 0; Clothing 3, 40 and 10, .01, 1e-5, 0.
        """

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(3, "L, layers of LightGCN on the user-item graph; released code 3 or 4", ge=0)
        k: int = hp(10, "neighbours of an item, itself among them; the authors search 10, 15, 20, 40", ge=1)
        dropout: float = hp(0.0, "of the preferences p^c; released code 0 or .1", ge=0, lt=1)
        contrast: float = hp(0.01, "weight of the contrast; released code .01 or .03", ge=0)
        temperature: float = hp(0.2, "of the contrast; released code .2", gt=0)
        contrast_unique: bool = hp(
            True,
            "true: a batch's users and items are contrasted once each | false: as often as they occur, so that a node "
            "is a negative of itself; released code",
        )
        trainable_features: bool = hp(
            True, "X^m are trained too, as in the released code; S^m stay those of the features as they came"
        )
        final_l2: float = hp(
            1e-4, "weight of 1/2 ||final embeddings of the batch||^2 / batch_size; released code 1e-4 or 1e-5", ge=0
        )
        init: IdInit = hp("xavier", "of the IDs: xavier (uniform; released code) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(lr_decay=0.96),
            "released code: Adam, lr 1e-3, lr_decay .96, every pair once an epoch; batch 2048 in MMRec",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        self.in_batch_losses = s.contrast > 0
        widths = list(catalog.dims.values())
        channels = range(len(widths) + 1)  # f is the last one
        self.adjacency, self.users_from_items = symmetric_adjacency(catalog), users_from_items(catalog)
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)
        self.raw = RawFeatures(catalog, trainable=s.trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.filters = nn.Parameter(torch.randn(len(channels), s.dim // 2 + 1, 2))  # c: real and imaginary parts
        self.gates = nn.ModuleList(nn.Linear(s.dim, s.dim) for _ in channels)  # G_c
        self.attentions = nn.ModuleList(
            nn.Sequential(nn.Linear(s.dim, s.dim), nn.Tanh(), nn.Linear(s.dim, s.dim, bias=False)) for _ in widths
        )  # W'_m, b'_m, Q_m
        self.preferences = nn.ModuleList(nn.Linear(s.dim, s.dim) for _ in channels)  # P_c

    def prepare(self, view: ModalityView) -> list[Graph]:
        """S^c of every channel."""
        among, graphs = modality_graphs(view, self.settings.k)
        alone = ~torch.stack(among).any(0)
        shown = [
            graph.with_values(graph.values * (rows | alone)[graph.rows])
            for rows, graph in zip(among, graphs, strict=True)
        ]
        return [*graphs, maximum(shown)]

    def filtered(self, view: ModalityView) -> list[Tensor]:
        """s^c of all items: M + 1 tensors [n_items, d]."""
        contents = torch.stack([project(x) for project, x in zip(self.projectors, self.raw(view), strict=True)])
        spectra = torch.fft.rfft(contents.to(self.filters.dtype), norm="ortho")  # z^m; has no half precision
        fused = reduce(torch.mul, spectra)
        filters = torch.view_as_complex(self.filters)[:, None]
        signals = torch.fft.irfft(torch.cat([spectra, fused[None]]) * filters, self.settings.dim, norm="ortho")
        return list(signals)

    def channels(self, view: ModalityView) -> Tensor:
        """e^c of all nodes: [n_users + n_items, M + 1, d]."""
        ids = self.ego[self.catalog.n_users :]
        maps = zip(self.gates, self.filtered(view), self.prepared(view), strict=True)
        side_by_side = torch.cat([graph(ids * gate(signal).sigmoid()) for gate, signal, graph in maps], 1)
        nodes = torch.cat([self.users_from_items(side_by_side), side_by_side])
        return nodes.unflatten(1, (len(self.gates), -1))

    def fuse(self, channels: Tensor, content: Tensor, *, drop: bool = False) -> Tensor:
        """side of n nodes, from their e^c [n, M + 1, d] and contents [n, d]: [n, d]; ``drop``: whether dropout acts."""
        *modalities, fused = channels.unbind(1)
        views = [attend(fused).softmax(1) * e for attend, e in zip(self.attentions, modalities, strict=True)]
        preferred = torch.stack([prefer(content).sigmoid() for prefer in self.preferences], 1)
        preferred = F.dropout(preferred, self.settings.dropout, training=drop)
        return (preferred * torch.stack([*views, fused], 1)).mean(1)

    def represent(self, view: ModalityView) -> Embeddings:
        content = self.adjacency.propagate(self.ego, self.settings.n_layers)
        return self.of_nodes(content + self.fuse(self.channels(view), content))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, n_users = self.settings, self.catalog.n_users
        content = batch.gather(self.adjacency.propagate(self.ego, s.n_layers), n_users)
        side = self.fuse(batch.gather(self.channels(view), n_users), content, drop=True)  # of the batch's nodes alone
        u, i, j = (content + side).chunk(3)
        terms = {
            "bpr": bpr_of(u, i, j),
            "final_l2": s.final_l2 * squared_l2(u, i, j, batch_size=self.full_batch_size),
        }
        if s.contrast:
            kinds = zip(side.chunk(3), content.chunk(3), (batch.users, batch.positives), strict=False)
            of_kinds = [contrast(a, b, nodes, s.temperature, unique=s.contrast_unique) for a, b, nodes in kinds]
            terms["contrast"] = s.contrast * torch.stack(of_kinds).sum()
        return terms
