"""The shipped configuration composes against the schema, group by group."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf

from recmm.experiment.config.constructors import keywords_of
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import config_loader, jobs
from recmm.experiment.config.schema import RunConfig

CONF = config_folder()


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@cache
def checked(group: str) -> list[DictConfig]:
    """The checked configuration of every choice of a group; composing is slow."""
    return list(jobs(["-m", f"{group}={','.join(choices(group))}"], CONF))


def test_root_is_typed_and_the_settings_of_a_method_on_a_dataset_join_by_name() -> None:
    (cfg,) = jobs(["model=i3mrec_paper", "dataset=tiktok_va"], CONF)
    assert OmegaConf.get_type(cfg) is RunConfig
    assert cfg.hydra.runtime.choices.settings == "i3mrec_paper_tiktok_va"
    assert cfg.settings_source == "published"
    (bare,) = jobs(["model=i3mrec_paper", "dataset=tiktok_va", "settings=null"], CONF)
    assert bare.settings_source == "default"


@pytest.mark.parametrize(
    "group", ["model", "missing", "imputer", "dataset", "callbacks", "logger", "debug", "experiment"]
)
def test_every_choice_passes_the_check(group: str) -> None:
    assert [cfg.hydra.runtime.choices[group] for cfg in checked(group)] == choices(group)


def test_every_setting_file_composes_with_the_model_and_the_dataset_that_it_is_named_after() -> None:
    """Any other model and dataset compose, as each does alone and only these files depend on both."""
    pairs = {f"{model}_{dataset}": (model, dataset) for model in choices("model") for dataset in choices("dataset")}
    for name in choices("settings"):
        model, dataset = pairs[name]
        (cfg,) = jobs([f"model={model}", f"dataset={dataset}"], CONF)
        assert cfg.hydra.runtime.choices.settings == name


@pytest.mark.parametrize("group", ["model", "dataset", "missing", "imputer"])
def test_yaml_lists_every_keyword_of_its_constructor(group: str) -> None:
    for cfg in checked(group):
        node = cfg[group]
        # `download` stands only where a public source is known; the group `split` brings `protocol`.
        assert keywords_of(node._target_) - {"download", "protocol"} <= set(node), cfg.hydra.runtime.choices[group]


def test_every_key_of_a_shipped_yaml_carries_a_comment() -> None:
    for path in (CONF / name for name in ("train.yaml", *(f"{g}/default.yaml" for g in ("eval", "trainer", "paths")))):
        for line in path.read_text().split("\nhydra:")[0].splitlines():
            if re.match(r"[a-z_]+: \S", line):
                assert "#" in line, f"{path.name}: {line}"


def test_experiment_wins_over_settings_and_settings_over_the_model(tmp_path: Path) -> None:
    for group, text in {
        "settings/lightgcn_synthetic.yaml": {"model": {"dim": 8, "n_layers": 4}},
        "experiment/mine.yaml": {"model": {"dim": 16}, "seed": 5},
    }.items():
        path = tmp_path / group
        path.parent.mkdir()
        path.write_text("# @package _global_\n" + yaml.safe_dump(text))
    arguments = [f"hydra.searchpath=[file://{tmp_path}]", "model=lightgcn", "experiment=mine"]
    (cfg,) = jobs(arguments, CONF)
    assert (cfg.model.dim, cfg.model.n_layers, cfg.seed) == (16, 4, 5)
    (cfg,) = jobs([*arguments, "model.dim=32"], CONF)
    assert cfg.model.dim == 32


def test_data_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECMM_DATA", "/somewhere")
    (cfg,) = jobs([], CONF)
    assert cfg.paths.data == "/somewhere"
    monkeypatch.delenv("RECMM_DATA")
    (cfg,) = jobs([], CONF)
    assert cfg.paths.data == "data"


def test_hydra_writes_nothing_of_its_own_and_names_folders_by_content() -> None:
    (cfg,) = jobs(["model=lightgcn", "missing=rate"], CONF)
    (again,) = jobs(["missing=rate", "model=lightgcn", "logger=csv"], CONF)
    (other,) = jobs(["model=lightgcn", "missing=rate", "model.dim=8"], CONF)
    assert re.fullmatch(r"multirun_outputs/single/lightgcn-synthetic-any-s0-[0-9a-f]{8}", cfg.hydra.run.dir)
    assert cfg.hydra.run.dir == again.hydra.run.dir != other.hydra.run.dir
    assert cfg.hydra.output_subdir is None and not cfg.hydra.job.chdir
    handlers = [*cfg.hydra.job_logging.handlers.values(), *cfg.hydra.hydra_logging.handlers.values()]
    assert all("FileHandler" not in handler["class"] for handler in handlers)


def test_no_yaml_file_is_left_unparsed() -> None:
    loader = config_loader(CONF)
    for path in CONF.rglob("*.yaml"):
        assert loader.repository.config_exists(str(path.relative_to(CONF).with_suffix(""))), path
