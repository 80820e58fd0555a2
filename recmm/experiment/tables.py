"""The ranked lists of a run as tables: ranks of all held-out pairs, top-50 lists, metrics per user."""

import io
from collections.abc import Mapping
from typing import Any

import polars as pl
import torch
from torch import distributed

from recmm.data.catalog import Catalog
from recmm.data.files.atomic import replace_atomically
from recmm.evaluation.metrics import per_user_metrics
from recmm.experiment.records import Record
from recmm.models.base import RankedBatch


class RankingTables:
    """Collects the ranked chunks of users while a run validates and tests with its best checkpoint."""

    def __init__(self) -> None:
        self._chunks: dict[str, list[RankedBatch]] = {"val": [], "test": []}

    def add(self, split: str, chunk: RankedBatch) -> None:
        """Copy one chunk of ``split``, "val" or "test", to the host; an empty one is ignored."""
        if not len(chunk.users):
            return
        ranks = chunk.ranks._replace(**{name: x.cpu() for name, x in chunk.ranks._asdict().items()})
        self._chunks[split].append(RankedBatch(chunk.users.cpu(), ranks, chunk.top_items.cpu(), chunk.top_scores.cpu()))

    def gather(self, split: str) -> None:
        """In a distributed run, send the chunks of all processes to the first one, in the order of the processes.

        Every process has to call it; all but the first keep no chunks.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            return
        gathered: list[Any] = [None] * distributed.get_world_size()
        own, is_first = self._chunks[split], distributed.get_rank() == 0
        distributed.gather_object(own, gathered if is_first else None)
        self._chunks[split] = [chunk for chunks in gathered for chunk in chunks] if is_first else []

    def ranks(self) -> pl.DataFrame:
        """user, item (dense ids), split, rank (1 = first), candidates (number of items ranked for this user)."""
        return self._concatenate(self._ranks)

    def top_k(self) -> pl.DataFrame:
        """split, user, position (1 = first), item, score; shorter where a user has fewer candidates."""
        return self._concatenate(self._top_k)

    def per_user(self) -> pl.DataFrame:
        """split, user, and one column per accuracy metric."""
        return self._concatenate(self._per_user)

    def tied_share(self) -> float:
        """Share of the lists, of validation and test together, that hold one score only; 0 without lists."""
        n_tied = n_lists = 0
        for chunk in (chunk for chunks in self._chunks.values() for chunk in chunks):
            lengths = (chunk.top_items >= 0).sum(1)
            last = chunk.top_scores.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
            is_list = lengths > 1
            n_tied += int((is_list & ~(chunk.top_scores[:, 0] > last)).sum())  # NaN is not greater, either
            n_lists += int(is_list.sum())
        return n_tied / n_lists if n_lists else 0.0

    def write(self, record: Record, catalog: Catalog | None = None) -> None:
        """Write ranks.parquet, topk.parquet and per_user.parquet, each atomically.

        Args:
            catalog: has the raw labels, the columns ``user_id`` and ``item_id`` beside the dense ids; None: no labels.

        Raises:
            RunError: there is no room or no permission.
        """
        tables: Mapping[str, pl.DataFrame] = {
            "ranks": self.ranks(),
            "topk": self.top_k(),
            "per_user": self.per_user(),
        }
        for name, table in tables.items():
            content = io.BytesIO()
            labelled = table if catalog is None else _with_labels(table, catalog)
            labelled.write_parquet(content)  # not to the file: Polars reports a full disk as any error
            with record.writing(f"{name}.parquet") as path:
                replace_atomically(path, content.getvalue())

    def _concatenate(self, of_chunk) -> pl.DataFrame:  # type: ignore[no-untyped-def]
        return pl.concat([of_chunk(split, chunk) for split, chunks in self._chunks.items() for chunk in chunks])

    @staticmethod
    def _ranks(split: str, chunk: RankedBatch) -> pl.DataFrame:
        rows = chunk.ranks.rows
        return pl.DataFrame(
            {
                "user": chunk.users[rows].int().numpy(),
                "item": chunk.ranks.items.int().numpy(),
                "split": [split] * len(rows),
                "rank": chunk.ranks.ranks.int().numpy(),
                "candidates": chunk.ranks.candidates[rows].int().numpy(),
            }
        )

    @staticmethod
    def _top_k(split: str, chunk: RankedBatch) -> pl.DataFrame:
        n_users, k = chunk.top_items.shape
        table = pl.DataFrame(
            {
                "split": [split] * (n_users * k),
                "user": chunk.users.repeat_interleave(k).int().numpy(),
                "position": (torch.arange(k) + 1).repeat(n_users).short().numpy(),
                "item": chunk.top_items.flatten().int().numpy(),
                "score": chunk.top_scores.float().flatten().numpy(),
            }
        )
        return table.filter(pl.col("item") >= 0)

    @staticmethod
    def _per_user(split: str, chunk: RankedBatch) -> pl.DataFrame:
        metrics = per_user_metrics(chunk.ranks, len(chunk.users))
        columns = {name: value.numpy() for name, value in metrics.items()}
        return pl.DataFrame({"split": [split] * len(chunk.users), "user": chunk.users.int().numpy(), **columns})


def _with_labels(table: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """The raw labels behind the other columns."""
    labels = {"user": catalog.user_ids, "item": catalog.item_ids}
    columns = [
        pl.Series(f"{name}_id", names, dtype=pl.String).gather(table[name])
        for name, names in labels.items()
        if name in table.columns
    ]
    return table.with_columns(columns)
