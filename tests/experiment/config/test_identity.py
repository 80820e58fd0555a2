"""The signature changes with what changes numbers, and with nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from recmm.experiment.config.identity import (
    config_hash,
    configuration_digest,
    differences,
    identity,
    register_resolvers,
    run_name,
    signature,
)

BASE: dict[str, Any] = {
    "model": {"_target_": "recmm.models.I3MRec", "dim": 64, "lr": 0.001, "training": {"seed": "${seed}"}},
    "dataset": {"_target_": "a.Data", "folder": "${paths.data}/x", "download": True, "modalities": ["visual"]},
    "missing": {"_target_": "a.Rate", "rate": 0.3, "seed": 0, "paper_imputer": "a.Mean"},
    "imputer": {"_target_": "${missing.paper_imputer}"},
    "eval": {"candidates": "all", "memory_mb": 256},
    "trainer": {"max_epochs": 10, "accelerator": "cpu", "devices": 1, "threads": None, "progress": True},
    "paths": {"data": "data", "output": "out"},
    "callbacks": {"early_stopping": {"_target_": "a.Stop", "patience": 20}},
    "logger": {"wandb": {"_target_": "a.wandb"}},
    "seed": 0,
    "ckpt": "auto",
    "overwrite": False,
    "settings_source": "default",
}


def config(**changes: Any) -> DictConfig:
    cfg = OmegaConf.create(BASE)
    for key, value in changes.items():
        OmegaConf.update(cfg, key.replace("__", "."), value, merge=False)
    return cfg


def sign(cfg: DictConfig, data: str = "d", split: str = "mmrec", uses_modalities: bool = True) -> str:
    return signature(cfg, data, split, uses_modalities)


@pytest.mark.parametrize(
    "change",
    [
        {"paths__data": "/elsewhere"},
        {"paths__output": "/elsewhere"},
        {"dataset__folder": "/elsewhere"},
        {"dataset__download": False},
        {"logger": {}},
        {"trainer__accelerator": "gpu"},
        {"trainer__devices": 2},
        {"trainer__threads": 4},
        {"trainer__progress": False},
        {"ckpt": "last"},
        {"overwrite": True},
        {"settings_source": "published"},
        {"sweep": {"name": "mine"}},
        {"hydra": {"run": {"dir": "x"}}},
        {"model__dim": 64.0},
    ],
)
def test_what_changes_no_number_leaves_the_signature(change: dict[str, Any]) -> None:
    assert sign(config(**change)) == sign(config())


@pytest.mark.parametrize(
    "change",
    [
        {"model__dim": 32},
        {"model___target_": "recmm.models.CI2MG"},
        {"dataset__modalities": ["visual", "acoustic"]},
        {"missing__rate": 0.5},
        {"missing__seed": 1},
        {"imputer": {"_target_": "a.Zero"}},
        {"eval__candidates": "warm"},
        {"trainer__max_epochs": 11},
        {"callbacks__early_stopping__patience": 5},
        {"callbacks": {}},
        {"seed": 1},
    ],
)
def test_what_changes_numbers_changes_the_signature(change: dict[str, Any]) -> None:
    assert sign(config(**change)) != sign(config())
    assert config_hash(config(**change)) != config_hash(config())


def test_data_and_split_are_part_of_the_signature() -> None:
    assert len({sign(config()), sign(config(), data="e"), sign(config(), split="lattice")}) == 3


def test_results_version_is_part_of_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    before = sign(config())
    monkeypatch.setattr("recmm.experiment.config.identity.RESULTS_VERSION", -1)
    assert sign(config()) != before


def test_the_configuration_has_a_digest_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recmm.experiment.config.identity.uses_modalities", lambda cfg: True)
    before = configuration_digest(config())
    assert configuration_digest(config(seed=1)) != before == configuration_digest(config(paths__output="elsewhere"))
    monkeypatch.setattr("recmm.experiment.config.identity.RESULTS_VERSION", -1)
    assert configuration_digest(config()) == before


def test_a_method_without_modalities_has_one_signature_under_every_mask() -> None:
    changed = config(missing__rate=0.9, imputer={"_target_": "a.Zero"})
    assert sign(changed, uses_modalities=False) == sign(config(), uses_modalities=False)
    assert sign(config(seed=1), uses_modalities=False) != sign(config(), uses_modalities=False)


def test_signature_is_short_hex_and_does_not_depend_on_the_order_of_keys() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", sign(config()))
    assert sign(OmegaConf.create(dict(reversed(BASE.items())))) == sign(config())


def test_identity_is_flat_and_its_differences_name_the_keys() -> None:
    old = identity(config(), "d", "mmrec", True)
    new = identity(config(model__dim=32, trainer__max_epochs=11), "e", "mmrec", True)
    assert old["model.training.seed"] == 0 and old["imputer._target_"] == "a.Mean"
    assert differences(old, new) == [
        'data.digest: was "d", is "e"',
        "model.dim: was 64, is 32",
        "trainer.max_epochs: was 10, is 11",
    ]
    assert differences(old, old) == []
    assert differences({"a": 1}, {}) == ["a: was 1, is absent"]


def test_two_folders_of_data_get_two_run_folders_but_a_moved_data_root_does_not() -> None:
    assert config_hash(config(dataset__folder="/a")) != config_hash(config(dataset__folder="/b"))
    assert config_hash(config(paths__data="/moved")) == config_hash(config())


def test_run_name_is_a_plain_folder_name() -> None:
    choices = {"model": "my/method:v2", "dataset": "synthetic", "missing": "mtmt"}
    cfg = config(seed=3, hydra={"runtime": {"choices": choices}})
    assert re.fullmatch(r"my_method_v2-synthetic-mtmt-s3-[0-9a-f]{8}", run_name(cfg))


def test_a_method_without_modalities_has_one_folder_under_every_mask() -> None:
    choices = {"model": "lightgcn", "dataset": "d", "missing": "rate"}
    blind = {"model___target_": "recmm.models.LightGCN", "hydra": {"runtime": {"choices": choices}}}
    name = run_name(config(**blind))
    assert name.startswith("lightgcn-d-any-s0-")
    assert run_name(config(**blind, missing__rate=0.9, imputer={"_target_": "a.Zero"})) == name
    assert run_name(config(**blind, model__dim=32)) != name


def test_the_resolver_names_a_folder_inside_the_configuration_it_is_part_of() -> None:
    register_resolvers()
    choices = {"model": "m", "dataset": "d", "missing": "f"}
    cfg = config(hydra={"runtime": {"choices": choices}, "run": {"dir": "${paths.output}/${recmm.run_name:}"}})
    assert cfg.hydra.run.dir == f"out/m-d-f-s0-{config_hash(cfg)}"


@pytest.mark.parametrize("value", [0.1 + 0.2, 3e-1, 0.3 + 1e-16])
def test_a_number_is_one_level_however_it_was_rounded(value: float) -> None:
    changed = config(missing__rate=value)
    assert sign(changed) == sign(config()) and config_hash(changed) == config_hash(config())
    assert identity(changed, "d", "mmrec", True)["missing.rate"] == 0.3
    assert sign(config(missing__rate=0.3 + 1e-9)) != sign(config())


def test_data_is_the_same_under_any_spelling_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "mine" / "y").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data" / "x")
    usual = config_hash(config())
    for spelled in ("data/x", "data/x/", "./data/../data/x", "link", str(tmp_path / "data" / "x"), "${paths.data}/x/"):
        assert config_hash(config(dataset__folder=spelled)) == usual, spelled
    assert config_hash(config(paths__data=str(tmp_path / "data"))) == usual
    others = {
        config_hash(config(dataset__folder=spelled)) for spelled in ("mine/y", "mine//y/", str(tmp_path / "mine/y"))
    }
    assert len(others) == 1 and others != {usual}
    assert config_hash(config(dataset={"_target_": "a.Data"})) != usual
