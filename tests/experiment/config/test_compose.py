"""Jobs of a sweep are composed once per set of choices, and are what Hydra itself composes."""

from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from omegaconf import OmegaConf

from recmm.experiment.config.compose import Composer
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import Start, _expand, jobs
from recmm.experiment.sweep.plan import plan

ARGUMENTS = (
    *("-m", "model=lightgcn,i3mrec", "missing=rate", "missing.rate=0.1,0.9", "seed=0,1", "trainer.max_epochs=3"),
    *("~logger", "++callbacks.early_stopping.patience=4,5", "sweep.name=x", "dataset.modalities=[visual],null"),
)


def started(*arguments: str) -> Start:
    return Start(arguments, config_folder())


def test_a_composed_job_is_what_hydra_composes() -> None:
    start = started(*ARGUMENTS)
    composer = Composer(start.loader, start.master)
    expanded = _expand(start.master, start.loader)
    assert len(expanded) == 32
    for job in [*expanded[::5], ["hydra.job.chdir=true", "seed=3"], ["eval={memory_mb:7}", "eval.memory_mb=9"]]:
        ours, theirs = composer.job(job), start.loader.load_sweep_config(start.master, list(job))
        assert ours == theirs
        assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)
        assert OmegaConf.to_container(ours, resolve=False) == OmegaConf.to_container(theirs, resolve=False)
        assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)


def test_files_are_read_once_per_set_of_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    start = started(*ARGUMENTS)
    composed: list[Any] = []
    whole = type(start.loader).load_sweep_config

    def counted(self: ConfigLoader, master: Any, job: list[str]) -> Any:
        composed.append(job)
        return whole(self, master, job)

    monkeypatch.setattr(type(start.loader), "load_sweep_config", counted)
    jobs = plan(_expand(start.master, start.loader), start.loader, start.master)
    assert len({job.folder for job in jobs}) == len(jobs) == 24  # lightgcn has one run for both rates
    assert len(composed) == 2


def test_a_changed_copy_leaves_the_next_job_alone() -> None:
    start = started("-m", "model=popularity", "seed=0,1")
    composer = Composer(start.loader, start.master)
    first = composer.job(["model=popularity", "seed=0"])
    first.seed, first.paths.output = 7, "elsewhere"
    assert composer.job(["model=popularity", "seed=1"]).paths.output != "elsewhere"


def test_mappings_with_free_keys_are_replaced_as_a_whole() -> None:
    (one,) = jobs(
        ["model=modwalk_sgl", "model.backbone_settings={rho: 0.2}", "model.weights={a: 2.0}"], config_folder()
    )
    assert one.model.backbone_settings == {"rho": 0.2} and one.model.weights == {"a": 2.0}
    several = jobs(["-m", "model=modwalk", "model.weights={a: 0},{b: 1}"], config_folder())
    assert [job.model.weights for job in several] == [{"a": 0}, {"b": 1}]
