"""DGMRec (SIGIR 2025): general and specific features, and the generation of missing ones."""

from itertools import combinations
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.graph import Graph, mean_over_items, mean_over_users, symmetric_adjacency
from recmm.losses import bpr_of, contrast, frobenius_norm
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.nn.club import Conditionals
from recmm.nn.id_table import IdInit, id_table
from recmm.nn.knn_graph import ModalityGraphs, modality_cosines
from recmm.nn.modality_input import visible_two_hop_mean
from recmm.nn.raw_features import RawFeatures
from recmm.nn.refreshed_graphs import RefreshedGraphs
from recmm.nn.rows import perturbed


class Known(NamedTuple):
    """Of each modality what a view shows: cosines between neighbours; the items that have it, int64 [n]."""

    cosines: ModalityGraphs
    shown: list[Tensor]


class Completed(NamedTuple):
    """A view with generated features; S^m; what stands in for hidden g^m in a translator's input, [n_items, M, d]."""

    view: ModalityView
    graphs: list[Graph]
    borrowed: Tensor


class Encoded(NamedTuple):
    """X^m [n_items, D_m]; g, s, phi [n_items, M, d]; of users and items E [n, d] and [G, Z] [n, M, 2, d]."""

    raw: list[Tensor]
    g: Tensor
    s: Tensor
    phi: Tensor
    ids: Tensor
    contents: Tensor


