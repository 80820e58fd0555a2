"""The one validated way to a catalogue: what it refuses, and what it makes of the rest."""

import logging
from typing import Any

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns
from recmm.errors import (
    DataError,
    EmptySplitError,
    FeatureFileError,
    FeatureShapeError,
    FeatureValueError,
    IdError,
    SplitOverlapError,
)
from tests.data.toy import IMAGE, OBSERVED, TEXT, build, columns


def test_pairs_are_sorted_and_carry_their_columns_along() -> None:
    train = columns((2, 1), (0, 2), (0, 0), timestamps=np.array([30, 20, 10]), weights=np.array([3.0, 2.0, 1.0]))
    found = build(train=train).train
    assert (found.users.dtype, found.items.dtype) == (np.int64, np.int64)
    assert list(zip(found.users, found.items, strict=True)) == [(0, 0), (0, 2), (2, 1)]
    assert found.timestamps is not None
    assert found.weights is not None
    assert (found.timestamps.tolist(), found.timestamps.dtype) == ([10, 20, 30], np.int64)
    assert (found.weights.tolist(), found.weights.dtype) == ([1, 2, 3], np.float32)
    assert len(found) == 3


def test_users_without_history_and_cold_items_stay_and_are_counted() -> None:
    dataset = build()
    assert dataset.notes == {"duplicates_dropped": 0, "users_without_history": 1, "cold_items": 2}
    assert 3 in dataset.test.users


def test_duplicates_within_a_split_are_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    train = columns((1, 1), (0, 2), (1, 1), (1, 1), timestamps=np.array([5, 6, 7, 8]), source="train.tsv")
    with caplog.at_level(logging.WARNING):
        dataset = build(train=train)
    assert list(zip(dataset.train.users, dataset.train.items, strict=True)) == [(0, 2), (1, 1)]
    assert dataset.train.timestamps is not None
    assert dataset.train.timestamps.tolist() == [6, 5]
    assert dataset.notes["duplicates_dropped"] == 2
    assert caplog.messages == ["train.tsv: 2 duplicate pairs in 'train' dropped, the first: user 1, item 1."]


@pytest.mark.parametrize(
    ("split", "pair", "named"), [("val", (0, 2), "train"), ("test", (0, 2), "train"), ("test", (0, 3), "val")]
)
def test_a_pair_in_two_splits_is_refused(split: str, pair: tuple[int, int], named: str) -> None:
    labelled = "cd"[pair[1] - 2]
    sentence = rf"1 pairs stand both in split '{named}' \({named}\.tsv\) .* '{split}' .*user u0, item {labelled}\."
    with pytest.raises(SplitOverlapError, match=sentence):
        build(**{split: columns(pair)})


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_refused(split: str) -> None:
    with pytest.raises(EmptySplitError, match=f"x.tsv has no interaction in split '{split}'"):
        build(**{split: columns(source="x.tsv")})


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ((-1, 0), r"x\.tsv: 1 user ids .* first is -1 \(entry 1,.*from 0 to 3"),
        ((4, 0), r"user ids .* first is 4 .*from 0 to 3"),
        ((0, -2), r"item ids .* first is -2"),
        ((0, 5), r"item ids .* first is 5 .*from 0 to 4"),
    ],
)
def test_negative_and_out_of_range_ids_are_refused(pair: tuple[int, int], sentence: str) -> None:
    with pytest.raises(IdError, match=sentence):
        build(train=columns((0, 0), pair, source="x.tsv"))


def test_ids_that_are_not_integers_are_refused() -> None:
    with pytest.raises(IdError, match=r"x\.tsv: the item ids are of type float64; expected integers from 0 to 4"):
        build(train=SplitColumns(np.array([0]), np.array([0.5]), source="x.tsv"))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="1 users but 2 items"):
        build(train=SplitColumns(np.array([0]), np.array([0, 1])))


@pytest.mark.parametrize("column", ["timestamps", "weights"])
@pytest.mark.parametrize("values", [[np.nan], [1.0, 2.0], ["now"]])
def test_timestamps_and_weights_are_one_finite_number_a_pair(column: str, values: list[Any]) -> None:
    with pytest.raises(DataError, match=f"one finite number as {column[:-1]}"):
        build(val=columns((0, 3), **{column: np.array(values)}))


def test_without_labels_the_dense_id_is_the_label() -> None:
    dataset = build(user_ids=None, item_ids=None)
    assert (dataset.user_ids, dataset.item_ids) == (list("0123"), list("01234"))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [(["u0", "u1"], "2 user labels for 4 user ids"), (["u0", "u1", "u0", "u3"], "label 'u0' stands for 2 user ids")],
)
def test_labels_are_one_for_each_id_and_unique(labels: list[str], sentence: str) -> None:
    with pytest.raises(IdError, match=sentence):
        build(user_ids=labels)


def test_raw_ids_given_as_dense_ids_are_refused_before_they_fill_the_memory() -> None:
    with pytest.raises(IdError, match=r"user ids run up to 999,999,999,999 .*out of range"):
        build(n_users=10**12, user_ids=None)


def test_feature_rows_must_be_items() -> None:
    with pytest.raises(FeatureShapeError, match=r"text\.npy has 4 rows, but there are 5 items"):
        build(features={"text": TEXT[:4], "image": IMAGE})


def test_observed_must_be_one_bool_for_each_entry() -> None:
    for observed in (OBSERVED[:, :1], OBSERVED.astype(int)):
        with pytest.raises(FeatureShapeError, match=r"expected bool of shape \(5, 2\)"):
            build(observed=observed)


def test_non_finite_values_are_refused_only_where_observed() -> None:
    text = TEXT.copy()
    text[~OBSERVED[:, 0]] = np.nan
    build(features={"text": text, "image": IMAGE})
    text[3, 1] = np.inf
    with pytest.raises(FeatureValueError, match=r"text\.npy holds 1 NaN or Inf values in 1 of 5 rows, first row 3 "):
        build(features={"text": text, "image": IMAGE})


def test_features_must_be_numbers() -> None:
    with pytest.raises(FeatureFileError, match=r"text\.npy has dtype"):
        build(features={"text": TEXT.astype(str), "image": IMAGE})


def test_without_observed_every_entry_is_there() -> None:
    assert build(observed=None).features.observed.all()
