"""A YAML file of somebody else runs nothing: whatever names a callable is refused, in a sentence, before an import."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from recmm.errors import ConfigError
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import check_arguments
from recmm.experiment.dry_run import dry_run

CONF = config_folder()
BITES = "import pathlib\npathlib.Path(__file__).with_name('bitten').touch()\n"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of YAML files, with an importable module beside it that leaves a mark when it is imported."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "bites.py").write_text(
        f"{BITES}from pytorch_lightning.callbacks import Callback\nclass Mine(Callback): ...\n"
        "def factory() -> Callback: ...\ndef open_ended(): ...\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.delenv("RECMM_TRUST", raising=False)
    (tmp_path / "shared" / "experiment").mkdir(parents=True)
    monkeypatch.setattr("recmm.experiment.config.trust._folders", set())
    yield tmp_path / "shared"
    sys.modules.pop("bites", None)


def complaint(shared: Path, content: Any, *arguments: str) -> str:
    """What the check says about an experiment with this content; nothing of it has run."""
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (shared / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        check_arguments(["--config-dir", str(shared), *arguments, "experiment=evil"], CONF)
    assert not (shared.parent / "code" / "bitten").exists() and "bites" not in sys.modules
    assert not (shared / "ran").exists() and "\n" not in str(caught.value)
    return str(caught.value)


TOUCH = {"_target_": "subprocess.check_output", "_args_": [["touch", "ran"]]}
FOREIGN = {"_target_": "bites.Mine"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"callbacks": {"x": TOUCH}}, "callbacks.x._target_: subprocess.check_output is refused"),
        ({"logger": {"x": TOUCH}}, "logger.x._target_: subprocess.check_output is refused"),
        ({"callbacks": {"x": FOREIGN}}, "RECMM_TRUST=bites"),
        ({"model": FOREIGN}, "model._target_: bites.Mine is refused"),
        ({"dataset": {"_target_": "os.system"}}, "dataset._target_: os.system is refused"),
        ({"missing": {"_target_": "builtins.exec"}}, "missing._target_: builtins.exec is refused"),
        ({"missing": {"paper_imputer": "os.system"}}, "imputer._target_: os.system is refused"),
        ({"imputer": {"_target_": "recmm.data.protocols.RandomPerUser"}}, "it is no class of the base Imputer"),
        ({"callbacks": {"x": {"_target_": "recmm.models.LightGCN"}}}, "it is no class of the base Callback"),
        ({"callbacks": {"x": {"_target_": "recmm.experiment.config.build.build"}}}, "annotated to return one"),
        ({"callbacks": {"x": {"_target_": "recmm.experiment.records.subprocess.run"}}}, "subprocess.run"),
        ({"model": {"_target_": "recmm.models.LightGCN.load_from_checkpoint"}}, "is refused"),
        ({"model": {"training": TOUCH}}, "model.training._target_: subprocess.check_output is refused"),
        ({"callbacks": {"early_stopping": {"patience": TOUCH}}}, "subprocess.check_output is refused"),
        (
            {"callbacks": {"early_stopping": {"patience": {"_target_": "recmm.models.LightGCN"}}}},
            "is plain or settings",
        ),
        ({"eval": {"candidates": TOUCH}}, "eval.candidates._target_: subprocess.check_output is refused"),
        ({"hydra": {"callbacks": {"x": TOUCH}}}, "hydra.callbacks.x._target_: subprocess.check_output is refused"),
        ({"hydra": {"callbacks": {"x": {"_target_": "recmm.models.LightGCN"}}}}, "no class of the base Callback"),
        ({"hydra": {"launcher": {"_target_": "bites.Mine"}}}, "hydra.launcher._target_: bites.Mine is refused"),
        ({"hydra": {"sweeper": {"_target_": "${model._target_}"}}}, "hydra.sweeper._target_"),
        ({"hydra": {"job": {"env_set": {"LD_PRELOAD": "x.so"}}}}, "hydra.job.env_set.LD_PRELOAD=x.so is refused"),
        ({"hydra": {"sweeper": {"params": {"hydra.job.chdir": "true"}}}}, "hydra.sweeper.params.hydra.job.chdir"),
        ({"hydra": {"job_logging": {"handlers": {"x": {"()": "os.system"}}}}}, "hydra.job_logging.handlers.x.()"),
        ({"hydra": {"hydra_logging": {"formatters": {"x": {"class": "bites.Mine"}}}}}, "bites.Mine is refused"),
        ({"hydra": {"job_logging": {"handlers": {"x": {"stream": "ext://os.system"}}}}}, "ext://os.system is refused"),
        ({"hydra": {"job_logging": {"handlers": {"x": {"stream": "${paths.data}"}}}}}, "${paths.data} is refused"),
        ("seed: !!python/object/apply:os.system ['touch ran']\n", "the tag !!python/object/apply:os.system is refused"),
        ("missing: {seed: !!python/object/apply:pathlib.Path ['x']}\n", "!!python is refused"),
        ("seed: [1\n", "experiment/evil.yaml, line "),
        ({"seed": "${recmm.run_name:}", "model": FOREIGN}, "bites.Mine is refused"),
    ],
    ids=str,
)
def test_what_a_file_may_not_name(shared: Path, content: Any, message: str) -> None:
    assert message in complaint(shared, content)


def test_commands_of_a_launcher_come_from_the_command_line(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    launcher = "hydra/launcher=submitit_slurm"
    content = {"hydra": {"launcher": {"setup": ["touch ran"], "additional_parameters": {"wrap": "touch ran"}}}}
    told = complaint(shared, content, "-m", launcher, "seed=0,1")
    assert "hydra.launcher." in told and "is refused, because a launcher would run it" in told
    typed = ("hydra.launcher.setup=[module load cuda]", "hydra.launcher.partition=gpu")
    assert len(check_arguments(["-m", launcher, *typed, "model=popularity", "seed=0,1"], CONF)) == 2
    monkeypatch.setenv("RECMM_TRUST", "hydra_plugins.hydra_submitit_launcher")
    arguments = ["--config-dir", str(shared), "-m", launcher, "seed=0,1", "experiment=evil"]
    assert len(check_arguments(arguments, CONF)) == 2


def test_every_job_of_a_sweep_is_held_to_it(shared: Path) -> None:
    told = complaint(shared, {"callbacks": {"x": TOUCH}}, "-m", "seed=0,1")
    assert "callbacks.x._target_: subprocess.check_output is refused" in told and "(job: " in told
    with pytest.raises(ConfigError, match=r"os\.system is refused.*\(job: seed=1 .*"):
        check_arguments(["-m", "seed=1", "callbacks.early_stopping._target_=os.system"], CONF)


def test_what_is_typed_is_the_users_own() -> None:
    (cfg,) = check_arguments(["++hydra.job.env_set.MY_VARIABLE=1", "model=popularity"], CONF)
    assert cfg.hydra.job.env_set.MY_VARIABLE == "1" or cfg.hydra.job.env_set.MY_VARIABLE == 1


def test_a_module_is_trusted_by_name_or_with_its_folder(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def composed(target: str, *more: str) -> str:
        (shared / "experiment" / "own.yaml").write_text(
            f"# @package _global_\ncallbacks: {json.dumps({'x': {'_target_': target}})}\n", encoding="utf-8"
        )
        (cfg,) = check_arguments(["--config-dir", str(shared), "experiment=own", "model=popularity", *more], CONF)
        return str(cfg.callbacks.x._target_)

    with pytest.raises(ConfigError, match="is refused"):  # a prefix of the name is no trust
        monkeypatch.setenv("RECMM_TRUST", "bite, other.module")
        composed("bites.Mine")
    monkeypatch.setenv("RECMM_TRUST", "other.module, bites")
    assert composed("bites.Mine") == "bites.Mine"
    assert composed("bites.factory") == "bites.factory"
    with pytest.raises(ConfigError, match="no function that is annotated to return one of the base Callback"):
        composed("bites.open_ended")
    monkeypatch.delenv("RECMM_TRUST")
    with pytest.raises(ConfigError, match="is refused"):
        composed("bites.Mine", f"hydra.searchpath=[file://{shared}]")
    assert composed("bites.Mine", f"hydra.searchpath=[file://{shared.parent / 'code'}]") == "bites.Mine"


def test_the_dry_run_refuses_it_too(shared: Path) -> None:
    (shared / "experiment" / "evil.yaml").write_text(
        "# @package _global_\n" + OmegaConf.to_yaml(OmegaConf.create({"callbacks": {"x": TOUCH}})), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"subprocess\.check_output is refused"):
        dry_run(["--config-dir", str(shared), "experiment=evil", "model=popularity"])
