"""The papers' experiments as documents: each has its files, each command of its README composes, each runs one step."""

import math
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import jobs
from recmm.experiment.run import train

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "experiments").glob("*/published.csv"))
CONFIGS = sorted(
    path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml") if path.stem.startswith(tuple(FOLDERS))
)
SECTIONS = ["What it asks", "Run it", "How long it takes", "What differs from the paper", "Published", "Measured"]
ONE_STEP = "debug=one_step"
TINY = ("dataset.n_users=60", "dataset.n_items=40", "trainer.progress=false")


def read_config(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "conf" / "experiment" / f"{name}.yaml").read_text())


def section(folder: str, title: str) -> str:
    text = (ROOT / "experiments" / folder / "README.md").read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(folder: str) -> dict[str, list[list[str]]]:
    """Arguments of the README's commands by the experiment that they run; a shell loop is written out."""
    found: dict[str, list[list[str]]] = {}
    text = section(folder, "Run it")
    curves = re.search(r"for curve in (.*?);", text)
    for line in re.findall(r"python train\.py (-m experiment=.*?)(?:; done)?$", text, flags=re.MULTILINE):
        for curve in curves[1].split() if curves and "$curve" in line else [""]:
            arguments = shlex.split(line.replace("$curve", curve), comments=True)
            found.setdefault(arguments[1].removeprefix("experiment="), []).append(arguments)
    return found


def n_jobs(name: str) -> int:
    """The size of the grid that the file writes down; commas within brackets separate no values."""
    values = read_config(name)["hydra"]["sweeper"]["params"].values()
    return math.prod(len(re.sub(r"\[.*?\]", "[]", str(value)).split(",")) for value in values)


@cache
def reduced(folder: str) -> list[DictConfig]:
    """The jobs of the README's reduced command."""
    given = [arguments for several in commands(folder).values() for arguments in several]
    (arguments,) = (arguments for arguments in given if "seed=0" in arguments and ONE_STEP not in arguments)
    return list(jobs(arguments, config_folder()))


def test_every_experiment_of_the_papers_is_there() -> None:
    tables = {"i3mrec_table2", "i3mrec_table3", "ci2mg_table2", "ci2mg_table3"}
    assert set(FOLDERS) == tables | {"i3mrec_fig3", "i3mrec_fig4", "ci2mg_fig3", "ci2mg_fig4"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_readme_has_its_sections_and_names_every_configuration(folder: str) -> None:
    text = (ROOT / "experiments" / folder / "README.md").read_text()
    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS
    assert all(section(folder, title).strip() for title in SECTIONS)
    names = [name for name in CONFIGS if read_config(name)["sweep"]["name"] == folder]
    assert set(commands(folder)) == set(names)
    stated = [int(n) for n in re.findall(r"= (\d+)\s+(?:jobs|for)", section(folder, "How long it takes"))]
    assert sum(stated) == sum(map(n_jobs, names)), "the jobs that the section on time counts"


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_is_a_sweep_of_three_seeds_into_its_experiments_folder(name: str) -> None:
    config = read_config(name)
    assert config["sweep"]["name"] in FOLDERS and name.startswith(config["sweep"]["name"])
    assert config["hydra"]["mode"] == "MULTIRUN" and config["hydra"]["sweeper"]["params"]["seed"] == "0,1,2"


def test_the_four_curves_of_a_figure_meet_in_one_run() -> None:
    """Each holds the defaults of CI2MG among its values."""
    defaults = yaml.safe_load((ROOT / "conf" / "model" / "ci2mg.yaml").read_text())
    curves = [read_config(name)["hydra"]["sweeper"]["params"] for name in CONFIGS if name.startswith("ci2mg_fig4_")]
    keys = {key.removeprefix("model."): values for curve in curves for key, values in curve.items() if key != "seed"}
    assert set(keys) == {"n_prototypes", "n_hyper_layers", "lambda1", "lambda2"}
    assert all(float(defaults[key]) in map(float, values.split(",")) for key, values in keys.items())


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_reduced_command_composes_on_the_papers_data(folder: str) -> None:
    composed = reduced(folder)
    assert len(composed) > 1
    for cfg in composed:
        assert cfg.hydra.runtime.choices.dataset == "tiktok_va" and cfg.seed == 0 and cfg.sweep.name == folder


def test_our_own_experiment_has_every_imputer_and_its_commands_compose() -> None:
    imputers = {path.stem for path in (ROOT / "conf" / "imputer").glob("*.yaml")} - {"paper"}
    (arguments,) = (a for a in commands("imputers")["imputers"] if len(a) == 2)
    composed = list(jobs([*arguments, "seed=0", "missing.rate=0.9"], config_folder()))
    assert {cfg.hydra.runtime.choices.imputer for cfg in composed} == imputers and len(composed) == 9
    assert n_jobs("imputers") == 9 * 5 * 3
    assert all(next(jobs(several, config_folder())) for several in commands("imputers")["imputers"])


def test_every_method_of_the_zoo_has_the_same_budget() -> None:
    """As many trials of as many epochs for each. The league has all methods."""
    trials, epochs = {}, set()
    for arguments in commands("zoo")["zoo"]:
        composed = list(jobs([*arguments, "missing=full", "seed=0"], config_folder()))
        if arguments[-1].startswith("seed=") or "dataset=baby" in arguments:
            continue  # more seeds of the best, another dataset
        (model,) = {cfg.hydra.runtime.choices.model for cfg in composed}
        trials[model] = len(composed)
        epochs |= {cfg.trainer.max_epochs for cfg in composed}
        assert all(cfg.hydra.runtime.choices.callbacks == "none" for cfg in composed)
    assert set(trials) <= {path.stem for path in (ROOT / "conf" / "search").glob("*.yaml")}
    assert set(trials.values()) == {4} and epochs == {30}


def test_every_method_with_a_search_space_is_in_the_league() -> None:
    methods = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / "league" / "default.yaml").methods)
    assert isinstance(methods, dict)
    no_methods = {
        "default",
        "i3mrec_paper",
        "mmrec",
        "modwalk_fused",
    }  # for all; a profile; a file; modwalk_sgl has a line
    assert {path.stem for path in (ROOT / "conf" / "search").glob("*.yaml")} - no_methods <= set(methods)


