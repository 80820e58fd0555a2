"""InfoNCE: dense, tiled against many candidates, and over all pairs of several views."""

from itertools import combinations
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_SAFE_TEMPERATURE = 1 / 40
"""From here on exp(cosine / temperature) cannot overflow."""
LOGITS = {"cpu": 2**20, "gpu": 2**25}
"""Logits of a contrast against all nodes that are in memory at a time: 4 MB stay in a cache, 128 MB fill a GPU."""


def info_nce(
    anchors: Tensor,
    candidates: Tensor,
    positives: Tensor,
    temperature: float,
    *,
    weights: Tensor | None = None,
    further: Tensor | None = None,
) -> Tensor:
    """Mean of -log softmax of the cosines / temperature at the positive (van den Oord et al., 2018).

    Args:
        anchors: [n, d].
        candidates: [c, d], the positives among them.
        positives: int64 [n], the row of ``candidates`` that belongs to each anchor.
        weights: positive float [n]; the sum of the anchors' terms with these weights, in place of the mean.
        further: [n, d], one more negative of each anchor, which is no candidate of the others.
    """
    anchors = F.normalize(anchors, dim=-1)
    logits = anchors @ F.normalize(candidates, dim=-1).T / temperature
    if further is not None:
        cosines = (anchors * F.normalize(further, dim=-1)).sum(1, keepdim=True)
        logits = torch.cat([logits, cosines / temperature], 1)
    if weights is None:
        return F.cross_entropy(logits, positives)
    return weights @ F.cross_entropy(logits, positives, reduction="none")


class _MeanLogSumExp(torch.autograd.Function):
    """Mean, or weighted sum, over n rows of the log-sum-exp over c candidates, [n, d] and [c, d] -> scalar.

    The gradient of a sum is known up to a factor while a chunk's logits are there, so it is summed up at once: no
    logits are kept, and none are computed twice.
    """

    @staticmethod
    def forward(
        ctx: Any,
        scaled: Tensor,
        candidates: Tensor,
        weights: Tensor | None,
        excluded: Tensor | None,
        shift: bool,
        rows: int,
    ) -> Tensor:
        total, of_rows, of_candidates = scaled.new_zeros(()), torch.empty_like(scaled), torch.zeros_like(candidates)
        with torch.autocast(scaled.device.type, enabled=False):
            for start in range(0, len(scaled), rows):
                here = slice(start, start + rows)
                part, gradient = scaled[here], of_rows[here]
                exponentials = part @ candidates.T
                if excluded is not None:
                    exponentials.scatter_(1, excluded[here, None], -torch.inf)
                if shift:
                    highest = exponentials.amax(1, keepdim=True)
                    total += (highest if weights is None else highest[:, 0] * weights[here]).sum()
                    exponentials -= highest
                sums = exponentials.exp_().sum(1, keepdim=True)
                logs = sums.log()
                if weights is not None:
                    logs, sums = logs[:, 0] * weights[here], sums / weights[here, None]
                total += logs.sum()
                gradient.copy_(exponentials @ candidates / sums)
                of_candidates.addmm_(exponentials.T, part / sums)
        ctx.save_for_backward(of_rows, of_candidates)
        ctx.divisor = len(scaled) if weights is None else 1
        return total / ctx.divisor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        of_rows, of_candidates = ctx.saved_tensors
        factor = grad / ctx.divisor
        return factor * of_rows, factor * of_candidates, None, None, None, None


