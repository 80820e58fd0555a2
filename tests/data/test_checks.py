"""The checks that catalogues share; what they refuse is tested where catalogues are assembled."""

import numpy as np
import pytest

from recmm.data.checks import checked_features, checked_ids, checked_labels, checked_numbers
from recmm.errors import IdError


def test_ids_of_every_integer_type_become_int64() -> None:
    for kind in (np.int8, np.uint16, np.int32, np.uint64):
        ids = checked_ids(np.array([0, 2], kind), "user", 3, "x.tsv")
        assert (ids.dtype, ids.tolist()) == (np.int64, [0, 2])


def test_unsigned_ids_beyond_int64_are_out_of_range() -> None:
    with pytest.raises(IdError, match="18446744073709551615"):
        checked_ids(np.array([2**64 - 1], np.uint64), "user", 3, "x.tsv")


def test_absent_numbers_stay_absent() -> None:
    assert checked_numbers(None, "weight", 3, "x.tsv") is None


def test_many_unlabelled_ids_need_many_interactions() -> None:
    assert len(checked_labels("user", None, 30_000, 1_000)) == 30_000
    with pytest.raises(IdError, match="out of range for dense ids"):
        checked_labels("user", None, 30_001, 1_000)


def test_single_precision_features_are_not_copied() -> None:
    values = np.ones((3, 2), np.float32)
    assert checked_features(values, 3, "text.npy") is values
