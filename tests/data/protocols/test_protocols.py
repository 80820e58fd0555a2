"""What every protocol promises: no pair is lost, no two splits are taken for one, training draws no new item."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.batches.sampling import static_negatives
from recmm.data.dataset import MultimodalDataset, Split
from recmm.data.excerpt import excerpt
from recmm.data.formats import read_canonical, write_canonical
from recmm.data.protocols import GlobalTemporal, ItemColdStart, RandomPerUser, SplitProtocol, TemporalLeaveOneOut
from recmm.data.synthetic import synthetic
from recmm.errors import ConfigError, DataError, EmptySplitError

PROTOCOLS = [
    ItemColdStart(share=0.3),
    RandomPerUser(),
    RandomPerUser(seed=1),
    TemporalLeaveOneOut(),
    GlobalTemporal(),
    GlobalTemporal(val_share=0.2),
    GlobalTemporal(val_from=1_600_000_000, test_from=1_603_000_000),
]
over_protocols = pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)


@pytest.fixture(scope="module")
def timed() -> MultimodalDataset:
    return synthetic(n_users=60, n_items=40, timestamps=True)


def by_hand(*, n_users: int = 4, n_items: int = 5, **others: SplitColumns) -> MultimodalDataset:
    """Users 0 to 3 have 4, 3, 2 and 1 pairs among items 0 to 4, at times 1 to 10; users 3 and 2 come late.

    ``others`` are splits in place of these.
    """
    #    user, item, time
    train = np.array([[0, 0, 1], [0, 1, 6], [1, 0, 2], [2, 2, 7]])
    val = np.array([[0, 2, 3], [1, 3, 5], [3, 0, 10]])
    test = np.array([[0, 3, 4], [1, 1, 8], [2, 4, 9]])
    splits = {name: SplitColumns(*part.T) for name, part in (("train", train), ("val", val), ("test", test))}
    split = Split("by hand", "Written down in the test.")
    return assemble(name="toy", split=split, splits=splits | others, n_users=n_users, n_items=n_items, features={})


def rows(dataset: MultimodalDataset) -> dict[str, list[tuple[int, int]]]:
    return {
        name: list(zip(part.users.tolist(), part.items.tolist(), strict=True)) for name, part in dataset.splits.items()
    }


def triples(dataset: MultimodalDataset) -> list[tuple[int, int, int]]:
    """All pairs with their times, sorted; a pair that stands twice is there twice."""
    found = []
    for part in dataset.splits.values():
        assert part.timestamps is not None
        found += zip(part.users.tolist(), part.items.tolist(), part.timestamps.tolist(), strict=True)
    return sorted(found)


@over_protocols
def test_no_pair_and_nobody_is_lost(protocol: SplitProtocol, timed: MultimodalDataset) -> None:
    made = protocol.apply(timed)
    assert triples(made) == triples(timed)
    assert (made.user_ids, made.item_ids) == (timed.user_ids, timed.item_ids)
    assert made.features.values.keys() == timed.features.values.keys()
    assert np.array_equal(made.features.observed, timed.features.observed)
    assert made.notes["given_split"] == timed.split.name
    assert made.notes["cold_items"] == np.count_nonzero(made.train.item_counts() == 0)


@over_protocols
def test_the_split_is_named_told_and_reproducible(
    protocol: SplitProtocol, timed: MultimodalDataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        made = protocol.apply(timed)
    assert made.digest == protocol.apply(timed).digest
    assert f"split {made.split.name}: {len(made.train)} training" in caplog.messages[-1]
    without = np.count_nonzero(made.train.user_counts() == 0)
    before = timed.notes["users_without_history"]
    assert f"{without} of 60 users have no training history ({before} before)" in caplog.messages[-1]


def test_no_two_splits_are_taken_for_one(timed: MultimodalDataset) -> None:
    """Signatures and the report's tests go by the digest and the split's name."""
    made = [timed, *(protocol.apply(timed) for protocol in PROTOCOLS)]
    assert len({data.digest for data in made}) == len({data.split.name for data in made}) == len(made)


def test_equal_pairs_by_two_protocols_are_two_splits() -> None:
    """One user with three pairs: at some seed chance holds out what the clock does."""
    three = [SplitColumns(np.array([0]), np.array([item]), np.array([item])) for item in range(3)]
    dataset = by_hand(train=three[0], val=three[1], test=three[2], n_users=1, n_items=3)
    by_time = TemporalLeaveOneOut().apply(dataset)
    assert rows(by_time) == rows(dataset)
    alike = next(m for seed in range(99) if rows(m := RandomPerUser(seed).apply(dataset)) == rows(dataset))
    assert len({dataset.digest, by_time.digest, alike.digest}) == 3


@pytest.mark.parametrize("protocol", [RandomPerUser(), TemporalLeaveOneOut(), GlobalTemporal()], ids=str)
def test_the_split_in_which_the_pairs_came_does_not_matter(protocol: SplitProtocol, timed: MultimodalDataset) -> None:
    given = ItemColdStart(share=0.5).apply(timed)
    assert protocol.apply(given).digest == protocol.apply(timed).digest


def test_leave_one_out_by_hand() -> None:
    made = TemporalLeaveOneOut().apply(by_hand())
    assert rows(made) == {
        "train": [(0, 0), (0, 2), (1, 0), (2, 2), (2, 4), (3, 0)],
        "val": [(0, 3), (1, 3)],
        "test": [(0, 1), (1, 1)],
    }
    assert made.notes["users_without_history"] == 0 and made.split.negatives == "all"
    assert made.train.timestamps is not None and made.train.timestamps.tolist() == [1, 3, 2, 7, 9, 10]


def test_global_cuts_by_hand() -> None:
    by_share = GlobalTemporal(val_share=0.3, test_share=0.2).apply(by_hand())
    by_time = GlobalTemporal(val_from=6, test_from=9).apply(by_hand())
    assert (
        rows(by_share)
        == rows(by_time)
        == {
            "train": [(0, 0), (0, 2), (0, 3), (1, 0), (1, 3)],
            "val": [(0, 1), (1, 1), (2, 2)],
            "test": [(2, 4), (3, 0)],
        }
    )
    # users 2 and 3 come later, and so do items 1 and 4
    assert (by_share.notes["users_without_history"], by_share.notes["cold_items"]) == (2, 2)
    assert by_share.split.name == "temporal-val0.3-test0.2" and by_time.split.name == "temporal-from6-9"
    assert "from 1 to 10" in by_share.split.recipe and "validation from 6 on, test from 9 on" in by_share.split.recipe


def test_unknown_items_are_no_negatives_where_they_stand_for_new_ones(timed: MultimodalDataset, tmp_path: Path) -> None:
    """Also for methods with negatives of their own, in the dry run's excerpt, and after a write to disk."""
    made = GlobalTemporal(val_share=0.3, test_share=0.3).apply(timed)
    cold = made.train.item_counts() == 0
    assert cold.any() and made.split.negatives == "warm"
    assert not cold[static_negatives(made.catalog(), 20, seed=0).numpy()].any()
    assert cold[static_negatives(replace(made.catalog(), negatives="all"), 20, seed=0).numpy()].any()
    assert excerpt(made).split == made.split
    write_canonical(made, tmp_path / "made")
    again = read_canonical(tmp_path / "made")
    assert again.split == made.split and again.digest == made.digest


