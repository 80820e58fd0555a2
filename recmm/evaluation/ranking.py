"""The rank of every held-out pair among its user's candidates, and the top-k lists.

Ranks come from counting, not from sorting: a positive's rank is the number of candidates that score at least as high.
Cut-offs, metrics and strata are all functions of these ranks.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from recmm.data.batches import RankingBatch

# Bytes of one block of work: small enough for a CPU's cache, large enough to keep a GPU busy.
_BLOCK_BYTES = {"cpu": 8 << 20}
_DEVICE_BLOCK_BYTES = 64 << 20
# From this many positives in one row on, sorting the row is cheaper than a comparison pass for each (measured on CPU).
_DENSE_ROW = 64


class Ranks(NamedTuple):
    """The ranks of the held-out pairs of one batch.

    Attributes:
        rows, items: int64 [P], the pairs in the order of the batch; ``rows`` index into the batch's users.
        ranks: int64 [P], 1 is first; the ranks of one row are distinct.
        candidates: int64 [B], the number of ranked items of each row (its positives included): the worst possible rank.
    """

    rows: Tensor
    items: Tensor
    ranks: Tensor
    candidates: Tensor


def rank_positives(scores: Tensor, batch: RankingBatch) -> Ranks:
    """Rank every positive of ``batch`` among its row's candidates; excluded entries of ``scores`` become -inf in place.

    Ties are pessimistic: a positive ranks behind every candidate that is no positive and ties with it; positives of
    one row that tie among each other stand in the order of the batch. So a constant score never looks like a good one,
    and the ranks do not depend on how a top-k happens to break ties. Half precision makes ties frequent; comparing
    it as float32 cannot undo them.

    NaN is pessimistic too: a positive whose score is NaN ranks last (it becomes -inf in place), and any other
    candidate whose score is NaN ranks before every positive.

    Args:
        scores: float [B, n_items], on any device, with memory of its own (it is written to).

    Raises:
        ValueError: ``scores`` does not fit the batch, or its rows share memory (the result of ``expand``).
    """
    n_rows, n_items = scores.shape
    if n_rows != len(batch.users):
        raise ValueError(f"scores have {n_rows} rows, but the batch has {len(batch.users)} users")
    if n_rows > 1 and scores.stride(0) == 0:
        raise ValueError("the rows of scores share memory, so excluding items per row would mix users up: clone them")
    scores[batch.excluded_rows, batch.excluded_items] = -torch.inf
    if batch.candidates is not None:
        scores.masked_fill_(~batch.candidates, -torch.inf)
    rows, items = batch.positive_rows, batch.positive_items
    positives = scores[rows, items]
    positives = positives.masked_fill(positives.isnan(), -torch.inf)
    scores[rows, items] = positives

    candidates = _count_candidates(batch, n_rows, n_items)
    # "Not below" rather than "at or above": a NaN candidate counts. Excluded items reach only a positive that is -inf.
    worst = torch.minimum(n_items - _count_below(scores, rows, positives), candidates[rows])
    # Equal worst ranks in one row are tied positives: all but the last of them move up.
    key, order = torch.sort(rows * (n_items + 1) + worst, stable=True)
    tied_behind = torch.searchsorted(key, key, right=True) - 1 - torch.arange(len(key), device=key.device)
    ranks = worst.index_add(0, order, tied_behind, alpha=-1)
    return Ranks(rows, items, ranks, candidates)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` best items of every row, best first: ``(items int64 [B, k], scores float32 or float64 [B, k])``.

    Call it after ``rank_positives``, so that excluded entries are -inf: those, and the places beyond the catalogue's
    end, are item -1 with score -inf. Items that tie at the end of a list are chosen arbitrarily, whereas ranks are
    pessimistic: metrics come from the ranks.
    """
    width = min(k, scores.shape[1])
    values, items = scores.topk(width, dim=1)
    values = _as_single(values)
    items = items.masked_fill(values == -torch.inf, -1)
    if width < k:
        values = torch.nn.functional.pad(values, (0, k - width), value=-torch.inf)
        items = torch.nn.functional.pad(items, (0, k - width), value=-1)
    return items, values


def _as_single(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores


def _count_candidates(batch: RankingBatch, n_rows: int, n_items: int) -> Tensor:
    """int64 [B]: items of each row that are not excluded."""
    if batch.candidates is None:
        return n_items - torch.bincount(batch.excluded_rows, minlength=n_rows)
    excluded_candidates = batch.excluded_rows[batch.candidates[batch.excluded_items]]
    return batch.candidates.sum() - torch.bincount(excluded_candidates, minlength=n_rows)


def _count_below(scores: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """int64 [P]: entries of the row ``rows[p]`` that are strictly below ``positives[p]``; NaN is below nothing."""
    n_rows = len(scores)
    if len(rows) == n_rows:  # one positive in each row: blocks of rows need no copy
        return _compare(scores, None, positives)
    per_row = torch.bincount(rows, minlength=n_rows)
    dense = per_row >= _DENSE_ROW
    if not bool(dense.any()):
        return _compare(scores, rows, positives)
    below = torch.empty(len(rows), dtype=torch.int64, device=rows.device)
    in_dense = dense[rows]
    below[~in_dense] = _compare(scores, rows[~in_dense], positives[~in_dense])
    below[in_dense] = _search(scores, rows[in_dense], positives[in_dense])
    return below


def _block_rows(scores: Tensor, bytes_per_item: int) -> int:
    """How many rows of ``scores`` make one block of work."""
    block = _BLOCK_BYTES.get(scores.device.type, _DEVICE_BLOCK_BYTES)
    return max(1, block // (bytes_per_item * scores.shape[1]))


def _compare(scores: Tensor, rows: Tensor | None, positives: Tensor) -> Tensor:
    """One comparison pass over a row for each positive; ``rows`` None: positive p belongs to row p."""
    n_items = scores.shape[1]
    size = min(len(positives), _block_rows(scores, 4))
    # 0/1 as float32 sums several times faster than bool, and exactly below 2**24 items.
    number = torch.float32 if n_items < 1 << 24 else torch.float64
    is_below = torch.empty(size, n_items, dtype=number, device=scores.device)
    below = torch.empty(len(positives), dtype=torch.int64, device=scores.device)
    for start in range(0, len(positives), max(1, size)):
        stop = min(start + size, len(positives))
        block = scores[start:stop] if rows is None else scores[rows[start:stop]]
        out = is_below[: stop - start]
        torch.lt(_as_single(block), _as_single(positives[start:stop, None]), out=out)
        below[start:stop] = out.sum(1)
    return below


def _search(scores: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """One sort for each row that occurs in ``rows`` (sorted), then a binary search for each positive."""
    present, row, counts = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
    first = counts.cumsum(0) - counts
    column = torch.arange(len(rows), device=rows.device) - first[row]
    bounds = [*first.tolist(), len(rows)]
    size = _block_rows(scores, 16)  # a sort holds values and int64 indices
    below = []
    for start in range(0, len(present), size):
        stop = min(start + size, len(present))
        here = slice(bounds[start], bounds[stop])
        block = _as_single(scores[present[start:stop]])
        block = block.masked_fill(block.isnan(), torch.inf).sort(dim=1).values
        wanted = block.new_full((stop - start, int(counts[start:stop].max())), -torch.inf)
        wanted[row[here] - start, column[here]] = _as_single(positives[here])
        below.append(torch.searchsorted(block, wanted)[row[here] - start, column[here]])
    return torch.cat(below)
