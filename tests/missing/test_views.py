"""The one imputation path: nothing hidden gets in, one object per distinct mask, digests that tell."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.dataset import Interactions, ItemFeatures, MultimodalDataset
from recmm.errors import MissingSettingError
from recmm.missing.imputers import Features, Imputer, Mean, Zero
from recmm.missing.masks import PHASES, Masks
from recmm.missing.settings import Full, Modality, Rate, TrainTest
from recmm.missing.views import build_views, hide

IMPUTERS = [Zero, Mean]


def with_values(dataset: MultimodalDataset, values: dict[str, np.ndarray]) -> MultimodalDataset:
    return replace(dataset, features=ItemFeatures(values, dataset.features.observed))


def test_hide_copies_what_is_visible_only() -> None:
    values = np.array([[1, 2], [np.nan, np.inf], [5, 6]], np.float16)
    hidden = hide({"v": values}, np.array([[True], [False], [True]]))
    assert hidden["v"].dtype == np.float32
    assert hidden["v"].tolist() == [[1, 2], [0, 0], [5, 6]]
    hidden["v"][0] = 9
    assert values[0].tolist() == [1, 2]


def test_hide_reads_a_read_only_memory_map(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float16).reshape(4, 3)
    np.save(tmp_path / "v.npy", values)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    hidden = hide({"v": mapped}, np.array([[True], [True], [False], [True]]))
    assert hidden["v"][[0, 1, 3]].tolist() == values[[0, 1, 3]].tolist()


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_phases_with_equal_masks_share_one_view(imputer: type[Imputer], make_dataset: Any) -> None:
    dataset = make_dataset(30)
    views = build_views(dataset, Rate(rate=0.5).draw(dataset), imputer())
    assert views["train"] is views["val"] is views["test"]
    views = build_views(dataset, TrainTest(train_rate=0.3).draw(dataset), imputer())
    assert views["val"] is views["test"] is not views["train"]
    views = build_views(dataset, TrainTest(train_rate=0.3, validation="train").draw(dataset), imputer())
    assert views["val"] is views["train"] is not views["test"]


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_views_hold_the_raw_values_where_visible(imputer: type[Imputer], make_dataset: Any) -> None:
    dataset = make_dataset(40, gaps=0.2)
    masks = TrainTest(train_rate=0.4, validation="independent").draw(dataset)
    views = build_views(dataset, masks, imputer())
    for phase in PHASES:
        view = views[phase]
        assert view.modalities == dataset.modalities
        assert (view.mask.numpy() == masks.phase(phase)).all()
        for column, (modality, x) in enumerate(view.features.items()):
            visible = masks.phase(phase)[:, column]
            assert x.dtype == torch.float32 and torch.isfinite(x).all()
            assert (x.numpy()[visible] == dataset.features.values[modality][visible]).all()
            fill = np.unique(x.numpy()[~visible], axis=0)
            assert len(fill) == 1
            seen = dataset.features.values[modality][masks.train[:, column]]
            expected = np.zeros(seen.shape[1]) if imputer is Zero else seen.mean(axis=0, dtype=np.float64)
            assert np.allclose(fill[0], expected, atol=1e-6)


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_nothing_missing_is_the_identity(imputer: type[Imputer], make_dataset: Any) -> None:
    dataset = make_dataset(40)
    view = build_views(dataset, Full().draw(dataset), imputer())["test"]
    assert all((view.features[m].numpy() == dataset.features.values[m]).all() for m in dataset.modalities)


def with_noise(dataset: MultimodalDataset, where: np.ndarray) -> MultimodalDataset:
    noisy = {modality: values.copy() for modality, values in dataset.features.values.items()}
    for column, values in enumerate(noisy.values()):
        values[where[:, column]] = 1e3 * np.random.default_rng(7).standard_normal(values[where[:, column]].shape)
    return with_values(dataset, noisy)


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_noise_in_what_training_hides_changes_nothing(imputer: type[Imputer], make_dataset: Any) -> None:
    dataset = make_dataset(40, gaps=0.2)
    masks = TrainTest(train_rate=0.4, eval_bank="union").draw(dataset)
    before, after = (build_views(data, masks, imputer()) for data in (dataset, with_noise(dataset, where=~masks.train)))
    assert (~masks.train & dataset.features.observed).any()
    for phase in PHASES:
        assert after[phase].digest == before[phase].digest
        assert all((after[phase].features[m] == before[phase].features[m]).all() for m in dataset.modalities)


@pytest.mark.parametrize("phase", PHASES)
def test_noise_in_what_a_phase_hides_leaves_its_zero_filled_view(phase: Any, make_dataset: Any) -> None:
    dataset = make_dataset(40, gaps=0.2)
    masks = TrainTest(train_rate=0.4, validation="independent").draw(dataset)
    noisy = with_noise(dataset, where=~masks.phase(phase))
    before, after = build_views(dataset, masks, Zero()), build_views(noisy, masks, Zero())
    assert [p for p in PHASES if after[p].digest == before[p].digest] == [phase]


def test_what_only_test_shows_cannot_change_the_mean(make_dataset: Any) -> None:
    dataset = make_dataset(40)
    masks = TrainTest(train_rate=0.5, test_rate=0.3).draw(dataset)
    only_in_test = ~masks.train & masks.test
    assert only_in_test.any(axis=0).all()
    shifted = {m: x + 100 * only_in_test[:, [k]] for k, (m, x) in enumerate(dataset.features.values.items())}
    shifted = {m: x.astype(np.float32) for m, x in shifted.items()}
    before, after = Mean(), Mean()
    views, shifted_views = build_views(dataset, masks, before), build_views(with_values(dataset, shifted), masks, after)
    assert all((before.means[m] == after.means[m]).all() for m in dataset.modalities)
    assert views["train"].digest == shifted_views["train"].digest
    assert views["test"].digest != shifted_views["test"].digest


class Recorder(Imputer):
    """Keeps copies of everything that it is shown."""

    def __init__(self) -> None:
        self.fits: list[tuple[Features, np.ndarray]] = []
        self.train: Interactions | None = None
        self.seen: list[Features] = []

    def fit(self, features: Features, mask: np.ndarray, train: Interactions) -> None:
        self.fits.append(({m: x.copy() for m, x in features.items()}, mask.copy()))
        self.train = train

    def transform(self, features: Features, mask: np.ndarray) -> Features:
        self.seen.append({m: x.copy() for m, x in features.items()})
        return features


def test_an_imputer_is_fitted_once_and_sees_no_hidden_value(make_dataset: Any) -> None:
    dataset, recorder = make_dataset(40, gaps=0.2), Recorder()
    masks = TrainTest(train_rate=0.4, validation="independent").draw(dataset)
    build_views(dataset, masks, recorder)
    ((features, mask),) = recorder.fits
    assert (mask == masks.train).all() and recorder.train is dataset.train
    for shown, phase in zip([features, *recorder.seen], ["train", *PHASES], strict=True):
        for column, values in enumerate(shown.values()):
            assert not values[~masks.phase(phase)[:, column]].any()


def test_digest_tells_values_masks_and_imputers_apart(make_dataset: Any) -> None:
    dataset = make_dataset(40)
    masks = Rate(rate=0.5).draw(dataset)

    def digest(data: MultimodalDataset, drawn: Masks, imputer: Imputer) -> str:
        return build_views(data, drawn, imputer)["test"].digest

    changed = {m: x.copy() for m, x in dataset.features.values.items()}
    changed["visual"][np.flatnonzero(masks.test[:, 0])[0], 0] += 1e-3
    digests = [
        digest(dataset, masks, Zero()),
        digest(dataset, masks, Mean()),
        digest(with_values(dataset, changed), masks, Zero()),
        digest(dataset, Rate(rate=0.5, seed=1).draw(dataset), Zero()),
        digest(
            dataset.select(["acoustic", "visual"]), Rate(rate=0.5).draw(dataset.select(["acoustic", "visual"])), Zero()
        ),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(make_dataset(40), masks, Zero()) == digests[0]
    # the same zeros, once hidden and once visible, are different views
    zeros = with_values(dataset, {m: np.zeros_like(x) for m, x in dataset.features.values.items()})
    assert digest(zeros, masks, Zero()) != digest(zeros, Full().draw(zeros), Zero())


@pytest.mark.parametrize("imputer", IMPUTERS)
def test_modality_free_data_and_vanished_modalities(imputer: type[Imputer], make_dataset: Any) -> None:
    free = make_dataset(20, modalities=())
    view = build_views(free, Rate(rate=0.5).draw(free), imputer())["test"]
    assert view.features == {} and view.mask.shape == (20, 0)
    dataset = make_dataset(20)
    views = build_views(dataset, Modality(modalities=["visual"], phases="train").draw(dataset), imputer())
    assert not views["train"].features["visual"].any()
    assert (views["test"].features["visual"].numpy() == dataset.features.values["visual"]).all()


def test_masks_of_another_dataset_are_refused(make_dataset: Any) -> None:
    dataset = make_dataset(20)
    for other in (make_dataset(21), dataset.select(["visual"]), dataset.select(["acoustic", "visual"])):
        with pytest.raises(MissingSettingError, match="draw the masks"):
            build_views(dataset, Full().draw(other), Zero())
    with pytest.raises(MissingSettingError, match="lacks"):
        build_views(make_dataset(20, gaps=0.5), Full().draw(dataset), Zero())
