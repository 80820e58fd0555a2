"""Softmax over the edges that meet at a node."""

from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor


def edge_softmax(
    scores: Tensor, nodes: Tensor, n_nodes: int, *, backend: Literal["auto", "native", "scatter"] = "auto"
) -> Tensor:
    """exp(s_e) / sum over edges e' of the same node of exp(s_e').

    Args:
        scores: [n_edges] or [n_edges, heads].
        nodes: int64 [n_edges], the node of each edge; any order, nodes without edges allowed.
        n_nodes: number of nodes.
        backend: "native" uses torch alone, "scatter" the package torch-scatter (extra ``scatter``), "auto" the latter
            where it is installed.

    Returns:
        Weights of the shape of ``scores``; they sum to 1 at every node that has an edge.

    Raises:
        ImportError: if "scatter" is asked for and torch-scatter is not installed.
    """
    if backend == "scatter" or (backend == "auto" and find_spec("torch_scatter") is not None):
        from torch_scatter import scatter_softmax

        return scatter_softmax(scores, nodes, dim=0, dim_size=n_nodes)
    shape = (n_nodes, *scores.shape[1:])
    index = nodes.view(-1, *[1] * (scores.dim() - 1)).expand_as(scores)
    with torch.no_grad():  # a shift per node changes no weight; it only keeps exp() finite
        highest = scores.new_full(shape, -torch.inf).scatter_reduce(0, index, scores, "amax")
    exponentials = (scores - highest.gather(0, index)).exp()
    sums = scores.new_zeros(shape).scatter_add(0, index, exponentials)
    return exponentials / sums.gather(0, index)
