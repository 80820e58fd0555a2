"""Lists with raw labels: the best items for users, and the most similar items, in blocks of bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch
from torch import Tensor

from recmm.deploy.scoring import Scorer
from recmm.errors import ConfigError
from recmm.evaluation.ranking import top_k

SCHEMA = pl.Schema({"user": pl.String, "position": pl.Int32, "item": pl.String, "score": pl.Float32})
"""Columns of a table of lists; position 1 is the best item."""
SIMILAR = pl.Schema({"item": pl.String, "position": pl.Int32, "similar": pl.String, "similarity": pl.Float32})
"""Columns of a table of similar items."""

_ROWS_PER_USER = 4  # float32 rows of n_items at a time: scores, an addend, the selection of the best
_NAMED = 5  # unknown labels that a message names


@dataclass(frozen=True)
class Known:
    """Raw labels and their dense ids.

    Attributes:
        labels, ids: those of the catalogue, in the order given; ids int64 [n].
        unknown: the others.
    """

    labels: pl.Series
    ids: Tensor
    unknown: list[str]

    def told(self, what: str) -> str | None:
        """A sentence that counts and names the unknown ones; None if there are none."""
        if not self.unknown:
            return None
        n = len(self.ids) + len(self.unknown)
        more = f" and {len(self.unknown) - _NAMED:,} more" if len(self.unknown) > _NAMED else ""
        named = ", ".join(self.unknown[:_NAMED])
        return f"{len(self.unknown):,} of {n:,} {what}s are not in the catalogue: {named}{more}."


def known(labels: Sequence[str], catalogue: Sequence[str]) -> Known:
    """Look ``labels`` up in those of the catalogue (dense id -> label); of repeated ones the first stays."""
    given = pl.DataFrame({"label": pl.Series(list(labels), dtype=pl.String)}).unique(maintain_order=True)
    places = pl.DataFrame({"label": pl.Series(catalogue, dtype=pl.String)}).with_row_index("id")
    found = given.join(places, on="label", how="left", maintain_order="left")
    inside = found.filter(pl.col("id").is_not_null())
    ids = torch.from_numpy(inside["id"].cast(pl.Int64).to_numpy().copy())
    return Known(inside["label"], ids, found.filter(pl.col("id").is_null())["label"].to_list())


def recommend(
    scorer: Scorer,
    users: Tensor,
    k: int,
    *,
    candidates: Tensor | None = None,
    exclude_seen: bool = True,
    memory_mb: int = 256,
) -> Iterator[pl.DataFrame]:
    """The ``k`` best items of every user as tables of `SCHEMA`, a block of users at a time.

    A list is shorter where fewer items are left. The score of an item is what the run ranked with.

    Args:
        users: int64 [n], dense ids.
        candidates: int64 [m], dense ids of the only items to recommend; None for all.
        exclude_seen: leave out the items of the user's training interactions, as the run's evaluation did.
        memory_mb: MiB that the scores of a block and what is computed from them may take.

    Raises:
        ConfigError: ``k`` is below 1.
    """
    catalog = scorer.deployed.catalog
    _check_length(k)
    names, items = pl.Series(catalog.user_ids, dtype=pl.String), pl.Series(catalog.item_ids, dtype=pl.String)
    left_out = _all_but(candidates, catalog.n_items)
    for block in _blocks(users, catalog.n_items, memory_mb):
        scores = scorer.scores(block)
        if exclude_seen:
            scores[scorer.seen(block)] = -torch.inf
        if left_out is not None:
            scores.masked_fill_(left_out, -torch.inf)
        yield _table(names, block, items, *top_k(scores, k), SCHEMA)


def similar(
    scorer: Scorer, items: Tensor, k: int, *, candidates: Tensor | None = None, memory_mb: int = 256
) -> Iterator[pl.DataFrame]:
    """The ``k`` items most similar to each of ``items`` (int64 [n]), itself left out, as tables of `SIMILAR`.

    The other arguments are those of ``recommend``; see the scorers for what similar means.
    """
    catalog = scorer.deployed.catalog
    _check_length(k)
    names = pl.Series(catalog.item_ids, dtype=pl.String)
    left_out = _all_but(candidates, catalog.n_items)
    for block in _blocks(items, catalog.n_items, memory_mb):
        values = scorer.similarities(block)
        values[torch.arange(len(block)), block] = -torch.inf
        if left_out is not None:
            values.masked_fill_(left_out, -torch.inf)
        yield _table(names, block, names, *top_k(values, k), SIMILAR)


def most_popular(scorer: Scorer, users: Sequence[str], k: int, *, candidates: Tensor | None = None) -> pl.DataFrame:
    """The items with the most training interactions for users that the catalogue does not know; their score is null."""
    catalog = scorer.deployed.catalog
    counts = catalog.item_counts().double()
    if candidates is not None:
        counts[_all_but(candidates, catalog.n_items)] = -torch.inf
    best = counts.sort(descending=True, stable=True)
    best_items = best.indices[best.values >= 0][:k]
    items = pl.Series(catalog.item_ids, dtype=pl.String).gather(best_items.numpy())
    one = pl.DataFrame({"position": range(1, len(items) + 1), "item": items, "score": None})
    table = pl.DataFrame({"user": pl.Series(list(users), dtype=pl.String)}).join(one, how="cross")
    return table.cast(SCHEMA)


def _check_length(k: int) -> None:
    if k < 1:
        raise ConfigError(f"k is {k}: a list has at least 1 item.")


def _all_but(candidates: Tensor | None, n_items: int) -> Tensor | None:
    """bool [n_items]: the items that are no candidates."""
    if candidates is None:
        return None
    left_out = torch.ones(n_items, dtype=torch.bool)
    left_out[candidates] = False
    return left_out


def _blocks(ids: Tensor, n_items: int, memory_mb: int) -> Iterator[Tensor]:
    if len(ids):
        yield from ids.split(max(1, (memory_mb << 20) // (_ROWS_PER_USER * 4 * n_items)))


def _table(
    rows: pl.Series, block: Tensor, columns: pl.Series, items: Tensor, values: Tensor, schema: dict[str, Any]
) -> pl.DataFrame:
    """One line per entry of the lists ``items`` and ``values`` [B, k]; -1 ends a list."""
    kept = items >= 0
    row, place = kept.nonzero(as_tuple=True)
    parts = [
        rows.gather(block[row].numpy()),
        pl.Series((place + 1).int().numpy()),
        columns.gather(items[kept].numpy()),
        pl.Series(values[kept].float().numpy()),
    ]
    return pl.DataFrame(dict(zip(schema, parts, strict=True)), schema=schema)
