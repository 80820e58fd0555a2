"""Controls: what replaces the features, in which phases and modalities, and that the real ones reach no method."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmm.data.dataset import ItemFeatures, MultimodalDataset
from recmm.datamodules.base import InMemory
from recmm.errors import ConfigError, MissingSettingError
from recmm.missing.controls import Constant, Control, Noise, Shuffled
from recmm.missing.imputers import Zero
from recmm.missing.masks import PHASES, Masks, Phase
from recmm.missing.settings import Natural
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views

CONTROLS: list[type[Control]] = [Noise, Shuffled, Constant]


def views_of(dataset: MultimodalDataset, setting: Natural) -> dict[Phase, ModalityView]:
    return build_views(dataset, setting.draw(dataset), Zero(), setting.replace)


def with_values(dataset: MultimodalDataset, change: Any) -> MultimodalDataset:
    values = {modality: change(x.astype(np.float64)) for modality, x in dataset.features.values.items()}
    values = {modality: x.astype(np.float32) for modality, x in values.items()}
    return replace(dataset, features=ItemFeatures(values, dataset.features.observed))


@pytest.mark.parametrize("kind", CONTROLS)
def test_masks_are_those_of_the_data_under_another_digest(kind: type[Control], make_dataset: Any) -> None:
    dataset = make_dataset(40, gaps=0.2)
    masks, natural = kind().draw(dataset), Natural().draw(dataset)
    assert all((masks.phase(phase) == dataset.features.observed).all() for phase in PHASES)
    assert masks.digest != natural.digest and set(masks.replaced) == set(PHASES)
    assert masks.provenance["setting"] == kind.__name__
    assert "In train, val, test, features are replaced: visual, acoustic by" in masks.summary()
    assert (kind(seed=1).draw(dataset).digest == masks.digest) == (kind is Constant)
    views, real = views_of(dataset, kind()), views_of(dataset, Natural())
    assert views["train"] is views["val"] is views["test"] and views["test"].digest != real["test"].digest
    assert (views["test"].mask == real["test"].mask).all()
    hidden = ~views["test"].mask[:, 0]
    assert (views["test"].features["visual"][hidden] == 0).all()  # holes stay with the imputer


@pytest.mark.parametrize("kind", CONTROLS)
def test_named_modalities_and_phases_alone_are_replaced(kind: type[Control], make_dataset: Any) -> None:
    dataset = make_dataset(40, ("visual", "textual", "acoustic"), gaps=0.2)
    real, everything = views_of(dataset, Natural())["test"], views_of(dataset, kind())["test"]
    for phases, replaced in (("train", {"train"}), ("test", {"val", "test"}), ("both", set(PHASES))):
        setting = kind(modalities=["textual"], phases=phases)
        assert set(setting.draw(dataset).replaced) == replaced
        for phase, view in views_of(dataset, setting).items():
            source = everything if phase in replaced else real
            assert view.features["textual"].equal(source.features["textual"])  # the same as with all modalities
            assert view.features["visual"].equal(real.features["visual"])
    tied = kind(modalities=["textual"], tied=[["visual", "textual"]])
    assert "visual, textual by" in tied.draw(dataset).replaced["test"]


def test_noise_has_mean_and_deviation_of_each_dimension_and_nothing_else(make_dataset: Any) -> None:
    scale = np.array([1.0, 10.0, 0.0])
    dataset = with_values(make_dataset(2000, ("visual",), gaps=0.3), lambda x: x * scale + 5)
    view, seen = views_of(dataset, Noise())["test"], dataset.features.observed[:, 0]
    noise, real = view.features["visual"].numpy()[seen], dataset.features.values["visual"][seen]
    assert np.allclose(noise.mean(0), real.mean(0), atol=0.1 * scale + 1e-6)
    assert np.allclose(noise.std(0), real.std(0), rtol=0.05)
    assert abs(np.corrcoef(noise[:, 0], real[:, 0])[0, 1]) < 0.1
    # other items with the same statistics: the same noise
    order = np.arange(2000)
    order[seen] = np.random.default_rng(0).permutation(order[seen])
    shuffled = views_of(with_values(dataset, lambda x: x[order]), Noise())["test"].features["visual"]
    assert np.allclose(shuffled.numpy()[seen], noise, atol=1e-4)
    other = views_of(dataset, Noise(seed=1))["test"].features["visual"].numpy()[seen]
    assert not np.allclose(other[:, 0], noise[:, 0], atol=0.1)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_shuffled_gives_every_item_the_row_of_another_one(gaps: float, make_dataset: Any) -> None:
    dataset = make_dataset(60, gaps=gaps)
    view = views_of(dataset, Shuffled())["test"]
    givers = []
    for column, (modality, real) in enumerate(dataset.features.values.items()):
        seen = np.flatnonzero(dataset.features.observed[:, column])
        shown = view.features[modality].numpy()[seen]
        giver = [int(np.flatnonzero((real[seen] == row).all(1))[0]) for row in shown]
        assert sorted(giver) == list(range(len(seen)))
        assert all(place != own for own, place in enumerate(giver))
        givers.append(giver)
    if not gaps:
        assert givers[0] == givers[1]  # an item gets all modalities of one other item


def test_under_a_constant_nothing_of_the_real_features_is_left(make_dataset: Any) -> None:
    dataset = make_dataset(40, gaps=0.2)
    poisoned = with_values(dataset, lambda x: np.full_like(x, np.inf))
    before, after = views_of(dataset, Constant(value=0.5)), views_of(poisoned, Constant(value=0.5))
    assert before["train"].digest == after["train"].digest
    assert set(np.unique(before["train"].features["visual"])) == {0.0, 0.5}


def test_a_datamodule_replaces_and_saved_masks_say_so(make_dataset: Any, tmp_path: Path) -> None:
    datamodule = InMemory(make_dataset(30))
    datamodule.configure(missing=Constant(phases="test"))
    assert (datamodule.view("test").features["visual"] == 1).all()
    assert not (datamodule.view("train").features["visual"] == 1).any()
    datamodule.masks.save(tmp_path / "masks.npz")
    loaded = Masks.load(tmp_path / "masks.npz")
    assert loaded.replaced == datamodule.masks.replaced and loaded.digest == datamodule.masks.digest


def test_refusals(make_dataset: Any) -> None:
    dataset = make_dataset(20)
    with pytest.raises(MissingSettingError, match="names sound, which small does not have; it has visual, acoustic"):
        Noise(modalities=["visual", "sound"]).draw(dataset)
    with pytest.raises(ConfigError, match=r"missing\.modalities"):
        Noise(modalities=[])
    with pytest.raises(MissingSettingError, match="pass the setting's replace"):
        build_views(dataset, Noise().draw(dataset), Zero())
