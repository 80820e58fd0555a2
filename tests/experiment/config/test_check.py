"""What is wrong with a configuration is said in a sentence with the key and the nearest valid one, before any run."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from omegaconf import OmegaConf

from recmm.errors import ConfigError
from recmm.experiment.config.constructors import check_node
from recmm.experiment.config.explain import explain
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.jobs import check_arguments, jobs
from recmm.models.base import Recommender

CONF = config_folder()


@dataclass(frozen=True)
class Optimiser:
    lr: float = 0.1


class Method(Recommender):
    def __init__(
        self,
        catalog: object,
        *,
        dim: int,
        rate: float = 0.1,
        kind: Literal["full", "half"] = "full",
        widths: Sequence[int] | None = None,
        pair: tuple[int, int] = (1, 2),
        optimiser: Optimiser = Optimiser(),
        anything: Any = None,
    ) -> None: ...


class Open:
    def __init__(self, catalog: object, **settings: int) -> None: ...


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_methods", sys.modules[__name__])
    monkeypatch.setenv("RECMM_TRUST", f"toy_methods,needs_more,{__name__}")


def node(name: str = "Method", **values: Any) -> dict[str, Any]:
    return {"_target_": f"toy_methods.{name}", "dim": 4, **values}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rate": 1},
        {"widths": [1, 2]},
        {"widths": None},
        {"pair": [3, 4]},
        {"kind": "half"},
        {"anything": {"x": [1, "a"]}},
        {"optimiser": {"_target_": "toy_methods.Optimiser", "lr": 1}},
    ],
)
def test_valid_values_pass(values: dict[str, Any]) -> None:
    check_node(node(**values), "model")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dims": 4}, "model.dims: Method takes no keyword 'dims'; did you mean 'dim'?"),
        ({"dim": "abc"}, 'model.dim: "abc" is not valid, expected int'),
        ({"dim": True}, "model.dim: true is not valid, expected int"),
        ({"dim": 1.5}, "model.dim: 1.5 is not valid"),
        ({"dim": None}, "model.dim: null is not valid"),
        ({"rate": "0.1"}, "model.rate: "),
        ({"kind": "ful"}, "model.kind: .*'full' or 'half'"),
        ({"widths": 3}, "model.widths: 3 is not valid"),
        ({"widths": [1, "a"]}, r"model.widths.1: "),
        ({"pair": [1]}, "model.pair"),
        ({"catalog": 1}, "model.catalog is given by the run itself"),
        ({"optimiser": {"_target_": "toy_methods.Optimiser", "lrr": 1}}, "model.optimiser.lrr: .*did you mean 'lr'"),
        ({"optimiser": {"_target_": "toy_methods.Optimiser", "lr": "x"}}, "model.optimiser.lr: "),
        ({"optimiser": {"_target_": "toy_methods.Open"}}, r"model.optimiser: .*takes \*\*kwargs"),
        ({"optimiser": {"_target_": "toy_methods.Method", "dim": 1}}, "model.optimiser: expected Optimiser"),
        ({"optimiser": {"lr": 1}}, "model.optimiser needs `_target_: .*Optimiser`"),
        ({"anything": [{"_target_": "toy_methods.Optimiser", "lrr": 1}]}, "model.anything.0.lrr: "),
        ({"_target_": "toy_methods.Metod"}, "did you mean 'Method'"),
        ({"_target_": "toy_methods"}, "no dotted path"),
        ({"_target_": "nowhere_at_all.Method"}, "there is no package 'nowhere_at_all'"),
        ({"_target_": "toy_methods.CONF"}, "neither a class nor a function"),
        ({"_target_": "recmm.data.protocols.base.SplitProtocol"}, "is abstract"),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_node(node(**values), "model")


def test_required_keywords_and_targets_have_to_be_there() -> None:
    with pytest.raises(ConfigError, match=r"model\.dim needs a value"):
        check_node({"_target_": "toy_methods.Method"}, "model")
    with pytest.raises(ConfigError, match="model names no class"):
        check_node({"dim": 4}, "model")


def test_keyword_collectors_are_refused_in_methods_and_accepted_in_loggers() -> None:
    with pytest.raises(ConfigError, match=r"\*\*kwargs, which would hide"):
        check_node({"_target_": "toy_methods.Open"}, "model")
    check_node({"_target_": "toy_methods.Open", "whatever": 1}, "logger.mine", open_keywords=True)


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import package_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="'package_that_nobody_has' is not installed"):
        check_node({"_target_": "needs_more.Method"}, "model")


# ---------------------------------------------------------------------------------------------- whole command lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's own folder on the search path: a method outside recmm, and what a test adds."""
    write(
        tmp_path,
        "model/toy",
        {"_target_": "toy_methods.Method", "dim": 4, "optimiser": {"_target_": "toy_methods.Optimiser", "lr": 1.0}},
    )
    return tmp_path


