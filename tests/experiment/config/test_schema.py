"""The shipped configuration composes against the schema, group by group."""

import re
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from recmm.experiment.config.constructors import keywords_of
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import config_loader, jobs
from recmm.experiment.config.schema import RunConfig

CONF = config_folder()


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


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
    assert sum(1 for _ in jobs(["-m", f"{group}={','.join(choices(group))}"], CONF)) == len(choices(group))


@pytest.mark.slow
def test_every_model_composes_with_every_dataset() -> None:
    arguments = ["-m", f"model={','.join(choices('model'))}", f"dataset={','.join(choices('dataset'))}"]
    assert sum(1 for _ in jobs(arguments, CONF)) == len(choices("model")) * len(choices("dataset"))


def test_every_setting_file_belongs_to_a_model_and_a_dataset() -> None:
    pairs = {f"{model}_{dataset}" for model in choices("model") for dataset in choices("dataset")}
    assert set(choices("settings")) <= pairs


@pytest.mark.parametrize("group", ["model", "dataset", "missing", "imputer"])
def test_yaml_lists_every_keyword_of_its_constructor(group: str) -> None:
    for cfg in jobs(["-m", f"{group}={','.join(choices(group))}"], CONF):
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
