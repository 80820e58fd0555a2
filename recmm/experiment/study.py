"""The study of a search: Optuna's database in the search's folder. The search and its runs write to it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from recmm.errors import ConfigError
from recmm.experiment.callbacks import Checkpoints
from recmm.experiment.records import Record
from recmm.models.base import Recommender

if TYPE_CHECKING:
    import optuna

STUDY_FILE = "search.db"
_WAIT_SECONDS = 60  # for another process that is writing to the database


def open_study(folder: Path, settings: DictConfig) -> "optuna.Study":
    """The study in ``folder``, created if there is none; ``settings``, Hydra's sweeper node, sets the pruner.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("A search needs Optuna: pip install 'recmm[search]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=_storage(folder),
        study_name="search",
        sampler=optuna.samplers.RandomSampler(),  # unused: the search sets one for each trial
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(settings.prune_startup, settings.prune_warmup)
        if settings.prune
        else optuna.pruners.NopPruner(),
    )


def trial_of(study: "optuna.Study", number: int) -> "optuna.Trial":
    """A handle to report to a trial that was created earlier or by another process."""
    from optuna.trial import Trial

    return Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)


def _storage(folder: Path) -> "optuna.storages.BaseStorage":
    import optuna

    url = f"sqlite:///{(folder / STUDY_FILE).resolve()}"
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _WAIT_SECONDS}})


class Pruning(Callback):
    """Reports the validation metric to the study after every epoch, and ends the run if the pruner says so.

    A pruned run is not tested; its record has the status ``pruned`` and no metrics. A run that ends by itself in the
    same epoch is not pruned.

    Args:
        record: of the run, in the folder of its search.
        checkpoints: has the validated epochs of an earlier start, which was another trial.
        trial: number of the trial in the study.
    """

    def __init__(self, record: Record, checkpoints: Checkpoints, trial: int) -> None:
        self._trial = trial_of(open_study(record.folder.parent, HydraConfig.get().sweeper), trial)
        self._record, self._checkpoints = record, checkpoints
        self._prune = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for row in self._checkpoints.history:
            if self._checkpoints.monitor in row:
                self._trial.report(row[self._checkpoints.monitor], int(row["epoch"]))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Recommender)
        if trainer.state.fn != TrainerFn.FITTING:
            return
        epoch = trainer.current_epoch
        self._trial.report(pl_module.results[self._checkpoints.monitor], epoch)
        ends = trainer.should_stop or epoch + 1 == trainer.max_epochs
        self._prune = not ends and self._trial.should_prune()
        trainer.should_stop |= self._prune

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._prune:
            self._record.update(status="pruned")
