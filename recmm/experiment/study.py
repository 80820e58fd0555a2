"""The study of a search: Optuna's database in the search's folder, written by the search and by its runs."""

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
    """The study in ``folder``, made if there is none; ``settings``, Hydra's sweeper node, chooses the pruner.

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
        sampler=optuna.samplers.RandomSampler(),  # a run draws nothing, and the search takes another for each trial
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(settings.prune_startup, settings.prune_warmup)
        if settings.prune
        else optuna.pruners.NopPruner(),
    )


def trial_of(study: "optuna.Study", number: int) -> "optuna.Trial":
    """A trial that was asked for earlier, or by another process, to report to."""
    from optuna.trial import Trial

    return Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)


def _storage(folder: Path) -> "optuna.storages.BaseStorage":
    import optuna

    url = f"sqlite:///{(folder / STUDY_FILE).resolve()}"
    return optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": _WAIT_SECONDS}})


class Pruning(Callback):
    """Tells the study of a run's search its validation metric after every epoch, and ends the run if it is hopeless.

    Such a run ranks no test split; its record has the status ``pruned`` and no metrics. A run that has come to its end
    by itself in the same epoch is not pruned.

    Args:
        record: of the run, in the folder of its search.
        checkpoints: knows the validated epochs of an earlier start, which belonged to another trial.
        trial: number of the trial in the study.
    """

    def __init__(self, record: Record, checkpoints: Checkpoints, trial: int) -> None:
        self._trial = trial_of(open_study(record.folder.parent, HydraConfig.get().sweeper), trial)
        self._record, self._checkpoints = record, checkpoints
        self._hopeless = False

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
        self._hopeless = not ends and self._trial.should_prune()
        trainer.should_stop |= self._hopeless

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._hopeless:
            self._record.update(status="pruned")
