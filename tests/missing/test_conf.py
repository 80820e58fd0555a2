"""Every choice under conf/missing and conf/imputer: it builds, it draws, and it says what it is."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from recmm.data.dataset import MultimodalDataset
from recmm.experiment.config.build import build
from recmm.missing.imputers import Autoencoder, FeatProp, Heat, Imputer, Knn, Mean, NeighMean, Ppr, Random, Zero
from recmm.missing.masks import PHASES
from recmm.missing.settings import MissingSetting, Rate
from recmm.missing.views import build_views

CONF = Path(__file__).parents[2] / "conf"
SETTINGS = sorted(CONF.glob("missing/*.yaml"))
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
MEAN = {"rate", "popularity"}


def load(path: Path) -> Any:
    return OmegaConf.load(path)


def test_all_choices_are_there() -> None:
    i3mrec = {f"{kind}{reading}" for kind in ("ftmt", "mtmt") for reading in ("", "_paper", "_code")}
    assert {path.stem for path in SETTINGS} == {"full", "natural", "rate", "modality", "popularity"} | i3mrec
    assert {path.stem for path in CONF.glob("imputer/*.yaml")} == {"paper"} | set(IMPUTERS)


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_choice_builds_draws_and_fills(path: Path, tiny_dataset: MultimodalDataset) -> None:
    config = OmegaConf.create({"missing": load(path), "imputer": load(CONF / "imputer" / "paper.yaml")})
    setting, imputer = instantiate(config.missing), instantiate(config.imputer)
    assert isinstance(setting, MissingSetting) and isinstance(imputer, Imputer)
    assert type(imputer) is (Mean if path.stem in MEAN else Zero)
    assert config.missing.seed == 0
    masks = setting.draw(tiny_dataset)
    assert masks.sees_test_items == path.stem.endswith(("_paper", "_code"))
    assert (masks.train == tiny_dataset.features.observed).all() == (
        path.stem in {"full", "natural"} or "ftmt" in path.stem
    )
    for view in build_views(tiny_dataset, masks, imputer).values():
        assert all(x.isfinite().all() for x in view.features.values())


@pytest.mark.parametrize(
    "path", [*SETTINGS, *(CONF / "imputer" / f"{name}.yaml" for name in IMPUTERS)], ids=lambda path: path.stem
)
def test_yaml_gives_and_comments_every_keyword(path: Path) -> None:
    config, lines = load(path), path.read_text().splitlines()
    assert set(config) - {"_target_"} == set(inspect.signature(get_class(config._target_)).parameters)
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("#"), f"{path.name}: {line} has no comment above it"


def test_readings_of_i3mrec() -> None:
    read = {path.stem: load(path) for path in SETTINGS}
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
    rate, popularity = load(CONF / "missing" / "rate.yaml"), load(CONF / "missing" / "popularity.yaml")
    assert (rate.rate, rate.unit, popularity.rate) == (0.9, "entry", 0.5)


@pytest.mark.parametrize("name", IMPUTERS)
def test_imputer_choice_builds_with_the_defaults_of_its_class_and_fills(
    name: str, tiny_dataset: MultimodalDataset
) -> None:
    imputer, default = build(load(CONF / "imputer" / f"{name}.yaml")), IMPUTERS[name]()
    assert type(imputer) is IMPUTERS[name]
    plain = {key: value for key, value in vars(default).items() if isinstance(value, int | float | str | tuple)}
    assert {key: vars(imputer)[key] for key in plain} == plain
    masks = Rate(rate=0.9).draw(tiny_dataset)
    for view in build_views(tiny_dataset, masks, imputer).values():
        assert all(x.isfinite().all() for x in view.features.values())


def test_masks_of_a_choice_have_three_phases(tiny_dataset: MultimodalDataset) -> None:
    masks = instantiate(load(CONF / "missing" / "mtmt.yaml")).draw(tiny_dataset)
    assert {row["phase"] for row in masks.rates} == set(PHASES)
