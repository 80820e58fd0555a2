"""The statistics of a catalogue against counts by hand."""

import numpy as np
import pytest

from recmm.data.dataset import MultimodalDataset
from recmm.ingest.describe.statistics import describe_dataset, patterns


def test_numbers_counted_by_hand(toy: MultimodalDataset) -> None:
    told = describe_dataset(toy, "here").to_json()
    assert told["statistics"] == {"users": 4, "items": 5, "train": 4, "val": 2, "test": 2, "interactions": 8}
    assert told["sparsity_percent"] == pytest.approx(60.0)
    users, items = told["degrees"]["users"], told["degrees"]["items"]
    assert users["all splits"]["histogram"] == {1: 1, 2: 2, 3: 1}
    assert (users["training"]["mean"], users["training"]["median"], users["training"]["maximum"]) == (1.0, 1.0, 2.0)
    assert items["all splits"]["histogram"] == {0: 1, 2: 4} and items["training"]["histogram"] == {0: 1, 1: 4}
    assert told["missing_patterns"] == [
        {"modalities": ["visual", "textual"], "items": 3},
        {"modalities": [], "items": 1},
        {"modalities": ["textual"], "items": 1},
    ]
    visual, textual = told["modalities"]
    assert {key: visual[key] for key in ("dim", "dtype", "observed", "zero_rows", "duplicate_rows")} == {
        "dim": 2,
        "dtype": "float32",
        "observed": 3,
        "zero_rows": 1,
        "duplicate_rows": 1,
    }
    assert (visual["norms"]["minimum"], visual["norms"]["median"], visual["norms"]["maximum"]) == (0.0, 5.0, 5.0)
    assert visual["alignment"] is None  # user 2 trained on item 3, which has no picture
    assert textual["alignment"] is None


def test_patterns_are_ordered_by_frequency() -> None:
    observed = np.array([[1, 0], [0, 1], [0, 1], [1, 1], [1, 1], [1, 1]], bool)
    assert list(patterns(observed, ("a", "b")).items()) == [(("a", "b"), 3), (("b",), 2), (("a",), 1)]
