"""The contrast of two views of the same nodes: one interface over the kernels of ``info_nce``."""

from typing import Literal

import torch
from torch import Tensor

from recmm.data.batches import first_occurrences
from recmm.losses.info_nce import chunked_info_nce, info_nce


def contrast(
    a: Tensor,
    b: Tensor,
    ids: Tensor,
    temperature: float,
    *,
    among: Literal["batch", "all"] = "batch",
    unique: bool = False,
    merged: bool = False,
    tiled: bool | None = None,
    further: Tensor | None = None,
) -> Tensor:
    """Mean over a batch of -log exp(cos(a_i, b_i) / temperature) / sum over j of exp(cos(a_i, b_j) / temperature).

    Args:
        a: [B, d], the batch's rows in the first view.
        b: the second view: of the batch, [B, d], or of all candidates, [n, d], see ``among``.
        ids: int64 [B], which nodes the rows of ``a`` are; with ``among="all"`` the rows of ``b``.
        temperature: positive.
        among: what j runs over: "batch", the batch's nodes; "all", all rows of ``b``.
        unique: every node of the batch counts once. Otherwise a node that the batch holds several times is as many
            anchors and, with ``among="batch"``, a negative of itself.
        merged: with ``among="all"``, the equal rows of a node are computed once and count as often as the batch holds
            it. The result is the same up to rounding. A GPU computes them all, as counting them would make it wait.
        tiled: whether the logits are computed in tiles, in bounded memory and with no second derivative. By default so
            ``among="all"`` alone; the results of both ways agree up to rounding.
        further: [B, d], one more negative of each row of ``a``; where the logits are not tiled.

    Returns:
        Scalar.

    Raises:
        ValueError: ``merged`` with ``unique``, or among the batch, where a node's rows are negatives too; ``further``
            with tiles or with ``merged``.
    """
    tiled = among == "all" if tiled is None else tiled
    if merged and (unique or among == "batch"):
        raise ValueError("merged needs among='all' and unique=False.")
    if further is not None and (merged or tiled):
        raise ValueError("further needs tiled=False and merged=False.")
    weights, merged = None, merged and a.device.type == "cpu"
    if unique or merged:
        rows = first_occurrences(ids, int(ids.max()) + 1).nonzero()[:, 0]
        weights = torch.bincount(ids)[ids[rows]].to(a.dtype) / len(ids) if merged else None
        a, b, ids = a.index_select(0, rows), b if among == "all" else b.index_select(0, rows), ids[rows]
        further = None if further is None else further.index_select(0, rows)
    positives = ids if among == "all" else torch.arange(len(ids), device=ids.device)
    if tiled:
        return chunked_info_nce(a, b, positives, temperature, weights=weights)
    return info_nce(a, b, positives, temperature, weights=weights, further=further)
