"""A trained run looked at again: its method with its weights, on its data, under other masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recmm.datamodules.base import MultimodalDataModule
from recmm.deploy.checkpoint import BEST
from recmm.deploy.in_process import compose
from recmm.errors import ConfigError, RunError
from recmm.experiment.checkpoints import read_checkpoint
from recmm.experiment.config.build import build, build_model, configure
from recmm.experiment.config.check import check
from recmm.experiment.config.identity import register_resolvers
from recmm.models.base import Recommender
from recmm.report.records.folders import read_record

_GROUPS = ("missing", "imputer", "eval")
_PLACES = ("dataset.folder", "dataset.download", "paths.data", "trainer.threads", "trainer.accelerator")


@dataclass(frozen=True)
class Trained:
    """A finished run, made anew.

    Attributes:
        folder, result: of its record.
        cfg: its configuration with what was changed.
        choices: of the groups model, dataset and missing.
        datamodule: its data, with the masks and the imputer of ``cfg``.
        model: the method with the weights of the best epoch.
    """

    folder: Path
    result: dict[str, Any]
    cfg: DictConfig
    choices: dict[str, str]
    datamodule: MultimodalDataModule
    model: Recommender


def load_trained(run: Path, changes: Sequence[str] = ()) -> Trained:
    """Read the run and build its method, without training.

    Args:
        run: the folder of a finished run.
        changes: arguments of `train.py` for the groups missing, imputer and eval (``missing=rate``,
            ``missing.rate=0.7``), and for where the data lie. What is not named stays as it was trained.

    Raises:
        ConfigError: another key, or a wrong value.
        RunError: the run is not finished or damaged, or the data are not those that it was trained on.
        DataError: the data cannot be read.
    """
    folder = run.expanduser()
    result = read_record(folder)
    if result["status"] != "done":
        raise RunError(f"{folder} is {result['status']}: only a finished run can be evaluated again.")
    cfg, choices = _changed(folder, result, changes)
    datamodule = configure(build(cfg.dataset), cfg)
    if datamodule.dataset.digest != result["data"]["digest"]:
        raise RunError(
            f"The data of {folder} are not those that it was trained on (digest {datamodule.dataset.digest[:12]}, was "
            f"{result['data']['digest'][:12]}): name them with dataset.folder=... or paths.data=..."
        )
    model = build_model(cfg, datamodule.catalog)
    if model.trained:
        model.load_state_dict(read_checkpoint(folder / BEST)["state_dict"])
    return Trained(folder, result, cfg, choices, datamodule, model.eval())


def _changed(folder: Path, result: dict[str, Any], changes: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The run's configuration with the changes, checked, and its choices."""
    register_resolvers()
    for change in changes:
        key = change.partition("=")[0]
        if "=" not in change or (key.partition(".")[0] not in _GROUPS and key not in _PLACES):
            raise ConfigError(
                f"{change}: a trained run can be evaluated with other values of {', '.join(_GROUPS)}; everything else "
                f"is what it was trained with. The data's place is {', '.join(_PLACES[:3])}."
            )
    cfg: Any = OmegaConf.load(folder / "config.yaml")
    choices = {name: str(result[name]) for name in ("model", "dataset", "missing")}
    chosen = {change.partition("=")[0] for change in changes} & set(_GROUPS)
    if chosen:
        own = [change for change in changes if change.partition("=")[0].partition(".")[0] in chosen]
        if "imputer" in chosen and "missing" not in chosen:  # imputer=paper is that of the run's setting
            own.insert(0, f"missing={result['missing']}")
        composed = compose(own)
        for group in chosen:
            cfg[group] = OmegaConf.to_container(composed[group], resolve=True)
        if "missing" in chosen:
            choices["missing"] = str(composed.hydra.runtime.choices.missing)
    rest = [change for change in changes if change.partition("=")[0].partition(".")[0] not in chosen]
    cfg = OmegaConf.merge(cfg, OmegaConf.from_dotlist(rest))
    check(cfg)
    return cfg, choices
