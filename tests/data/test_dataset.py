"""What a catalogue offers, and its digest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recmm.data.dataset import Split
from recmm.data.files import arrays
from recmm.errors import DataError
from tests.data.toy import IMAGE, N_ITEMS, OBSERVED, TEXT, build, columns


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


def test_the_catalog_holds_training_data_only() -> None:
    catalog = build().catalog()
    assert catalog.train_users.tolist() == [0, 0, 1, 2]
    assert catalog.train_items.tolist() == [0, 2, 1, 1]
    assert (catalog.n_users, catalog.n_items, catalog.dims) == (4, 5, {"text": 2, "image": 3})
    assert catalog.item_ids == ["a", "b", "c", "d", "e"]


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
