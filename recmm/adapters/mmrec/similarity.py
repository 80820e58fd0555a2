"""What a model file imports as ``utils.utils``: cosines of items and graphs of their nearest neighbours."""

import torch
from torch import Tensor


def build_sim(context: Tensor) -> Tensor:
    """Cosines [n, n] of the rows of ``context`` [n, d]; NaN for rows of zeros, as model files expect."""
    unit = context / torch.linalg.vector_norm(context, dim=-1, keepdim=True)
    return unit @ unit.T


def build_knn_neighbourhood(adj: Tensor, topk: int) -> Tensor:
    """``adj`` [n, n] with the ``topk`` largest entries of every row kept, 0 elsewhere."""
    values, columns = torch.topk(adj, topk, dim=-1)
    return torch.zeros_like(adj).scatter_(-1, columns, values)


def compute_normalized_laplacian(adj: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of a dense A [n, n], D its row sums; the factor of an empty row is 0."""
    factors = _finite_power(adj.sum(-1), -0.5)
    return factors[:, None] * adj * factors


def build_knn_normalized_graph(adj: Tensor, topk: int, is_sparse: bool, norm_type: str) -> Tensor:
    """The ``topk`` largest entries of every row of ``adj`` [n, n], normalised by the row sums D of what is kept.

    Args:
        is_sparse: a sparse COO tensor, or a dense one.
        norm_type: "sym": D^-1/2 A D^-1/2; "rw": D^-1 A; "none": A.
    """
    values, columns = torch.topk(adj, topk, dim=-1)
    rows = torch.arange(len(adj), device=adj.device).repeat_interleave(topk)
    flat, columns = values.flatten(), columns.flatten()
    sums = values.sum(-1)
    if norm_type == "sym":
        factors = _finite_power(sums, -0.5)
        flat = factors[rows] * flat * factors[columns]
    elif norm_type == "rw":
        flat = _finite_power(sums, -1.0)[rows] * flat
    elif norm_type != "none":
        raise ValueError(f"norm_type is {norm_type!r}: choose sym, rw or none.")
    graph = torch.sparse_coo_tensor(torch.stack([rows, columns]), flat, adj.shape, check_invariants=False)
    return graph if is_sparse else graph.to_dense()


def _finite_power(sums: Tensor, exponent: float) -> Tensor:
    powers = sums.pow(exponent)
    return powers.masked_fill(powers.isinf(), 0.0)