def write(folder: Path, name: str, values: dict[str, Any], header: str = "") -> None:
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + yaml.safe_dump(values))


def complaint(folder: Path, *arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check_arguments(["--config-dir", str(folder), *arguments], CONF)
    return str(caught.value)


def test_a_users_method_passes_without_recmm_knowing_it(folder: Path) -> None:
    (cfg,) = jobs(["--config-dir", str(folder), "model=toy", "model.dim=8"], CONF)
    assert cfg.model.dim == 8
    assert list(jobs([f"hydra.searchpath=[file://{folder}]", "model=toy"], CONF))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("modle=toy", "There is no key modle; did you mean 'model'?"),
        ("model=tyo", "model=tyo: there is no such choice; did you mean 'toy'?"),
        ("missing=rat", "missing=rat: there is no such choice; did you mean 'rate'?"),
        ("experiment=dmo", "did you mean 'demo'?"),
        ("hydra/launcher=basik", "hydra/launcher=basik: there is no such choice; did you mean 'basic'?"),
        ("settings=nothing", "settings=nothing: there is no such choice"),
        ("trainer.max_epoch=3", "There is no key trainer.max_epoch; did you mean 'max_epochs'?"),
        ("max_epochs=3", "There is no key max_epochs; did you mean 'trainer.max_epochs'?"),
        ("model.dims=3", "There is no key model.dims; did you mean 'dim'?"),
        ("model.rate=3", "write +model.rate=..."),
        ("model.optimiser.lrr=3", "There is no key model.optimiser.lrr; did you mean 'lr'?"),
        ("hydra.sweper=3", "There is no key hydra.sweper; did you mean 'sweeper'?"),
        ("+trainer.foo=1", "There is no key trainer.foo"),
        ("+foo=1", "There is no key foo"),
        ("+model.foo=1", "model.foo: Method takes no keyword 'foo'"),
        ("trainer.max_epochs=abc", "trainer.max_epochs: Value 'abc'"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0 is too small: it has to be at least 1."),
        ("trainer.devices=1.5", "trainer.devices: 1.5 is not valid"),
        ("eval.candidates=al", "eval.candidates=al is not valid; did you mean 'all'? Valid: all, cold, warm."),
        ("ckpt=first", "ckpt=first is not valid"),
        ("seed=null", "seed: "),
        ("seed=${sed}", "Interpolation key 'sed' not found"),
        ("model.dim=${trainer.max_epoch}", "model.dim: Interpolation key 'trainer.max_epoch' not found"),
        ("model.dim=???", "model.dim needs a value"),
        ("model.dim=x", 'model.dim: "x" is not valid'),
        ("callbacks.early_stopping=null", "remove it with ~callbacks.early_stopping"),
        ("callbacks.early_stopping.patience=x", 'callbacks.early_stopping.patience: "x" is not valid'),
        (
            "+logger.wandb.projekt=x",
            "logger.wandb.projekt: wandb_logger takes no keyword 'projekt'; did you mean 'project'",
        ),
        ("seed=[", "The argument seed=[ cannot be read"),
        ("seed=0,1", "add -m to run one job for each"),
        ("hydra.searchpath=[file:///no/such/folder]", "hydra.searchpath: "),
    ],
)
def test_a_wrong_argument_is_one_sentence_with_key_and_nearest(folder: Path, argument: str, message: str) -> None:
    text = complaint(folder, "model=toy", argument)
    assert message in text
    assert "\n" not in text


