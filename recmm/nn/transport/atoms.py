"""Items whose rows are equal, as one atom of a distribution."""

import torch
from torch import Tensor

from recmm.graph import Graph

RESOLUTION = 1e-6
"""Relative to the cloud's root mean square row: rows that agree to this count as equal (float32 products differ so)."""


class Atoms:
    """Groups of items [N] -> [K].

    Real clouds repeat themselves: items with one and the same user have one two-hop mean, and items without any visible
    neighbour are all the mean. An entropic plan treats equal rows alike, so solving between distinct rows of unequal
    mass gives the same plan with less work, and its perplexity counts what can be told apart.

    Args:
        labels: int64 [N], the atom of each item, 0..K-1, each used.
    """

    def __init__(self, labels: Tensor) -> None:
        self.labels = labels
        self.mass = torch.bincount(labels).double()
        items = torch.arange(len(labels), device=labels.device)
        self._mean = Graph(labels, items, (len(self.mass), len(labels)), (1 / self.mass[labels]).float())
        self._sum = self._mean.transposed()

    def first(self) -> Tensor:
        """int64 [K]: an item of each atom."""
        items = torch.arange(len(self.labels), device=self.labels.device)
        return torch.empty_like(items[: len(self.mass)]).scatter_(0, self.labels.flip(0), items.flip(0))

    def mean(self, x: Tensor) -> Tensor:
        """[N, d] -> [K, d], of each atom's items."""
        return self._mean(x)

    def to_items(self, x: Tensor) -> Tensor:
        """[K, d] -> [N, d], each item its atom's row."""
        return self._sum(x * self.mass[:, None].float())


def distinct(x: Tensor) -> Atoms:
    """The atoms of a centred cloud [N, d]."""
    scale = x.square().sum(1).mean().sqrt() * RESOLUTION
    _, labels = torch.unique((x / scale.clamp_min(1e-300)).round(), dim=0, return_inverse=True)
    return Atoms(labels)


def separate(x: Tensor) -> Atoms:
    """Every item of [N, d] an atom of its own."""
    return Atoms(torch.arange(len(x), device=x.device))
