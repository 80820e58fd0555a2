"""iALS (Hu et al., ICDM 2008; Rendle et al., RecSys 2022): implicit feedback by alternating least squares."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph.sparse import row_starts
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.history import TIE, popularity
from recmm.models.settings import MethodSettings, hp
from recmm.models.training import Training
from recmm.seeding import derive

BLOCK = 2**23
"""Numbers of a block's histories and systems that are in memory at a time, 32 MB."""


class IALS(Recommender):
    """Users W and items H minimise, with scores s_ui = w_u h_i,

        sum over training pairs of (s_ui - 1)^2 + alpha sum over all pairs of s_ui^2
            + l2 (sum over u of (d_u + alpha n_items)^nu ||w_u||^2 + sum over i of (d_i + alpha n_users)^nu ||h_i||^2)

    Nothing is trained by gradients. H starts at random; in turn all of W, then all of H are the exact minimisers:

        w_u = (sum of h_i h_i^T + alpha H^T H + l2 (d_u + alpha n_items)^nu I)^-1 sum of h_i, over i that u has

    After the last iteration W is computed once more. The representations have one column beside W and H, which orders
    items that tie, and all items of users without history, by their training interactions.
    """

    class Settings(MethodSettings):
        """``alpha`` and ``l2`` depend on each other and on the dataset; Rendle's are .007 to .3 and .002 to .02."""

        dim: int = hp(64, "width d of the embeddings; more is better, up to 2048 in the paper", ge=1)
        alpha: float = hp(0.1, "weight of all pairs beside 1 for the training pairs; ML-20M .1, Pinterest .007", gt=0)
        l2: float = hp(0.01, "weight of the regulariser; ML-20M .003, Pinterest .02", gt=0)
        nu: float = hp(1.0, "exponent of the frequencies in the regulariser: 1 (Rendle) | 0: none (Hu et al.)", ge=0)
        init_scale: float = hp(0.1, "H starts normal with standard deviation init_scale / sqrt(d); authors .1", gt=0)
        n_iterations: int = hp(16, "updates of W and H; authors 16", ge=1)
        training: Training = hp(Training(), "without effect except for the seed: there are no gradients")

    settings: Settings
    uses_modalities = False
    trained = False

    def __init__(self, catalog: Catalog, **values: Any) -> None:
        super().__init__(catalog, **values)
        s = self.settings
        generator = torch.Generator().manual_seed(derive(s.training.seed, 0, "initialisation"))
        start = torch.randn(catalog.n_items, s.dim, generator=generator) * s.init_scale / s.dim**0.5
        self.register_buffer("start", start)
        pairs = catalog.train_users, catalog.train_items
        order = torch.argsort(pairs[1], stable=True)
        histories = {"items": (*pairs, catalog.n_users), "users": (pairs[1][order], pairs[0][order], catalog.n_items)}
        for name, (rows, columns, n_rows) in histories.items():
            self.register_buffer(f"{name}_first", row_starts(rows, n_rows), persistent=False)
            self.register_buffer(name, columns, persistent=False)
        self.register_buffer("popularity", popularity(catalog), persistent=False)

    def prepare(self, view: ModalityView) -> Embeddings:
        items = self.get_buffer("start")
        for _ in range(self.settings.n_iterations):
            users = self.solved("items", items)
            items = self.solved("users", users)
        return Embeddings(self.solved("items", items), items)

    def represent(self, view: ModalityView) -> Embeddings:
        users, items = self.prepared(view)
        ties = TIE * self.get_buffer("popularity")
        return Embeddings(F.pad(users, (0, 1), value=1.0), torch.cat([items, ties[:, None]], 1))

    def solved(self, name: str, fixed: Tensor) -> Tensor:
        """The minimisers [n, d] for nodes whose histories are ``name``, beside all rows of ``fixed`` [m, d]."""
        s, identity = self.settings, torch.eye(self.settings.dim, device=fixed.device)
        shared = s.alpha * fixed.T @ fixed
        padded = F.pad(fixed, (0, 0, 0, 1))  # a last row of zeros, for places after the end of a history
        sizes = self.get_buffer(f"{name}_first").diff()
        weights = s.l2 * (sizes + s.alpha * len(fixed)) ** s.nu
        result = fixed.new_zeros(len(sizes), s.dim)
        for rows, places in self.blocks(name, len(fixed)):
            own = padded[places]
            systems = own.mT @ own + shared + weights[rows, None, None] * identity
            factors = torch.linalg.cholesky(systems)
            result[rows] = torch.cholesky_solve(own.sum(1)[..., None], factors)[..., 0]
        return result

    def blocks(self, name: str, absent: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Nodes with a history, int64 [b], of similar sizes, and what they have, int64 [b, largest size].

        Shorter histories end with ``absent``.
        """
        first, columns = self.get_buffer(f"{name}_first"), self.get_buffer(name)
        sizes = first.diff()
        order = sizes.argsort(descending=True, stable=True)[: int((sizes > 0).sum())]
        ordered, start = sizes[order].tolist(), 0
        while start < len(order):
            largest = ordered[start]
            here = slice(start, start + max(1, BLOCK // (self.settings.dim * (largest + 3 * self.settings.dim))))
            rows, steps = order[here], torch.arange(largest, device=columns.device)
            places = (first[rows, None] + steps).clamp_max(len(columns) - 1)
            yield rows, columns[places].masked_fill(steps >= sizes[rows, None], absent)
            start = here.stop
