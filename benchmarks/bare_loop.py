"""The speed floor: LightGCN and I3-MRec in plain PyTorch loops without any framework, on any catalogue.

What ``epoch.py`` compares recmm with. It is a yardstick, not a design: nothing is checked, logged, saved or
configurable, and I3-MRec leaves its compression term (CLUB) out.
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmm.data.dataset import MultimodalDataset

DIM, TOP_K = 64, 20


def symmetric_product(train: sp.csr_matrix) -> Callable[[Tensor], Tensor]:
    adjacency = sp.bmat([[None, train], [train.T, None]]).tocsr()
    degree = np.asarray(adjacency.sum(1)).ravel()
    scale = sp.diags(np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
    adjacency = (scale @ adjacency @ scale).tocsr().astype(np.float32)
    matrix = torch.sparse_csr_tensor(
        torch.from_numpy(adjacency.indptr.astype(np.int64)),
        torch.from_numpy(adjacency.indices.astype(np.int64)),
        torch.from_numpy(adjacency.data),
        adjacency.shape,
    )

    class Product(torch.autograd.Function):  # the matrix equals its transpose, so backward is the same product
        @staticmethod
        def forward(ctx, x):
            return matrix @ x

        @staticmethod
        def backward(ctx, grad):
            return matrix @ grad

    return Product.apply


def propagate(product: Callable[[Tensor], Tensor], x: Tensor, n_layers: int) -> Tensor:
    total, layer = x, x
    for _ in range(n_layers):
        layer = product(layer)
        total = total + layer
    return total / (n_layers + 1)


def bpr(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    return F.softplus((users * (negatives - positives)).sum(1)).mean()


class BareLoop:
    """One method on one catalogue; ``epoch()`` and ``validate()`` return the seconds that they took."""

    def __init__(self, dataset: MultimodalDataset, batch_size: int) -> None:
        torch.manual_seed(0)
        self.rng = np.random.default_rng(0)
        self.train, self.val = dataset.train.csr(), dataset.val.csr()
        self.n_users, self.n_items = self.train.shape
        self.batch_size = batch_size
        coo = self.train.tocoo()
        self.pairs = np.stack([coo.row, coo.col]).astype(np.int64)
        self.keys = np.sort(self.pairs[0] * self.n_items + self.pairs[1])
        self.product = symmetric_product(self.train)
        self.optimizer = torch.optim.Adam(self.build(dataset), 1e-3)

    def build(self, dataset: MultimodalDataset) -> list[nn.Parameter]:
        raise NotImplementedError

    def sample_negatives(self, users: np.ndarray) -> np.ndarray:
        items = self.rng.integers(0, self.n_items, len(users))
        while True:
            keys = users * self.n_items + items
            found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            bad = self.keys[found] == keys
            if not bad.any():
                return items
            items[bad] = self.rng.integers(0, self.n_items, bad.sum())

    def epoch(self) -> float:
        started = time.perf_counter()
        users, items = self.pairs[:, self.rng.permutation(self.pairs.shape[1])]
        columns = [torch.from_numpy(x) for x in (users, items, self.sample_negatives(users))]
        for start in range(0, len(users), self.batch_size):
            self.optimizer.zero_grad()
            self.loss(*(x[start : start + self.batch_size] for x in columns)).backward()
            self.optimizer.step()
        return time.perf_counter() - started

    @torch.no_grad()
    def validate(self) -> float:
        started = time.perf_counter()
        users_emb, items_emb = self.embeddings()
        recall = ndcg = 0.0
        users = np.flatnonzero(np.diff(self.val.indptr))
        discount = 1 / np.log2(np.arange(2, TOP_K + 2))
        ideal = np.cumsum(discount)
        for start in range(0, len(users), 2048):
            chunk = users[start : start + 2048]
            scores = users_emb[chunk] @ items_emb.T
            seen = self.train[chunk].tocoo()
            scores[torch.from_numpy(seen.row).long(), torch.from_numpy(seen.col).long()] = -torch.inf
            top = scores.topk(TOP_K, 1).indices.numpy()
            relevant = self.val[chunk].toarray()
            hits = np.take_along_axis(relevant, top, 1) > 0
            n_relevant = relevant.sum(1).astype(int)
            recall += (hits.sum(1) / n_relevant).sum()
            ndcg += ((hits * discount).sum(1) / ideal[np.minimum(n_relevant, TOP_K) - 1]).sum()
        return time.perf_counter() - started


class BareLightGCN(BareLoop):
    def build(self, dataset: MultimodalDataset) -> list[nn.Parameter]:
        self.table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_users + self.n_items, DIM)))
        return [self.table]

    def embeddings(self) -> tuple[Tensor, Tensor]:
        nodes = propagate(self.product, self.table, 2)
        return nodes[: self.n_users], nodes[self.n_users :]

    def loss(self, u: Tensor, i: Tensor, j: Tensor) -> Tensor:
        users, items = self.embeddings()
        ego = sum(self.table[n].square().sum() for n in (u, self.n_users + i, self.n_users + j))
        return bpr(users[u], items[i], items[j]) + 0.5e-4 * ego / len(u)


class BareI3MRec(BareLoop):
    def build(self, dataset: MultimodalDataset) -> list[nn.Parameter]:
        values = (np.asarray(x, dtype=np.float32) for x in dataset.features.values.values())
        self.features = [F.normalize(torch.from_numpy(np.nan_to_num(x))) for x in values]
        self.n_modalities = len(self.features)
        self.table = nn.Parameter(torch.randn(self.n_users, DIM) * 0.1)
        self.projectors = nn.ModuleList(nn.Linear(x.shape[1], DIM) for x in self.features)
        self.fusion = nn.Linear(DIM, DIM, bias=False)
        nn.init.eye_(self.fusion.weight)
        return [self.table, *self.projectors.parameters(), *self.fusion.parameters()]

    def encode(self) -> tuple[Tensor, ...]:
        layers = [
            F.normalize(torch.cat([self.table, p(x)])) for p, x in zip(self.projectors, self.features, strict=True)
        ]
        return propagate(self.product, torch.cat(layers, 1), 3).split(DIM, 1)

    def fuse(self, x: Tensor, training: bool) -> Tensor:
        return torch.tanh(F.dropout(self.fusion(x), 0.5, training))

    def embeddings(self) -> tuple[Tensor, Tensor]:
        mean = sum(self.encode()) / self.n_modalities
        return self.table + mean[: self.n_users], self.fuse(mean[self.n_users :], False)

    def loss(self, u: Tensor, i: Tensor, j: Tensor) -> Tensor:
        encoded = self.encode()
        environments = torch.stack(
            [bpr(self.table[u] + e[u], e[self.n_users + i], e[self.n_users + j]) for e in encoded]
        )
        items = [e[self.n_users :].detach() for e in encoded]
        mean_items = sum(items) / self.n_modalities
        users = (self.table + sum(e[: self.n_users] for e in encoded) / self.n_modalities)[u]
        z_i, z_j = self.fuse(mean_items[i], True), self.fuse(mean_items[j], True)
        unique = torch.unique(i)
        # All non-empty subsets of the modalities, each fused as a view of its own.
        subsets = [[m for m in range(self.n_modalities) if code >> m & 1] for code in range(1, 1 << self.n_modalities)]
        views = [self.fuse(sum(items[m] for m in subset)[unique] / self.n_modalities, True) for subset in subsets]
        labels = torch.arange(len(unique))
        consistency = sum(
            F.cross_entropy(F.normalize(a) @ F.normalize(b).T / 0.4, labels) for a in views for b in views if a is not b
        )
        reg = 0.5 * (users.square().sum() + z_i.square().sum() + z_j.square().sum()) / len(u)
        variance = environments.var() if self.n_modalities > 1 else 0.0
        loss = bpr(users, z_i, z_j) + environments.sum() + 100 * variance
        return loss + 1e-3 * 7 / 6 * consistency + 1e-3 * reg


BARE_LOOPS = {"lightgcn": BareLightGCN, "i3mrec": BareI3MRec}