def chunked_info_nce(
    anchors: Tensor,
    candidates: Tensor,
    positives: Tensor,
    temperature: float,
    *,
    weights: Tensor | None = None,
    excluded: Tensor | None = None,
    limit: int | None = None,
) -> Tensor:
    """``info_nce`` against so many candidates that n x c logits would not fit, and faster than it from some thousands.

    Args:
        anchors, candidates, positives, temperature, weights: as in ``info_nce``.
        excluded: int64 [n], a row of ``candidates`` that is none of an anchor's, such as the anchor itself.
        limit: logits in memory at a time, ``LOGITS`` of the device if not given; at least one anchor's are.
    """
    anchors, candidates = F.normalize(anchors, dim=-1), F.normalize(candidates, dim=-1)
    scaled = anchors / temperature
    rows = _chunk(candidates, limit)
    sums = _MeanLogSumExp.apply(scaled, candidates, weights, excluded, temperature < _SAFE_TEMPERATURE, rows)
    own = (scaled * candidates.index_select(0, positives)).sum(1)
    return sums - (own.mean() if weights is None else weights @ own)


def mean_log_sum_exp(x: Tensor, candidates: Tensor, *, limit: int | None = None) -> Tensor:
    """Mean over the rows of log sum over candidates c of exp(x_i c), in bounded memory; [n, d] and [c, d] -> scalar.

    Args:
        limit: as in ``chunked_info_nce``.
    """
    mean: Tensor = _MeanLogSumExp.apply(x, candidates, None, None, True, _chunk(candidates, limit))
    return mean


def _chunk(candidates: Tensor, limit: int | None) -> int:
    """Anchors whose logits are in memory at a time."""
    limit = limit or LOGITS["cpu" if candidates.device.type == "cpu" else "gpu"]
    return max(limit // len(candidates), 1)


def mutual_info_nce(a: Tensor, b: Tensor, temperature: float, anchors: Tensor | None = None) -> Tensor:
    """InfoNCE of n nodes in two views, [n, d] each, with the other nodes of both views as negatives (GRACE, Zhu et al.,
    2020). It is the mean over i of

        -log exp(cos(a_i, b_i) / temperature) / (sum_j exp(cos(a_i, b_j) / temperature)
                                                 + sum over j other than i of exp(cos(a_i, a_j) / temperature))

    Args:
        anchors: int64, the i that the mean runs over; all n if not given.
    """
    anchors = torch.arange(len(a), device=a.device) if anchors is None else anchors
    rows, both = a.index_select(0, anchors), torch.cat([b, a])
    return chunked_info_nce(rows, both, anchors, temperature, excluded=len(b) + anchors)


def pairwise_info_nce(
    views: Tensor,
    temperature: float,
    *,
    pairs: Literal["ordered", "unordered"] = "ordered",
    negatives: Literal["cross", "intra"] = "cross",
) -> Tensor:
    """Sum of InfoNCE over all pairs of K views, [K, n, d] -> scalar; 0 for a single view.

    (a, b) and (b, a) share one matrix of similarities: its rows serve the first, its columns the second.

    Args:
        pairs: "ordered" takes (a, b) and (b, a), "unordered" only a before b.
        negatives: "cross" contrasts with the rows of the other view, the positive among them (InfoNCE); "intra" with
            the rows of the anchor's own view, itself among them and the positive not (I3-MRec Eq. 13 as printed).
    """
    views = F.normalize(views, dim=-1)
    scaled = views / temperature
    total = views.new_zeros(())
    own = [_log_sums(v @ w.T, temperature)[0] for v, w in zip(scaled, views, strict=True) if negatives == "intra"]
    for a, b in combinations(range(len(views)), 2):
        forth, back = (own[a], own[b]) if own else _log_sums(scaled[a] @ views[b].T, temperature)
        positive = (scaled[a] * views[b]).sum(1)
        total = total + (forth - positive).mean()
        if pairs == "ordered":
            total = total + (back - positive).mean()
    return total


def _log_sums(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-sum-exp of each row and of each column of cosines / temperature, [n, n] -> [n], [n].

    Cosines bound the logits by 1 / temperature. Where exp() cannot overflow, one exponential serves rows and columns
    without the usual shift by the maximum; it is the most expensive operation of a training step.
    """
    if temperature < _SAFE_TEMPERATURE:
        return logits.logsumexp(1), logits.logsumexp(0)
    exponentials = logits.exp()
    return exponentials.sum(1).log(), exponentials.sum(0).log()
