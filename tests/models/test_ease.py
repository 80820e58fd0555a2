"""EASE, and EASE on features, against dense inverses; what is stored, what is refused, what it reaches on real data."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models import EASE, EASEFeatures
from recmm.models import ease as module
from tests.models.random_catalogue import R, catalogue, view
from tests.models.real import recall_at_20

ALL = torch.arange(len(R))


def solution(gram: np.ndarray, l2: float) -> np.ndarray:
    inverse = np.linalg.inv(gram.astype(np.float64) + l2 * np.eye(len(gram)))
    weights = -inverse / inverse.diagonal()
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_the_closed_form(gamma: float) -> None:
    damped = R * np.maximum(R.sum(1, keepdims=True), 1) ** (-gamma / 2)
    got = EASE(catalogue(), l2=3.0, user_damping=gamma).weights(view()).numpy()
    np.testing.assert_allclose(got, solution(damped.T @ damped, 3), atol=1e-5)
    assert not got[:, 2].any()  # no training interaction: no score


def test_sparse_with_all_items_as_neighbours_is_dense() -> None:
    full = R.copy()
    full[0] = 1  # a user of all items: every two share one
    dense, sparse = (EASE(catalogue(full), l2=3.0, method=m, k=50).weights(view()) for m in ("dense", "sparse"))
    assert sparse.layout == torch.sparse_csr
    torch.testing.assert_close(sparse.to_dense(), dense, atol=1e-5, rtol=1e-4)


def test_features_are_further_users() -> None:
    """With NumPy: visible rows centred and of length 1, hidden ones zero, stacked below R."""
    shown = view()
    below = []
    for alpha, x, visible in zip((2.0, 0.5), shown.features.values(), shown.mask.T.numpy(), strict=True):
        rows = x.numpy().astype(np.float64) - x.numpy()[visible].mean(0)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True) * visible[:, None]
        below.append(np.sqrt(alpha) * rows.T)
    stacked = np.concatenate([R, *below])
    got = EASEFeatures(catalogue(), l2=3.0, alpha=[2.0, 0.5]).weights(shown).numpy()
    np.testing.assert_allclose(got, solution(stacked.T @ stacked, 3), atol=1e-5)
    assert got[:, 2].any()  # its features stand for the interactions that it lacks


def test_without_weight_on_features_it_is_ease_in_every_bit() -> None:
    expected = EASE(catalogue(), l2=3.0).score(ALL, view())
    assert torch.equal(EASEFeatures(catalogue(), l2=3.0, alpha=0).score(ALL, view()), expected)


def test_hidden_rows_count_for_nothing() -> None:
    shown = view()
    filled = {m: torch.where(shown.visible(m)[:, None], x, 7.0) for m, x in shown.features.items()}
    model = EASEFeatures(catalogue())
    assert torch.equal(model.weights(shown), model.weights(ModalityView(filled, shown.mask, "filled")))


def test_one_weight_for_each_modality() -> None:
    for wrong in ([1.0, 2.0, 3.0], [1.0, -2.0], -1.0, []):
        message = f"model.alpha must be one number or one for each of visual, textual, at least 0; got {wrong}."
        with pytest.raises(ConfigError, match=re.escape(message)):
            EASEFeatures(catalogue(), alpha=wrong)
    with pytest.raises(ConfigError, match=r'"x" is not valid, expected float \| Sequence\[float\]'):
        EASEFeatures(catalogue(), alpha="x")


def test_the_largest_weights_of_each_row_are_stored() -> None:
    model = EASE(catalogue(), deployed_k=3)
    whole, stored = model.weights(view()), model.deployable(view())["item_item"]
    assert stored.layout == torch.sparse_csr and len(stored.values()) == 3 * len(whole)
    kept = stored.to_dense()
    assert torch.equal(kept, torch.where(whole.abs() >= whole.abs().sort(1, descending=True).values[:, 2:3], whole, 0))
    assert torch.equal(EASE(catalogue(), deployed_k=None).deployable(view())["item_item"], whole)


def test_large_catalogues_are_refused_a_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 12)
    for method in (EASE, EASEFeatures):
        with pytest.raises(ConfigError, match=r"at most 12, .* has 13: use model=rp3beta.*model\.method=sparse"):
            method(catalogue())
    assert EASE(catalogue(), method="sparse").score(ALL, view()).isfinite().all()


@pytest.mark.slow
def test_recall_on_baby(real_data: Path) -> None:
    """Known: .0825 to .0837 in MMRec's split."""
    table = "dataset.interactions=baby_MMRec_order_reconstructed.inter"
    assert recall_at_20("baby", real_data, EASE, table, l2=1000.0) >= 0.082
