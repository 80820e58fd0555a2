"""Every choice under conf/missing and conf/imputer: it builds, it draws, and it says what it is."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from recmm.data.dataset import MultimodalDataset
from recmm.experiment.config.build import build
from recmm.experiment.config.jobs import check_arguments
from recmm.missing.base import MissingSetting
from recmm.missing.imputers import Autoencoder, FeatProp, Heat, Imputer, Knn, Mean, NeighMean, Ppr, Random, Zero
from recmm.missing.masks import PHASES
from recmm.missing.settings import Rate
from recmm.missing.views import build_views

CONF = Path(__file__).parents[2] / "conf"
SETTINGS = sorted(path.stem for path in CONF.glob("missing/*.yaml"))
IMPUTERS: dict[str, type[Imputer]] = {
    "zero": Zero,
    "mean": Mean,
    "random": Random,
    "knn": Knn,
    "neigh_mean": NeighMean,
    "feat_prop": FeatProp,
    "ppr": Ppr,
    "heat": Heat,
    "autoencoder": Autoencoder,
}
MEAN = {"rate", "popularity", "dgmrec"}
CONTROLS = {"noise", "shuffled", "constant"}


@cache
def composed(missing: str) -> Any:
    """The composed and checked configuration under a missing setting; composing is slow."""
    (cfg,) = check_arguments(["model=mgcn", f"missing={missing}"], CONF)
    return cfg


def test_all_choices_are_there() -> None:
    i3mrec = {f"{kind}{reading}" for kind in ("ftmt", "mtmt") for reading in ("", "_paper", "_code")}
    assert set(SETTINGS) == {"full", "natural", "rate", "modality", "popularity", "dgmrec"} | CONTROLS | i3mrec
    assert {path.stem for path in CONF.glob("imputer/*.yaml")} == {"paper"} | set(IMPUTERS)


@pytest.mark.parametrize("name", SETTINGS)
def test_choice_builds_draws_and_imputes(name: str, tiny_dataset: MultimodalDataset) -> None:
    config = composed(name)
    setting, imputer = build(config.missing), build(config.imputer)
    assert isinstance(setting, MissingSetting) and isinstance(imputer, Imputer)
    assert type(imputer) is (Mean if name in MEAN else Zero)
    assert config.missing.seed == 0
    masks = setting.draw(tiny_dataset)
    assert masks.sees_test_items == name.endswith(("_paper", "_code"))
    assert (masks.train == tiny_dataset.features.observed).all() == (
        name in {"full", "natural"} | CONTROLS or "ftmt" in name
    )
    for view in build_views(tiny_dataset, masks, imputer, setting.replace).values():
        assert all(x.isfinite().all() for x in view.features.values())


@pytest.mark.parametrize("name", ["ftmt_paper", "ftmt_code", "mtmt", "mtmt_paper", "mtmt_code"])
def test_a_variant_holds_only_what_differs_and_says_why(name: str) -> None:
    path = CONF / "missing" / f"{name}.yaml"
    own = OmegaConf.load(path)
    base = composed(own.pop("defaults")[0]).missing
    assert own and all(base[key] != value for key, value in own.items())
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all("  # " in line for line in lines if line.split(":")[0] in own)


def test_readings_of_i3mrec() -> None:
    read = {name: composed(name).missing for name in SETTINGS if "mt" in name}
    for kind, train_rate in (("ftmt", 0.0), ("mtmt", 0.3)):
        ours, paper, code = (read[f"{kind}{reading}"] for reading in ("", "_paper", "_code"))
        assert {c.train_rate for c in (ours, paper, code)} == {train_rate}
        assert {c.test_rate for c in (ours, paper, code)} == {0.5}
        assert {(c.eval_bank, c.validation) for c in (ours, paper, code)} == {("test_only", "test")}
        assert (ours.scope, paper.scope, code.scope) == ("catalogue", "phase_items", "phase_items")
        assert (ours.pattern, paper.pattern, code.pattern) == ("one_or_two", "one_or_two", "exactly_one")
        shared = (ours.one_pattern_per_item, paper.one_pattern_per_item, code.one_pattern_per_item)
        assert shared == (False, False, True)


def test_defaults_that_the_readme_states() -> None:
    rate, popularity = composed("rate").missing, composed("popularity").missing
    assert (rate.rate, rate.unit, popularity.rate) == (0.9, "entry", 0.5)
    assert composed("dgmrec").missing.rate == 2 / 3


@pytest.mark.parametrize("name", IMPUTERS)
def test_imputer_choice_builds_with_the_defaults_of_its_class_and_imputes(
    name: str, tiny_dataset: MultimodalDataset
) -> None:
    imputer = build(OmegaConf.load(CONF / "imputer" / f"{name}.yaml"))
    assert type(imputer) is IMPUTERS[name]
    assert imputer.settings == IMPUTERS[name]().settings
    masks = Rate(rate=0.9).draw(tiny_dataset)
    for view in build_views(tiny_dataset, masks, imputer).values():
        assert all(x.isfinite().all() for x in view.features.values())


def test_masks_of_a_choice_have_three_phases(tiny_dataset: MultimodalDataset) -> None:
    masks = build(composed("mtmt").missing).draw(tiny_dataset)
    assert {row["phase"] for row in masks.rates} == set(PHASES)
