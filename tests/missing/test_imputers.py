"""Zero and mean by hand."""

import logging
from typing import Any

import numpy as np
import pytest

from recmm.missing.imputers import Imputer, Mean, Zero

V = np.array([[1, 2], [3, 4], [50, 60]], np.float32)
A = np.array([[7], [9], [8]], np.float32)
MASK = np.array([[True, False], [True, True], [False, True]])


def test_mean_by_hand(make_dataset: Any) -> None:
    mean = Mean()
    mean.fit({"v": V.copy(), "a": A.copy()}, MASK, make_dataset().train)
    filled = mean.transform({"v": V.copy(), "a": A.copy()}, MASK)
    assert filled["v"].tolist() == [[1, 2], [3, 4], [2, 3]]
    assert filled["a"].tolist() == [[8.5], [9], [8]]
    # the other phase hides other rows; they get training's mean, not their own
    other = mean.transform({"v": V.copy(), "a": A.copy()}, ~MASK)
    assert other["v"].tolist() == [[2, 3], [2, 3], [50, 60]]
    assert other["v"].dtype == np.float32


def test_zero_by_hand(make_dataset: Any) -> None:
    zero = Zero()
    zero.fit({"v": V.copy(), "a": A.copy()}, MASK, make_dataset().train)
    filled = zero.transform({"v": V.copy(), "a": A.copy()}, MASK)
    assert filled["v"].tolist() == [[1, 2], [3, 4], [0, 0]]
    assert filled["a"].tolist() == [[0], [9], [8]]


@pytest.mark.parametrize("imputer", [Zero(), Mean()])
def test_identity_where_nothing_is_missing(imputer: Imputer, make_dataset: Any) -> None:
    features, full = {"v": V.copy(), "a": A.copy()}, np.ones((3, 2), bool)
    imputer.fit(features, full, make_dataset().train)
    filled = imputer.transform(features, full)
    assert filled["v"].tobytes() == V.tobytes() and filled["a"].tobytes() == A.tobytes()


def test_mean_is_accumulated_in_double_precision(make_dataset: Any) -> None:
    values = np.full((200_000, 1), 0.1, np.float32)
    mean = Mean()
    mean.fit({"v": values}, np.ones((200_000, 1), bool), make_dataset().train)
    assert mean.means["v"][0] == np.float32(0.1)


def test_modality_that_training_never_sees_warns_and_fills_zero(
    make_dataset: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mean, mask = Mean(), np.array([[True, False]] * 3)
    with caplog.at_level(logging.WARNING):
        mean.fit({"v": V.copy(), "a": A.copy()}, mask, make_dataset().train)
    assert "No entry of modality a is visible in training" in caplog.text
    assert len(caplog.records) == 1
    assert mean.transform({"v": V.copy(), "a": A.copy()}, mask)["a"].tolist() == [[0], [0], [0]]
