"""The one validated way to a catalogue, and what a catalogue offers."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.files import arrays
from recmm.errors import (
    DataError,
    EmptySplitError,
    FeatureFileError,
    FeatureShapeError,
    FeatureValueError,
    IdError,
    SplitOverlapError,
)

N_USERS, N_ITEMS = 4, 5
TEXT = np.arange(10, dtype=np.float32).reshape(N_ITEMS, 2)
IMAGE = np.ones((N_ITEMS, 3), np.float16)
OBSERVED = np.array([[1, 1], [1, 0], [0, 1], [1, 1], [0, 0]], bool)


def columns(*pairs: tuple[int, int], **more: Any) -> SplitColumns:
    users, items = np.array(pairs, np.int32).reshape(-1, 2).T
    return SplitColumns(users, items, **more)


def build(**changes: Any) -> MultimodalDataset:
    """Three users with history, one without, two cold items; the pairs in no order."""
    splits = {
        "train": columns((2, 1), (0, 2), (0, 0), (1, 1), source="train.tsv"),
        "val": columns((0, 3), source="val.tsv"),
        "test": columns((3, 0), (1, 4), source="test.tsv"),
    }
    arguments: dict[str, Any] = {
        "name": "toy",
        "split": Split("toy", "By hand."),
        "splits": {part: changes.pop(part, given) for part, given in splits.items()},
        "n_users": N_USERS,
        "n_items": N_ITEMS,
        "features": {"text": TEXT, "image": IMAGE},
        "observed": OBSERVED,
        "user_ids": ["u0", "u1", "u2", "u3"],
        "item_ids": ["a", "b", "c", "d", "e"],
        "feature_sources": {"text": "text.npy"},
    }
    return assemble(**(arguments | changes))


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


def test_csr_and_counts_agree_with_the_pairs() -> None:
    train = build().train
    expected = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(train.csr().toarray(), expected)
    assert train.csr() is train.csr()
    assert train.csr().dtype == np.float32
    assert train.csr().has_sorted_indices
    np.testing.assert_array_equal(train.user_counts(), expected.sum(axis=1))
    np.testing.assert_array_equal(train.item_counts(), expected.sum(axis=0))


def test_sizes_and_statistics() -> None:
    dataset = build()
    assert dataset.statistics() == {"users": 4, "items": 5, "train": 4, "val": 1, "test": 2}
    assert (dataset.n_users, dataset.n_items, dataset.modalities) == (4, 5, ("text", "image"))
    assert dataset.features.dims == {"text": 2, "image": 3}
    assert dataset.features.values["image"].dtype == np.float16
    assert dataset.format_version == 1


def test_users_without_history_and_cold_items_stay_and_are_counted() -> None:
    dataset = build()
    assert dataset.notes == {"duplicates_dropped": 0, "users_without_history": 1, "cold_items": 2}
    assert 3 in dataset.test.users


def test_the_catalog_holds_training_data_only() -> None:
    catalog = build().catalog()
    assert catalog.train_users.tolist() == [0, 0, 1, 2]
    assert catalog.train_items.tolist() == [0, 2, 1, 1]
    assert (catalog.n_users, catalog.n_items, catalog.dims) == (4, 5, {"text": 2, "image": 3})
    assert catalog.item_ids == ["a", "b", "c", "d", "e"]


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


def test_arrays_are_read_only_and_those_given_stay_writable() -> None:
    text, observed = TEXT.copy(), OBSERVED.copy()
    train = columns((0, 0), (1, 1), timestamps=np.arange(2), weights=np.ones(2))
    dataset = build(train=train, features={"text": text, "image": IMAGE.astype(np.float64)}, observed=observed)
    for chosen in (dataset, dataset.select(["image"]), replace(dataset, train=replace(dataset.train, weights=None))):
        arrays_of = [array for pairs in chosen.splits.values() for array in vars(pairs).values()]
        arrays_of += [*chosen.features.values.values(), chosen.features.observed]
        for array in arrays_of:
            assert not isinstance(array, np.ndarray) or not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        dataset.features.values["text"][0] = 1
    assert np.shares_memory(dataset.features.values["text"], text), "large features are not copied"
    assert all(array.flags.writeable for array in (text, observed, train.users, train.timestamps))


def test_a_catalog_cannot_change_the_dataset() -> None:
    dataset = build()
    digest = replace(dataset).digest
    catalog = dataset.catalog()
    catalog.train_users.add_(1)
    catalog.train_items.add_(1)
    assert dataset.digest == digest


def test_select_takes_modalities_in_the_asked_order() -> None:
    chosen = build().select(["image", "text"])
    assert chosen.modalities == ("image", "text")
    np.testing.assert_array_equal(chosen.features.observed, OBSERVED[:, ::-1])
    only = build().select(["image"])
    assert only.features.dims == {"image": 3}
    np.testing.assert_array_equal(only.features.observed, OBSERVED[:, 1:])


def test_select_may_take_none() -> None:
    none = build().select([])
    assert (none.modalities, none.features.observed.shape) == ((), (N_ITEMS, 0))
    assert len(none.digest) == 64
    assert none.catalog().dims == {}


def test_select_names_what_there_is() -> None:
    with pytest.raises(DataError, match=r"'toy' has no modality 'audio'\. It has: text, image\."):
        build().select(["text", "audio"])
    with pytest.raises(DataError, match="twice"):
        build().select(["text", "text"])


def test_the_digest_does_not_depend_on_order_name_precision_or_hidden_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = build().digest
    text = TEXT.copy()
    text[~OBSERVED[:, 0]] = np.nan
    assert build(name="other", features={"text": text.astype(np.float16), "image": IMAGE}).digest == digest
    assert build(train=columns((0, 0), (1, 1), (0, 2), (2, 1))).digest == digest
    monkeypatch.setattr(arrays, "CHUNK", 2)
    assert build().digest == digest


def test_the_digest_is_the_same_on_every_machine() -> None:
    """A record's digest is compared with one from elsewhere: raise FORMAT_VERSION when this has to change."""
    assert build().digest == "6a4183b6d91bfc35e8882f2c0e0edd6defeb19aa323f1dab22990934333fdf96"


@pytest.mark.parametrize(
    "changes",
    [
        {"split": Split("other", "By hand.")},
        {"split": Split("toy", "By hand.", negatives="warm")},
        {"train": columns((2, 1), (0, 2), (0, 0), (1, 0))},
        {"train": columns((2, 1), (0, 2), (0, 0), (1, 1), timestamps=np.arange(4))},
        {"train": columns((2, 1), (0, 2), (0, 0), (1, 1), weights=np.arange(4))},
        {"val": columns((1, 4)), "test": columns((0, 3), (3, 0))},
        {"n_users": 5, "user_ids": ["u0", "u1", "u2", "u3", "u4"]},
        {"user_ids": ["u0", "u1", "u2", "x"]},
        {"item_ids": ["a", "b", "c", "d", "x"]},
        {"item_ids": ["a", "b", "c", "d\ne", "e"]},
        {"observed": np.ones((N_ITEMS, 2), bool)},
        {"features": {"text": TEXT + 1, "image": IMAGE}},
        {"features": {"title": TEXT, "image": IMAGE}},
    ],
)
def test_the_digest_changes_with_whatever_can_change_a_result(changes: dict[str, Any]) -> None:
    assert build(**changes).digest != build().digest


def test_the_digest_follows_a_replaced_part() -> None:
    dataset = build()
    assert dataset.digest != replace(dataset, split=Split("other", "By hand.")).digest
    assert dataset.digest != dataset.select(["text"]).digest
    assert dataset.digest != dataset.select(["image", "text"]).digest
