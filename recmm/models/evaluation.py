"""How a method is evaluated: full rankings, once per validation and at test."""

from typing import Any, NamedTuple

import pytorch_lightning as pl
from torch import Tensor, nn

from recmm.data.batches import RankingBatch
from recmm.data.catalog import Catalog
from recmm.evaluation.metrics import ListMetrics, RankingMetrics
from recmm.evaluation.ranking import Ranks, rank_positives, top_k
from recmm.missing.view import ModalityView

TOP_K = 50
"""Length of the lists that are kept at test."""


class Embeddings(NamedTuple):
    """users [n_users, d], items [n_items, d]; the score of a pair is their inner product."""

    users: Tensor
    items: Tensor


class RankedBatch(NamedTuple):
    """One chunk of users, ranked in full: what the run's record keeps of it."""

    users: Tensor
    ranks: Ranks
    top_items: Tensor
    top_scores: Tensor


class Evaluated(pl.LightningModule):
    """Lightning's validation and test steps over ``represent`` or ``score``.

    Attributes:
        results: the newest value of everything that was measured, in double precision.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog
        self.ranking_metrics = RankingMetrics()
        self.list_metrics = ListMetrics(catalog.item_counts())
        self.further_metrics = nn.ModuleDict({name: RankingMetrics() for name in ("warm", "cold")})
        self.results: dict[str, float] = {}
        self._embeddings: Embeddings | None = None
        self._further: tuple[str, ...] = ()
        self._evaluating = False
        self._views: dict[Any, ModalityView] = {}

    def represent(self, view: ModalityView) -> Embeddings:
        """Final embeddings of all users and items under this view."""
        raise TypeError(f"{type(self).__name__} has neither its own represent() nor its own score().")

    def score(self, users: Tensor, view: ModalityView) -> Tensor:
        """Scores of all items for ``users`` (int64 [B]) -> float [B, n_items], a new tensor."""
        if not self._evaluating:
            return self._inner_products(users, self.represent(view))
        if self._embeddings is None:  # one representation serves a whole evaluation
            self._embeddings = self.represent(view)
        return self._inner_products(users, self._embeddings)

    @staticmethod
    def _inner_products(users: Tensor, embeddings: Embeddings) -> Tensor:
        return embeddings.users[users] @ embeddings.items.T

    def view(self, phase: str) -> ModalityView:
        """The datamodule's view of ``phase`` on this module's device."""
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        on_host = datamodule.view(phase)
        key = (on_host.digest, self.device)
        if key not in self._views:
            self._views[key] = on_host.to(self.device)
        return self._views[key]

    def on_validation_epoch_start(self) -> None:
        self._start_evaluation()

    def on_test_epoch_start(self) -> None:
        self._start_evaluation()

    def _start_evaluation(self) -> None:
        self._evaluating, self._embeddings, self._further = True, None, ()
        self.ranking_metrics.reset()
        self.list_metrics.reset()
        for name in self.further_metrics:
            self._metrics_of(name).reset()

    def _metrics_of(self, name: str) -> RankingMetrics:
        """Those of a further set of candidates."""
        metrics = self.further_metrics[name]
        assert isinstance(metrics, RankingMetrics)
        return metrics

    # Lightning hands a step's output to the callbacks as it is; the run's record collects it there.
    def validation_step(self, batch: RankingBatch, batch_idx: int) -> RankedBatch | None:  # type: ignore[override]
        return self._rank(batch, self.view("val"), keep=self.trainer.state.fn != "fit")

    def test_step(self, batch: RankingBatch, batch_idx: int) -> RankedBatch | None:  # type: ignore[override]
        return self._rank(batch, self.view("test"), keep=True)

    def _rank(self, batch: RankingBatch, view: ModalityView, *, keep: bool) -> RankedBatch | None:
        scores = self.score(batch.users, view)
        self._further = tuple(batch.further)
        for name, part in batch.further.items():  # first, as ranking writes into its scores
            self._metrics_of(name).update(rank_positives(scores[part.rows], part.batch), len(part.rows))
        ranks = rank_positives(scores, batch)
        self.ranking_metrics.update(ranks, len(batch.users))
        if not keep:
            return None
        items, values = top_k(scores, TOP_K)
        self.list_metrics.update(items)
        return RankedBatch(batch.users, ranks, items, values)

    def on_validation_epoch_end(self) -> None:
        self._end_evaluation("val", with_lists=self.trainer.state.fn != "fit")

    def on_test_epoch_end(self) -> None:
        self._end_evaluation("test", with_lists=True)

    def _end_evaluation(self, split: str, *, with_lists: bool) -> None:
        self._evaluating = False
        metrics = self.ranking_metrics.compute()
        if with_lists:
            metrics |= self.list_metrics.compute()
        for name in self._further:
            metrics |= {f"{name}/{key}": value for key, value in self._metrics_of(name).compute().items()}
        self._publish({f"{split}/{name}": float(value) for name, value in metrics.items()})

    def _publish(self, values: dict[str, float]) -> None:
        self.results |= values
        self.log_dict(values)