def test_what_the_command_line_says_comes_before_the_file() -> None:
    arguments = ["experiment=ci2mg_fig3", "model=lightgcn", "dataset=tiktok", "seed=5", "missing.rate=0.25"]
    (cfg,) = jobs([*arguments, "missing.seed=1", "sweep.name=mine"], config_folder())
    assert (cfg.hydra.runtime.choices.dataset, cfg.seed, cfg.missing.rate) == ("tiktok", 5, 0.25)
    assert (cfg.missing.seed, cfg.sweep.name) == (1, "mine")


def test_the_ablation_carries_the_mark_of_the_values_that_it_shares() -> None:
    composed = reduced("i3mrec_table3")
    assert {cfg.settings_source for cfg in composed} == {"published"}
    assert len({(cfg.model.delta, cfg.model.final_l2, cfg.model.training.lr) for cfg in composed}) == 1


def test_one_rate_serves_both_phases_of_the_rate_study() -> None:
    arguments = ["experiment=i3mrec_fig4", "model=lightgcn_m", "missing.train_rate=0.0,0.9", "seed=0"]
    rates = [(cfg.missing.train_rate, cfg.missing.test_rate) for cfg in jobs(arguments, config_folder())]
    assert rates == [(0.0, 0.0), (0.9, 0.9)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_job_composes_and_every_method_and_every_setting_runs_one_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The README's one-step command, on a smaller catalogue still, in this process.

    Not every method under every setting: that is what tests/conformance does.
    """
    folder = read_config(name)["sweep"]["name"]
    (arguments,) = (a for a in commands(folder)[name] if ONE_STEP in a)
    composed = list(jobs([*arguments, *TINY], config_folder()))
    assert len(composed) == n_jobs(name) / 3, "one of three seeds"
    monkeypatch.setattr("recmm.experiment.run.draw_curves", lambda *args: None)  # as long as all the rest
    seen: set[str] = set()
    for number, cfg in enumerate(composed):
        choices = cfg.hydra.runtime.choices
        is_of = {choices.model, f"{choices.missing} {cfg.missing.get('modalities')}"}
        if not is_of <= seen:
            assert 0 <= run(cfg, tmp_path / str(number), monkeypatch) <= 1
        seen |= is_of


def run(cfg: DictConfig, folder: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    folder.mkdir()
    OmegaConf.set_readonly(cfg.hydra, False)
    with open_dict(cfg.hydra.runtime):
        cfg.hydra.runtime.output_dir = str(folder)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", cfg)
    return train(cfg)
