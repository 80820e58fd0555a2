"""What the settings of training mean in numbers."""

import pytest

from recmm.errors import ConfigError
from recmm.models.training import Training


@pytest.mark.parametrize(
    ("given", "n_train", "expected"),
    [(512, 10**7, 512), ("auto", 59_541, 2048), ("auto", 96 * 2048, 2048), ("auto", 96 * 2048 + 1, 2049)],
)
def test_auto_bounds_the_steps_of_an_epoch(given: int | str, n_train: int, expected: int) -> None:
    assert Training(batch_size=given).pairs_in_batch(n_train) == expected


@pytest.mark.parametrize("wrong", [0, "large", 2.5])
def test_other_batch_sizes_are_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"model\.training\.batch_size"):
        Training(batch_size=wrong)
