"""The sweepers of recmm, in a package below ``hydra_plugins``, where Hydra looks for plugins.

They hand over to ``recmm.experiment``, which is imported only when a sweep starts: every start of Hydra imports this
module.
"""

from collections.abc import Sequence
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class _RecmmSweeper(Sweeper):
    """What both sweepers share.

    Args:
        params: `hydra.sweeper.params`, values by key; arguments of the command line replace them.
    """

    hydra_context: HydraContext
    config: DictConfig

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def overrides(self, arguments: Sequence[str]) -> list[Override]:
        """The parsed ``params`` and ``arguments``."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        return parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])


class GridSweeper(_RecmmSweeper):
    """Runs the product of all listed values; finished jobs are skipped and interrupted ones resumed."""

    def sweep(self, arguments: list[str]) -> None:
        from recmm.errors import in_one_sentence
        from recmm.experiment.config.hydra_private import combinations
        from recmm.experiment.sweep.sweeper import run_sweep

        with in_one_sentence():
            jobs = combinations(self.overrides(arguments))
            run_sweep(jobs, self.hydra_context.config_loader, self.config, self.launcher)


class SearchSweeper(_RecmmSweeper):
    """Searches for the values that are best on validation; ``conf/search/default.yaml`` documents the keywords."""

    def __init__(
        self,
        *,
        sampler: Literal["tpe", "random", "grid"],
        n_trials: int,
        n_jobs: int | None,
        seed: int,
        prune: bool,
        prune_startup: int,
        prune_warmup: int,
        params: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(params)  # the search and its runs read the other keywords from the configuration

    def sweep(self, arguments: list[str]) -> None:
        from recmm.errors import in_one_sentence
        from recmm.experiment.search.searcher import run_search

        with in_one_sentence():
            run_search(self.overrides(arguments), self.hydra_context.config_loader, self.config, self.launcher)
