"""The nearest items and the networks: by hand, and against plain loops."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

from recmm.data.dataset import Interactions
from recmm.errors import ConfigError
from recmm.missing.imputers import Autoencoder, Features, Imputer, Knn, autoencoder, nearest

TRAIN = Interactions(np.array([0]), np.array([0]), 1, 1)


def fill(imputer: Imputer, features: Features, mask: np.ndarray) -> Features:
    imputer.fit({m: x.copy() for m, x in features.items()}, mask, TRAIN)
    return imputer.transform({m: x.copy() for m, x in features.items()}, mask)


def test_knn_by_hand() -> None:
    # less the mean (0, 0), item 4 points along item 0, then item 1; item 3 opposite
    v = np.array([[1, 0], [1, 1], [-1, 1], [-2, -2], [3, 0], [-2, 0]], np.float32)
    a = np.array([[10], [20], [40], [80], [999], [7]], np.float32)
    mask = np.ones((6, 2), bool)
    mask[4, 1] = False
    for k, expected in ((1, 10), (2, 15), (3, 70 / 3), (99, 157 / 5)):
        assert fill(Knn(k=k), {"v": v, "a": a}, mask)["a"][4] == pytest.approx(expected)


def test_knn_gives_the_mean_of_training_no_direction() -> None:
    v = np.array([[0.1], [0.3], [0.9], [0.7]], np.float32) + np.float32(1e3)
    v = np.vstack([v, v.mean(0, dtype=np.float64) + np.array([[6e-5]])]).astype(np.float32)
    a, mask = np.array([[10], [20], [40], [80], [0]], np.float32), np.ones((5, 2), bool)
    mask[4, 1] = False
    assert fill(Knn(k=4), {"v": v, "a": a}, mask)["a"][4] == pytest.approx(37.5)
    assert fill(Knn(k=1), {"v": v, "a": a}, mask)["a"][4] == 10  # a tie of all, which the lowest id wins


def test_ties_of_knn_go_to_the_lower_id() -> None:
    v, a = np.ones((5, 2), np.float32), np.arange(5, dtype=np.float32)[:, None]
    mask = np.ones((5, 2), bool)
    mask[1, 1] = False
    assert fill(Knn(k=2), {"v": v, "a": a}, mask)["a"][1] == 1.0  # items 0 and 2


def plain_knn(features: Features, mask: np.ndarray, means: Features, k: int, item: int, column: int) -> Any:
    """The mean over the k nearest, item by item; None if there is none."""
    centred = [x.astype(np.float64) - means[m] for m, x in features.items()]
    ranked = []
    for other in np.flatnonzero(mask[:, column]):
        shared = np.flatnonzero(mask[item] & mask[other])
        cosines = [
            centred[m][item] @ centred[m][other] / np.linalg.norm(centred[m][item]) / np.linalg.norm(centred[m][other])
            for m in shared
        ]
        if cosines:
            ranked.append((-np.mean(cosines), other))
    nearest_items = [other for _, other in sorted(ranked)[:k]]
    return list(features.values())[column][nearest_items].mean(axis=0) if nearest_items else None


@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_knn_is_the_plain_loop(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    features = {m: rng.standard_normal((40, d)).astype(np.float32) + 3 for m, d in (("v", 4), ("a", 3), ("t", 5))}
    mask = rng.random((40, 3)) < 0.4
    imputer = Knn(k=3)
    filled = fill(imputer, features, mask)
    n_alone = 0
    for item, column in np.argwhere(~mask):
        modality = list(features)[column]
        expected = plain_knn(features, mask, imputer.means, 3, item, column)
        n_alone += expected is None
        expected = imputer.means[modality] if expected is None else expected
        assert np.allclose(filled[modality][item], expected, atol=1e-5)
    assert n_alone


def linked(n_items: int = 400, seed: int = 0) -> tuple[Features, np.ndarray]:
    """Two modalities of different scale, the second a linear image of the first."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal((n_items, 4)).astype(np.float32)
    a = (v @ rng.standard_normal((4, 3)) * 50 + 200).astype(np.float32)
    return {"v": v, "a": a}, rng.random((n_items, 2)) < 0.7