class DGMRec(Recommender):
    """final = E + (mean_m G^m + sum_m Z^m) / (M + 1) of users and items, E = LightGCN(U, V); a score is u . i.

        g^m = sigmoid(W tanh(W_m X^m + b_m) + b), general;  s^m = sigmoid(W'_m X^m + b'_m), specific
        phi^m = D_V^-1 R^T tanh(U F_m), the preferences of an item's users, which filter both
        G^m = (S^m)^L (phi^m * g^m),  Z^m = (S^m)^L (phi^m * s^m);  of users D_U^-1 R G^m, D_U^-1 R Z^m
        L = L_bpr + norms + inter sum_mn [I(g^m, g^n; t1) + I(G_u^m, G_u^n; t1)] + club sum_m CLUB(Z^m -> G^m)
          + intra [I(E_u, E_i; t2) + I(G_u, G_i; t1) + sum_m I(Z_u^m, Z_i^m; t2)]
          + align [I(E_i, G_i; t3) + I(E_u, G_u; t3)] + reconstruction sum_m ||Dec_m([g^m, s^m]) - X^m||^2
          + generation sum_m [||gen_m(phi^m) - s^m||^2 + ||T_m(g^n, n != m) - g^m||^2]

    I is InfoNCE in the batch, G = sum_m G^m, and a squared norm here is a mean over coordinates. Inputs of Dec, gen and
    T are perturbed in training. Before every epoch a missing X^m becomes Dec_m([T_m(g^n), gen_m(phi^m)]). Visible
    features alone choose neighbours in S^m; an item without m chooses them by its generated X^m (``RefreshedGraphs``).

    If an item lacks an n of T_m's input as well, the mean of g^n over its users' other items stands in. T and gen are
    trained on complete data, too, as a test may hide some. ``inter`` takes all pairs of modalities; with a single one
    it is left out, and so is T: the mean over the users' other items takes its place.

    Defects of the released code that ``dgmrec_code`` keeps: items that lack several modalities are never generated; T,
    Dec and CLUB's networks are trained on other quantities than they are used on; targets are trained; predictions use
    the first graph, training the refreshed one. Kept out of both profiles: generated rows have a gradient and are
    targets; they start from those of the epoch before (here every phase completes its own view); what T and gen make is
    propagated and perturbed before Dec; a refresh mixes with the last mixture, which gains edges each time, and not
    with S_0^m; items without m are neighbours; with three modalities intra takes G of the sound for Z, and only two
    modalities have a CLUB term and a user term in inter.
    """

    class Settings(MethodSettings):
        """The released code with its defects removed, and the authors' values for TikTok except inter and club, which
        are 0 there. ``dgmrec_code`` is nearer to that code. Its TikTok has validation and test exchanged: the published
        TikTok numbers are on the pairs that are validation here.
        """

        dim: int = hp(64, "width d of all embeddings; released code 64", ge=1)
        n_layers: int = hp(3, "layers of LightGCN on the user-item graph; released code 3", ge=0)
        n_item_layers: int = hp(
            2, "L, how often S^m is applied; released code 2 (TikTok, Baby), 1 (Clothing, Sports, Electronics)", ge=0
        )
        k: int = hp(10, "neighbours of an item, itself among them; released code 10", ge=1)
        refresh: float = hp(
            0.4,
            "eta, share of the graph by generated features in the rows of items that lack a modality; released code .4 "
            "(TikTok, Baby), .8 (Sports, Electronics), 0 (Clothing)",
            ge=0,
            le=1,
        )
        refresh_every: int = hp(5, "epochs between two searches of neighbours by generated features; code 5", ge=1)
        inter: float = hp(0.01, "weight of the contrast between modalities; released code .01, 0 (TikTok)", ge=0)
        intra: float = hp(0.01, "weight of the contrast of users and their items; released code .01", ge=0)
        align: float = hp(0.01, "weight of the contrast of E and G; released code .01", ge=0)
        club: float = hp(0.01, "weight of the bound of I(Z^m; G^m); released code .01, 0 (TikTok)", ge=0)
        reconstruction: float = hp(0.1, "weight of the decoders; released code .1", ge=0)
        generation: float = hp(1.0, "weight of generators and translators; released code 1, .1 (Baby)", ge=0)
        id_norm: float = hp(1e-5, "weight of the norms (not squared) of E / B; released code 1e-5", ge=0)
        content_norm: float = hp(0.1, "weight of the norms (not squared) of G^m + Z^m / B; released code .1", ge=0)
        temperature_general: float = hp(0.4, "t1; released code .4 (TikTok, Baby, Sports), .2 (others)", gt=0)
        temperature_specific: float = hp(0.2, "t2; released code .2 (TikTok, Baby, Clothing), .1 (others)", gt=0)
        temperature_align: float = hp(0.4, "t3; released code .4 (TikTok, Baby), .2 (others)", gt=0)
        noise: float = hp(0.1, "length of the perturbation of the inputs of Dec, gen and T; released code .1", ge=0)
        sampled_items: int | None = hp(
            2048, "items drawn in each step for the decoders and for CLUB; null: all; released code", ge=2
        )
        contrast_unique: bool = hp(
            True, "true: a batch's users and items are candidates once each | false: as often as they occur; code"
        )
        generate: Literal["all", "single"] = hp(
            "all", "all: whatever is missing | single: only of items that lack exactly one modality; released code"
        )
        matched_inputs: bool = hp(
            True,
            "true: T, Dec and CLUB's networks are fitted on what they are used on | false: T and Dec on G^m and Z^m, "
            "but used on g^m and s^m, CLUB's networks the other way round; released code",
        )
        fixed_targets: bool = hp(
            True, "true: what Dec, gen and T should give is a constant | false: it is trained as well; released code"
        )
        predict_refreshed: bool = hp(True, "false: predictions use S_0^m instead of the refreshed S^m; released code")
        trainable_features: bool = hp(False, "visible X^m are trained too; released code true")
        init: IdInit = hp("xavier", "of U and V: xavier (uniform; released code) | normal (standard deviation 0.1)")
        training: Training = hp(
            Training(lr_decay=0.96),
            "released code: Adam, lr 1e-3, lr_decay .96, batches of 2048 (Clothing and Electronics 4096)",
        )

    settings: Settings

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s, widths = self.settings, list(catalog.dims.values())
        self.in_batch_losses = True
        self.adjacency = symmetric_adjacency(catalog)
        self.over_items, self.over_users = mean_over_items(catalog), mean_over_users(catalog)  # D_U^-1 R, D_V^-1 R^T
        self.ego = id_table(catalog.n_users + catalog.n_items, s.dim, s.init)  # U, V
        self.raw = RawFeatures(catalog, trainable=s.trainable_features)  # X^m
        self.projectors = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W_m, b_m
        self.shared = nn.Linear(s.dim, s.dim)  # W, b
        self.own = nn.ModuleList(nn.Linear(width, s.dim) for width in widths)  # W'_m, b'_m
        self.filters = nn.ModuleList(nn.Linear(s.dim, s.dim, bias=False) for _ in widths)  # F_m
        others = (len(widths) - 1) * s.dim
        self.generators = nn.ModuleList(mlp(s.dim, s.dim) for _ in widths)  # gen_m
        self.translators = nn.ModuleList(mlp(others, s.dim) for _ in widths if others)  # T_m
        self.decoders = nn.ModuleList(nn.Linear(2 * s.dim, width) for width in widths)  # Dec_m
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        self.conditionals = Conditionals([s.dim] * len(widths), s.dim, squash=False, steps=5) if s.club else None
        self.graphs = RefreshedGraphs(s.k, s.refresh)  # S^m
        self._completed: dict[str, Completed] = {}  # of this epoch, by view

    # ------------------------------------------------------------------ general and specific features

    def halves(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """g and s, [n_items, M, d] each."""
        g = [self.shared(project(x).tanh()).sigmoid() for project, x in zip(self.projectors, raw, strict=True)]
        s = [own(x).sigmoid() for own, x in zip(self.own, raw, strict=True)]
        return torch.stack(g, 1), torch.stack(s, 1)

    def preferences(self) -> Tensor:
        """phi, [n_items, M, d]."""
        users = self.of_nodes(self.ego).users
        liked = torch.cat([project(users) for project in self.filters], 1).tanh()
        return self.over_users(liked).unflatten(1, (len(self.filters), -1))

    def encode(self, completed: Completed) -> Encoded:
        raw = self.raw(completed.view)
        (g, s), phi = self.halves(raw), self.preferences()
        contents = list(torch.cat([phi * g, phi * s], 2).unbind(1))
        for _ in range(self.settings.n_item_layers):
            contents = [graph(x) for graph, x in zip(completed.graphs, contents, strict=True)]
        items = torch.cat(contents, 1)
        nodes = torch.cat([self.over_items(items), items]).unflatten(1, (len(contents), 2, -1))
        return Encoded(raw, g, s, phi, self.adjacency.propagate(self.ego, self.settings.n_layers), nodes)

    def final(self, ids: Tensor, contents: Tensor) -> Tensor:
        """E [n, d] and [G, Z] [n, M, 2, d] -> [n, d]."""
        return ids + (contents[:, :, 0].mean(1) + contents[:, :, 1].sum(1)) / (contents.shape[1] + 1)

    # ------------------------------------------------------------------ generation

    def prepare(self, view: ModalityView) -> Known:
        shown = [visible.nonzero()[:, 0] for visible in view.mask.unbind(1)]
        return Known(modality_cosines(view, self.settings.k), shown)

    def translate(self, g: Tensor, m: int) -> Tensor:
        """T_m of the other modalities' g [n, M, d]; with a single modality g itself: [n, d]."""
        if not self.translators:
            return g[:, m]
        translated: Tensor = self.translators[m](torch.cat([x for n, x in enumerate(g.unbind(1)) if n != m], 1))
        return translated

    @torch.no_grad()
    def complete(self, view: ModalityView, *, refreshed: bool = True) -> Completed:
        """Features generated by the present networks, with their graphs or, not ``refreshed``, with S_0^m."""
        known: Known = self.prepared(view)
        g, _ = self.halves(self.raw(view))
        phi, hidden = self.preferences(), ~view.mask
        borrowed = visible_two_hop_mean(g, view.mask, self.over_items, self.over_users)
        source = torch.where(hidden[:, :, None], borrowed, g)
        if self.settings.generate == "single":
            hidden = hidden & (hidden.sum(1, keepdim=True) == 1)
        features = {}
        for m, (modality, x) in enumerate(view.features.items()):
            rows = hidden[:, m].nonzero()[:, 0]
            generated = torch.cat([self.translate(source[rows], m), self.generators[m](phi[rows, m])], 1)
            features[modality] = x.index_copy(0, rows, self.decoders[m](generated))
        completed = ModalityView(features, view.mask, view.digest)
        return Completed(completed, self.graphs(completed, known.cosines, refreshed=refreshed), borrowed)

    def start_epoch(self, epoch: int, view: ModalityView) -> None:
        s = self.settings
        if s.refresh and epoch % s.refresh_every == 0:
            known: Known = self.prepared(view)
            self.graphs.search(self.complete(view, refreshed=False).view, known.cosines)
        self._completed = {view.digest: self.complete(view)}
        if self.conditionals is not None:
            with torch.no_grad():
                x = self.encode(self._completed[view.digest])
            g, z = x.contents[self.catalog.n_users :].unbind(2) if s.matched_inputs else (x.g, x.s)
            self.conditionals.fit(z.unbind(1), g.unbind(1))

    # ------------------------------------------------------------------ representation and objective

    def represent(self, view: ModalityView) -> Embeddings:
        x = self.encode(self.complete(view, refreshed=self.settings.predict_refreshed))
        return self.of_nodes(self.final(x.ids, x.contents))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        s, n_users = self.settings, self.catalog.n_users
        if view.digest not in self._completed:
            self._completed[view.digest] = self.complete(view)
        completed = self._completed[view.digest]
        x = self.encode(completed)
        ids, contents = batch.gather(x.ids, n_users), batch.gather(x.contents, n_users)
        of_positives = contents.sum(2).chunk(3)[1].unbind(1)  # G^m + Z^m
        terms = {
            "bpr": bpr_of(*self.final(ids, contents).chunk(3)),
            "id_norm": s.id_norm * frobenius_norm(*ids.chunk(3)),
            "content_norm": s.content_norm * frobenius_norm(*of_positives),
        }
        users, _ = self.candidates(batch.users)
        positives, place = self.candidates(batch.positives)
        items = torch.unique(torch.cat([batch.positives, batch.negatives]))
        g, shown = x.g.index_select(0, items), view.mask[items]
        (e_u, e_i, _), (c_u, c_i, _) = ids.chunk(3), contents.chunk(3)
        g_u, e_p, c_p = c_u[:, :, 0].sum(1), e_i.index_select(0, positives), c_i.index_select(0, positives)
        g_p = c_p[:, :, 0].sum(1)
        if s.inter and len(x.raw) > 1:
            terms["inter"] = s.inter * self.between_modalities(g, shown, c_u.index_select(0, users)[:, :, 0])
        if s.intra:
            pairs = [(e_u, e_p, s.temperature_specific), (g_u, g_p, s.temperature_general)]
            pairs += [(c_u[:, m, 1], c_p[:, m, 1], s.temperature_specific) for m in range(len(x.raw))]
            terms["intra"] = s.intra * torch.stack([info_nce(u, i, t, place) for u, i, t in pairs]).sum()
        if s.align:
            sides = [(e_p, g_p), (e_u.index_select(0, users), g_u.index_select(0, users))]
            terms["align"] = s.align * torch.stack([info_nce(*side, s.temperature_align) for side in sides]).sum()
        if self.conditionals is not None:
            rows = n_users + self.sample(torch.arange(self.catalog.n_items, device=ids.device))
            general, specific = x.contents.index_select(0, rows).unbind(2)
            terms["club"] = s.club * self.conditionals.bounds(specific.unbind(1), general.unbind(1)).sum()
        if s.reconstruction:
            terms["reconstruction"] = s.reconstruction * self.reconstruction(x, view)
        if s.generation:
            terms["generation"] = s.generation * self.generation(x, g, shown, items, completed.borrowed)
        return terms

    def between_modalities(self, g: Tensor, shown: Tensor, users: Tensor) -> Tensor:
        """Contrasts of all pairs of modalities, from g [n, M, d] of items that have ``shown`` and G_u of users."""
        t1, terms = self.settings.temperature_general, []
        for m, n in combinations(range(g.shape[1]), 2):
            both = (shown[:, m] & shown[:, n]).nonzero()[:, 0]
            if len(both):
                terms.append(info_nce(g[:, m].index_select(0, both), g[:, n].index_select(0, both), t1))
            terms.append(info_nce(users[:, m], users[:, n], t1))
        return torch.stack(terms).sum()

    def reconstruction(self, x: Encoded, view: ModalityView) -> Tensor:
        """Mean square error of the decoders on visible entries, summed over modalities; their inputs are constants."""
        known: Known = self.prepared(view)
        inputs = torch.stack([x.g, x.s], 2) if self.settings.matched_inputs else x.contents[self.catalog.n_users :]
        total = inputs.new_zeros(())
        for m, (decode, shown, raw) in enumerate(zip(self.decoders, known.shown, x.raw, strict=True)):
            if len(shown):
                rows = self.sample(shown)
                made = decode(perturbed(inputs.detach()[rows, m].flatten(1), self.settings.noise))
                total = total + F.mse_loss(made, self.target(raw[rows]))
        return total

    def generation(self, x: Encoded, g: Tensor, shown: Tensor, items: Tensor, borrowed: Tensor) -> Tensor:
        """Mean square error of gen_m and T_m on those of ``items`` (int64 [n]) that have m, summed over modalities.

        g [n, M, d] and ``shown`` bool [n, M] are of these items, ``borrowed`` [n_items, M, d] is of all.
        """
        if self.settings.matched_inputs:
            source = torch.where(shown[:, :, None], g, borrowed.index_select(0, items))
        else:
            source = g = x.contents.index_select(0, self.catalog.n_users + items)[:, :, 0]
        g, s = self.target(g), self.target(x.s.index_select(0, items))
        source, phi = (perturbed(part, self.settings.noise) for part in (source, x.phi.index_select(0, items)))
        terms = []
        for m, (generate, weights) in enumerate(zip(self.generators, shown.to(g.dtype).unbind(1), strict=True)):
            error = (generate(phi[:, m]) - s[:, m]).square().mean(1)
            if self.translators:
                error = error + (self.translate(source, m) - g[:, m]).square().mean(1)
            terms.append(error @ weights / weights.sum().clamp_min(1))
        return torch.stack(terms).sum()

    # ------------------------------------------------------------------ what the terms are taken over

    def candidates(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of a batch that are contrasted with, int64 [n], and for every row its place among them, int64 [B]."""
        places = torch.arange(len(ids), device=ids.device)
        if not self.settings.contrast_unique:
            return places, places
        distinct, place = torch.unique(ids, return_inverse=True)
        return places.new_full((len(distinct),), len(ids)).scatter_reduce(0, place, places, "amin"), place

    def sample(self, rows: Tensor) -> Tensor:
        """``sampled_items`` of them, without replacement."""
        n = self.settings.sampled_items
        return rows if n is None else rows[torch.randperm(len(rows), device=rows.device)[:n]]

    def target(self, x: Tensor) -> Tensor:
        return x.detach() if self.settings.fixed_targets else x


def info_nce(a: Tensor, b: Tensor, temperature: float, place: Tensor | None = None) -> Tensor:
    """I(a, b; temperature); the positive of a row of a is the same row of b, or the one that ``place`` names."""
    index = torch.arange(len(b), device=b.device) if place is None else place
    return contrast(a, b, index, temperature, among="all")


def mlp(width: int, dim: int) -> nn.Sequential:
    """The form of gen_m and T_m."""
    return nn.Sequential(nn.Linear(width, dim), nn.Tanh(), nn.Linear(dim, dim))