def test_typos_inside_yaml_are_found(folder: Path) -> None:
    write(folder, "experiment/a", {"sede": 3}, "# @package _global_\n")
    assert complaint(folder, "experiment=a") == (
        "In experiment/a.yaml: There is no key sede; did you mean 'seed'? Valid: callbacks, ckpt, dataset, eval, "
        "imputer, logger, missing, model, overwrite, paths, seed, settings_source, sweep, trainer."
    )
    write(folder, "experiment/b", {"trainer": {"max_epochs": "many"}}, "# @package _global_\n")
    assert complaint(folder, "experiment=b").startswith("In experiment/b.yaml: trainer.max_epochs: ")
    write(folder, "experiment/c", {"model": {"dimm": 3}}, "# @package _global_\n")
    assert "model.dimm: Method takes no keyword 'dimm'; did you mean 'dim'?" in complaint(
        folder, "model=toy", "experiment=c"
    )
    write(folder, "model/typo", {"_target_": "toy_methods.Method", "dim": 4, "rat": 1})
    assert "model.rat: " in complaint(folder, "model=typo")
    write(folder, "trainer/mine", {"defaults": ["default"], "epochs": 3})
    assert "In trainer/mine.yaml: There is no key trainer.epochs" in complaint(folder, "trainer=mine")


def test_a_users_own_root_file_is_checked_like_ours(folder: Path) -> None:
    write(folder, "mine", {"defaults": ["train", "_self_"], "seeed": 1})
    assert "There is no key seeed; did you mean 'seed'?" in complaint(folder, "--config-name", "mine")


def test_every_job_of_a_sweep_is_checked(folder: Path) -> None:
    assert "(job: model=toy model.dim=x)" in complaint(folder, "-m", "model=toy", "model.dim=4,8,x")
    assert "model=tyo: there is no such choice" in complaint(folder, "-m", "model=toy,tyo")
    assert "settings=nothing" in complaint(folder, "-m", "model=toy", "settings=nothing,more")
    assert "trainer.max_epochs=0" in complaint(folder, "-m", "model=toy", "trainer.max_epochs=range(2,-1,-1)")
    assert "There is no key sed" in complaint(folder, "-m", "model=toy", "sed=0,1")


def test_a_sweep_composes_the_product_of_its_values(folder: Path) -> None:
    arguments = ["--config-dir", str(folder), "-m", "model=toy", "seed=0,1", "model.dim=4,8", "settings=null"]
    found = {(cfg.seed, cfg.model.dim) for cfg in jobs(arguments, CONF)}
    assert found == {(0, 4), (0, 8), (1, 4), (1, 8)}


def test_a_sweep_written_in_yaml_is_checked(folder: Path) -> None:
    hydra = {"mode": "MULTIRUN", "sweeper": {"params": {"seed": "0,1", "model.dim": "4,x"}}}
    write(folder, "experiment/sweep", {"hydra": hydra}, "# @package _global_\n")
    assert "(job: model.dim=x seed=0 " in complaint(folder, "model=toy", "experiment=sweep")


def test_a_sweeper_that_draws_is_checked_at_the_ends_of_its_ranges(folder: Path) -> None:
    write(folder, "hydra/sweeper/drawn", {"_target_": "hydra_plugins.toy.Sweeper"}, "# @package hydra.sweeper\n")
    arguments = ["-m", "hydra/sweeper=drawn", "model=toy", "seed=0,1,2", "model.optimiser.lr=interval(0.1,0.2)"]
    found = [(c.seed, c.model.optimiser.lr) for c in jobs(["--config-dir", str(folder), *arguments], CONF)]
    assert found == [(0, 0.1), (1, 0.2), (2, 0.1)]
    assert "model.dim: " in complaint(folder, *arguments, "model.dim=interval(0.5,3)")


@pytest.mark.parametrize("group", ["settings", "callbacks", "logger", "experiment", "debug"])
def test_a_group_may_be_set_to_null(folder: Path, group: str) -> None:
    (cfg,) = jobs(["--config-dir", str(folder), "model=toy", f"{group}=null"], CONF)
    if group in ("callbacks", "logger"):
        assert cfg[group] == {}
    assert (
        sum(1 for _ in jobs(["--config-dir", str(folder), "-m", "model=toy", f"{group}=null", "seed=0,1"], CONF)) == 2
    )


def test_a_group_that_is_needed_cannot_be_null(folder: Path) -> None:
    assert "imputer needs a value" in complaint(folder, "model=toy", "imputer=null")


def test_nothing_is_started_or_left_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    check_arguments(["--config-dir", str(folder), "-m", "model=toy", "seed=0,1"], CONF)
    assert sorted(folder.rglob("*")) == before


def test_untyped_configurations_are_checked_as_well() -> None:
    from recmm.experiment.config.check import check

    with pytest.raises(ConfigError, match="There is no key sed; did you mean 'seed'"):
        check(OmegaConf.create({"sed": 1}))


def test_a_chain_of_errors_that_bites_its_tail_is_read_once() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__context__, second.__context__ = second, first
    assert explain(first) == "first"
