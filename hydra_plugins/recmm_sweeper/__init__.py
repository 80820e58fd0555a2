"""Where Hydra looks for sweepers: in packages below ``hydra_plugins``. The work is done in ``recmm.experiment``.

Every start of Hydra imports this module, so it imports nothing heavy.
"""

from typing import Any, Literal

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


class GridSweeper(BasicSweeper):
    """Hydra's product of all listed values, where finished jobs are skipped and interrupted ones resumed."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        super().__init__(max_batch_size=None, params=params)

    def sweep(self, arguments: list[str]) -> None:
        from recmm.experiment.sweep.sweeper import run_sweep

        assert self.hydra_context is not None and self.config is not None and self.launcher is not None
        [combinations] = self.split_arguments(_overrides(self, arguments), None)
        run_sweep(combinations, self.hydra_context.config_loader, self.config, self.launcher)


class SearchSweeper(BasicSweeper):
    """Draws values and compares them on validation. ``conf/search/default.yaml`` says what the keywords are."""

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
        super().__init__(max_batch_size=None, params=params)  # the rest is read from the configuration, by jobs too

    def sweep(self, arguments: list[str]) -> None:
        from recmm.errors import RecmmError, leave
        from recmm.experiment.search.searcher import run_search

        assert self.hydra_context is not None and self.config is not None and self.launcher is not None
        try:
            run_search(_overrides(self, arguments), self.hydra_context.config_loader, self.config, self.launcher)
        except RecmmError as error:  # Hydra would show a traceback
            leave(error)


def _overrides(sweeper: BasicSweeper, arguments: list[str]) -> list[Override]:
    assert sweeper.hydra_context is not None
    parser = OverridesParser.create(config_loader=sweeper.hydra_context.config_loader)
    return parser.parse_overrides([*sweeper._parse_config(), *arguments])