def test_without_times_no_split_by_time() -> None:
    times_in_part = by_hand(val=SplitColumns(np.array([0, 1, 3]), np.array([2, 3, 0])))
    for protocol in (TemporalLeaveOneOut(), GlobalTemporal()):
        with pytest.raises(DataError, match=r"toy has no timestamps in val, .* choose split=random_per_user"):
            protocol.apply(times_in_part)


def test_an_empty_part_is_a_sentence() -> None:
    with pytest.raises(
        EmptySplitError, match=r"no interaction in train of the split .*from 1 to 10 .*dataset.protocol"
    ):
        GlobalTemporal(val_from=0, test_from=5).apply(by_hand())
    with pytest.raises(EmptySplitError, match=r"no interaction in val and test of the split temporal-from100-200"):
        GlobalTemporal(val_from=100, test_from=200).apply(by_hand())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"val_share": 0.0}, "must be positive and together below 1"),
        ({"val_share": 0.5, "test_share": 0.5}, "must be positive and together below 1"),
        ({"val_from": 5}, "give both val_from and test_from, or neither"),
        ({"val_from": 5, "test_from": 5}, "val_from must be before test_from"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        GlobalTemporal(**values)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="must not be negative; got -1"):
        RandomPerUser(seed=-1)


def test_a_split_by_time_says_how_many_of_its_decisions_were_ties(caplog: pytest.LogCaptureFixture) -> None:
    timed = synthetic(n_users=60, n_items=40, timestamps=True)
    fine = TemporalLeaveOneOut().apply(timed)
    assert fine.notes["time_ties"] == 0 and "ties" not in caplog.text
    whole_days = {
        part: replace(pairs, timestamps=pairs.timestamps // (30 * 86400))
        for part, pairs in timed.splits.items()
        if pairs.timestamps is not None
    }
    cut = replace(timed, **whole_days)
    for protocol in (TemporalLeaveOneOut(), GlobalTemporal()):
        caplog.clear()
        made = protocol.apply(cut)
        ties, decisions = made.notes["time_ties"], made.notes["time_decisions"]
        assert isinstance(ties, int) and isinstance(decisions, int) and 0 < ties < decisions
        assert f"{ties:,} of {decisions:,} decisions" in caplog.text


def test_nanoseconds_decide_a_split() -> None:
    timed = synthetic(n_users=60, n_items=40, timestamps=True)
    in_ns = {
        part: replace(
            pairs, timestamps=1_405_382_400 * 10**9 + (pairs.timestamps - timed.train.timestamps.min()) // 600
        )
        for part, pairs in timed.splits.items()
        if pairs.timestamps is not None and timed.train.timestamps is not None
    }
    made = TemporalLeaveOneOut().apply(replace(timed, **in_ns))
    for user in np.flatnonzero(made.test.user_counts()):
        last = made.test.timestamps[made.test.users == user]
        assert (made.train.timestamps[made.train.users == user] <= last).all()