def test_autoencoder_learns_what_one_modality_says_of_the_other() -> None:
    features, mask = linked()
    filled = fill(Autoencoder(hidden=[64], epochs=60, batch_size=32), features, mask)
    both_lost = ~mask.any(axis=1)
    for column, (modality, x) in enumerate(features.items()):
        hidden, mean = ~mask[:, column] & mask[:, 1 - column], x[mask[:, column]].mean(axis=0)
        left = np.square(filled[modality] - x)[hidden].sum() / np.square(mean - x)[hidden].sum()
        assert left < (0.1 if modality == "a" else 0.6)  # three columns cannot tell all of four
        assert both_lost.any() and np.allclose(filled[modality][both_lost], mean, rtol=1e-5, atol=1e-5)


def test_autoencoder_averages_its_sources() -> None:
    features, _ = linked()
    features["t"] = features["v"][:, ::-1].copy()
    mask = np.ones((400, 3), bool)
    mask[:3, 1] = False
    mask[1, 0] = mask[2, 2] = False
    imputer = Autoencoder(hidden=[16], epochs=2)
    both, from_t, from_v = fill(imputer, features, mask)["a"][:3]
    shown = {m: x.copy() for m, x in features.items()}
    for name in ("v", "t"):
        shown[name][1] = shown[name][2] = shown[name][0]
    _, from_t, from_v = imputer.transform(shown, mask)["a"][:3]
    assert not np.allclose(from_t, from_v, rtol=1e-5)
    assert np.allclose(both, (from_t + from_v) / 2, rtol=1e-5)


def test_autoencoder_is_deterministic_and_leaves_torch_alone() -> None:
    features, mask = linked()
    before = torch.random.get_rng_state()
    with torch.inference_mode():
        first = fill(Autoencoder(epochs=2), features, mask)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    second, other = fill(Autoencoder(epochs=2), features, mask), fill(Autoencoder(epochs=2, seed=1), features, mask)
    torch.random.set_rng_state(before)
    assert all(first[m].tobytes() == second[m].tobytes() != other[m].tobytes() for m in features)


def test_autoencoder_stops_and_keeps_its_best_epoch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, mask = linked()
    features["a"] = np.random.default_rng(5).standard_normal((400, 3)).astype(np.float32)  # nothing to learn
    errors: list[float] = []
    monkeypatch.setattr(autoencoder, "_error", lambda *a, f=autoencoder._error: errors.append(f(*a)) or errors[-1])
    with caplog.at_level(logging.INFO):
        long = fill(Autoencoder(epochs=300, patience=2, lr=0.01), features, mask)
        patient = fill(Autoencoder(epochs=3, patience=2, lr=1e20), features, mask)  # diverges at once
    best = [
        int(record.getMessage().split("epoch ")[1].rstrip(".")) for record in caplog.records if "epoch" in record.msg
    ]
    assert len(best) == 4 and max(best[:2]) < 100 and best[2:] == [0, 0]
    # the one before the first epoch, those up to the best, and two of patience
    assert len(errors) == sum(1 + epoch + 2 for epoch in best)
    assert all(np.isfinite(x).all() for filled in (long, patient) for x in filled.values())


def test_without_a_pair_to_learn_from_the_autoencoder_takes_the_mean() -> None:
    features, _ = linked(6)
    mask = np.array([[True, False]] * 3 + [[False, True]] * 3)
    filled = fill(Autoencoder(), features, mask)
    assert np.allclose(filled["v"][3:], features["v"][:3].mean(axis=0), atol=1e-6)
    assert np.allclose(filled["a"][:3], features["a"][3:].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "keywords", "key"),
    [
        (Knn, {"k": 0}, "k"),
        (Autoencoder, {"hidden": [64, 0]}, "hidden"),
        (Autoencoder, {"epochs": 0}, "epochs"),
        (Autoencoder, {"patience": 0}, "patience"),
        (Autoencoder, {"batch_size": 0}, "batch_size"),
        (Autoencoder, {"lr": 0.0}, "lr"),
    ],
)
def test_values_out_of_range_are_refused(kind: Any, keywords: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"imputer\.{key} must be .*; got"):
        kind(**keywords)


def test_a_single_width_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"imputer\.hidden: 64 is not valid, expected Sequence\[int\] "):
        Autoencoder(hidden=64)
