"""A finished run as an object: its numbers, its configuration, and what it recommends."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl
from omegaconf import OmegaConf
from torch import Tensor

from recmm.deploy.checkpoint import BEST, find_checkpoint, read_deployed
from recmm.deploy.lists import SCHEMA, SIMILAR, known, most_popular, recommend, similar
from recmm.deploy.scoring import Scorer, scorer_of
from recmm.errors import DataError, RunError
from recmm.experiment.verification import holds_record
from recmm.report.comparison.short import METRICS, short_table
from recmm.report.records.folders import read_record


class Run:
    """A finished run, made by ``recmm.train`` or ``recmm.load_run``; everything is read when it is first asked for.

    Attributes:
        checkpoint: its best checkpoint.
        folder: of its record; None where there is only a checkpoint.
    """

    def __init__(self, path: Path) -> None:
        self.checkpoint = find_checkpoint(path)
        folder = path if path.is_dir() else self.checkpoint.parent.parent
        self.folder = folder if (folder / BEST).exists() and holds_record(folder) else None

    def __repr__(self) -> str:
        return f"<run {self.folder or self.checkpoint}>"

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of `result.json`.

        Raises:
            RunError: there is no record beside the checkpoint, or it is damaged.
        """
        return read_record(self._recorded())

    @property
    def metrics(self) -> dict[str, float]:
        """Its numbers by name, such as ``test/recall@20``."""
        return {name: value for name, value in self.result.items() if name.startswith(("val/", "test/"))}

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, without paths of the machine that ran it."""
        content: Any = OmegaConf.to_container(OmegaConf.load(self._recorded() / "config.yaml"))
        return content

    @cached_property
    def history(self) -> pl.DataFrame:
        """One row per epoch; empty for a method that is not trained."""
        path = self._recorded() / "metrics.csv"
        return pl.read_csv(path, infer_schema_length=None) if path.is_file() else pl.DataFrame()

    @cached_property
    def scorer(self) -> Scorer:
        """What scores users and items, with the catalogue in ``scorer.deployed.catalog``."""
        return scorer_of(read_deployed(self.checkpoint))

    def recommend(
        self,
        users: Sequence[Any],
        k: int = 20,
        *,
        candidates: Sequence[Any] | None = None,
        exclude_seen: bool = True,
        cold: Literal["refuse", "popular", "nothing"] = "refuse",
    ) -> pl.DataFrame:
        """The ``k`` best items of each user: columns user, position (1 is best), item, score.

        Args:
            users: raw ids.
            candidates: raw ids of the only items to recommend; None for all.
            exclude_seen: leave out the items of a user's training interactions.
            cold: for users whom the catalogue does not know: an error, the most popular items (their score is null), or
                no list.

        Raises:
            DataError: a user or candidate is not in the catalogue.
            ConfigError: ``k`` is below 1.
        """
        catalog = self.scorer.deployed.catalog
        found = known([str(user) for user in users], catalog.user_ids)
        if found.unknown and cold == "refuse":
            raise DataError(f"{found.told('user')} cold='popular' or cold='nothing' serves the others.")
        chosen = None if candidates is None else self._items(candidates)
        tables = list(recommend(self.scorer, found.ids, k, candidates=chosen, exclude_seen=exclude_seen))
        if cold == "popular" and found.unknown:
            tables.append(most_popular(self.scorer, found.unknown, k, candidates=chosen))
        return pl.concat([pl.DataFrame(schema=SCHEMA), *tables])

    def similar_items(self, items: Sequence[Any], k: int = 10) -> pl.DataFrame:
        """The ``k`` most similar items: columns item, position, similar, similarity.

        Items are similar by the cosine of their embeddings, or by the method's item-to-item matrix.

        Raises:
            DataError: an item is not in the catalogue.
            ConfigError: ``k`` is below 1.
        """
        return pl.concat([pl.DataFrame(schema=SIMILAR), *similar(self.scorer, self._items(items), k)])

    def _items(self, labels: Sequence[Any]) -> Tensor:
        found = known([str(label) for label in labels], self.scorer.deployed.catalog.item_ids)
        if found.unknown:
            raise DataError(str(found.told("item")))
        return found.ids

    def _recorded(self) -> Path:
        if self.folder is None:
            raise RunError(f"{self.checkpoint} lies in no folder of a run: it has no metrics and no configuration.")
        return self.folder


def load_run(path: str | Path) -> Run:
    """A finished run: its folder, or a best.ckpt alone.

    Raises:
        CheckpointError: there is no checkpoint.
    """
    return Run(Path(path).expanduser())


def compare(runs: Sequence[Run | str | Path], metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """The report's comparison of runs with its paired tests, one row per metric, condition and method.

    Args:
        runs: finished runs, or folders of runs and sweeps.
        metrics: without their split, such as recall@20.

    Returns:
        A Polars frame: see ``recmm.report.comparison.compare.compare``, with the column ``metric`` before.

    Raises:
        RunError: the runs cannot be compared: other data, other masks, or no such metric.
    """
    folders = [run._recorded() if isinstance(run, Run) else Path(run).expanduser() for run in runs]
    return short_table(folders, metrics)
