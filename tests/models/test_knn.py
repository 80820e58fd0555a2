"""ItemKNN and UserKNN against dense similarities."""

import numpy as np
import pytest
import torch

from recmm.models import ItemKNN, UserKNN
from tests.models.random_catalogue import R, catalogue, view

ALL = torch.arange(len(R))


def dense(rows: np.ndarray, similarity: str, weighting: str, shrink: float, k: int) -> np.ndarray:
    """The k largest similarities of each row; written with loops."""
    n, m = rows.shape
    d = rows.sum(0)
    weight = {"none": d**0, "inverse": 1 / np.maximum(d, 1), "idf": np.log(m / np.minimum(1 + d, m)) ** 2}[weighting]
    result = np.zeros((n, n))
    for i in range(n):
        found = []
        for j in set(range(n)) - {i}:
            common, a, b = (
                float((x * y * weight).sum()) for x, y in ((rows[i], rows[j]), (rows[i],) * 2, (rows[j],) * 2)
            )
            below = np.sqrt(a * b) if similarity == "cosine" else a + b - common
            found.append((common / (below + shrink) if common else 0.0, j))
        for value, j in sorted(found, reverse=True)[:k]:
            result[i, j] = value
    return result


@pytest.mark.parametrize("similarity", ["cosine", "jaccard"])
@pytest.mark.parametrize(("weighting", "shrink"), [("none", 0.0), ("inverse", 0.3), ("idf", 2.0)])
def test_similarities_are_those_of_loops(similarity: str, weighting: str, shrink: float) -> None:
    values = {"similarity": similarity, "weighting": weighting, "shrink": shrink}
    for k in (len(R) + 1, 4):  # all, and a cut: ties at a cut are not compared, hence sums
        items = ItemKNN(catalogue(), **values, k=k)
        expected = dense(R.T, similarity, weighting, shrink, k).T
        got = items.weights(view()).to_dense().numpy()
        np.testing.assert_allclose(got.sum(0), expected.sum(0), rtol=1e-4, atol=1e-6)
        users = UserKNN(catalogue(), **values, k=k)
        similar = users.prepare(view()).to_dense().numpy()
        np.testing.assert_allclose(similar.sum(1), dense(R, similarity, weighting, shrink, k).sum(1), rtol=1e-4)
        if k > len(R):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
            scores = users.score_users(ALL, users.prepare(view())).numpy()
            np.testing.assert_allclose(scores, dense(R, similarity, weighting, shrink, k) @ R, rtol=1e-4, atol=1e-6)


def test_users_on_the_transpose_are_items() -> None:
    items = ItemKNN(catalogue(), weighting="none", k=None).weights(view()).to_dense()
    users = UserKNN(catalogue(R.T), weighting="none", k=None).prepare(view()).to_dense()
    assert torch.equal(items, users.T)


def test_scores_of_some_users_are_rows_of_all() -> None:
    model = UserKNN(catalogue(), k=3)
    some = torch.tensor([4, 0, 7])
    assert torch.equal(model.score(some, view()), model.score(ALL, view())[some])
    assert set(model.deployable(view())) == {"user_user", "popularity"}
