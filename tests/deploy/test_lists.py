"""Lists: those of the run, in blocks of any size, with and without what users have seen."""

from pathlib import Path

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal

from recmm.deploy.checkpoint import Deployed, read_deployed
from recmm.deploy.lists import known, most_popular, recommend, similar
from recmm.deploy.scoring import Scorer, scorer_of
from recmm.errors import ConfigError
from recmm.experiment.checkpoints import read_checkpoint


@pytest.fixture(scope="module")
def scorer(finished: Path) -> Scorer:
    return scorer_of(read_deployed(finished))


def test_the_lists_of_the_test_users_are_those_of_the_run(
    scorer: Scorer, finished: Path, test_lists: pl.DataFrame
) -> None:
    """Of the test, although validation saw other features when the checkpoint was first written."""
    catalog = scorer.deployed.catalog
    users = torch.from_numpy(test_lists["user"].unique().sort().cast(pl.Int64).to_numpy().copy())
    ours = pl.concat(recommend(scorer, users, 20))
    theirs = test_lists.filter(pl.col("position") <= 20)
    assert ours["user"].to_list() == [catalog.user_ids[user] for user in theirs["user"]]
    assert ours["item"].to_list() == [catalog.item_ids[item] for item in theirs["item"]]
    assert theirs.select("user_id", "item_id").rows() == ours.select("user", "item").rows()
    assert (ours["score"] - theirs["score"]).abs().max() < 1e-6
    validated = read_checkpoint(finished / "checkpoints" / "last.ckpt")["deployed"]["items"]
    assert not torch.equal(validated, scorer.deployed.tensors["items"])


def test_blocks_of_any_size_hold_the_same_lists(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    users = torch.tensor([5, 3, 30])
    together = pl.concat(recommend(scorer, users, 4))
    monkeypatch.setattr("recmm.deploy.lists._ROWS_PER_USER", 1 << 22)  # one user per block
    apart = list(recommend(scorer, users, 4))
    assert len(apart) == 3
    assert_frame_equal(pl.concat(apart), together)
    assert together["user"].unique(maintain_order=True).to_list() == ["user5", "user3", "user30"]


def test_seen_items_and_items_that_are_no_candidates_are_left_out(item_weights: Deployed) -> None:
    scorer = scorer_of(item_weights)
    [table] = recommend(scorer, torch.tensor([0]), 9)
    assert table["item"].to_list()[:2] == ["z", "x"] and set(table["item"]) == {"v", "x", "z"}
    [table] = recommend(scorer, torch.tensor([0]), 9, exclude_seen=False)
    assert set(table["item"]) == set("vwxyz")
    [table] = recommend(scorer, torch.tensor([0]), 9, candidates=torch.tensor([2, 3]))
    assert table["item"].to_list() == ["x"] and table["position"].to_list() == [1]
    assert list(recommend(scorer, torch.tensor([], dtype=torch.int64), 9)) == []
    with pytest.raises(ConfigError, match="k is 0"):
        list(recommend(scorer, torch.tensor([0]), 0))


def test_similar_items_leave_out_the_item_itself(item_weights: Deployed) -> None:
    [table] = similar(scorer_of(item_weights), torch.tensor([1, 3]), 1)
    assert table.rows() == [("w", 1, "x", 1.0), ("y", 1, "z", 1.0)]


def test_the_popular_items_are_for_users_whom_nobody_knows(item_weights: Deployed) -> None:
    table = most_popular(scorer_of(item_weights), ["new", "newer"], 2)
    assert table.rows()[:2] == [("new", 1, "w", None), ("new", 2, "y", None)] and len(table) == 4
    some = most_popular(scorer_of(item_weights), ["new"], 3, candidates=torch.tensor([0, 4]))
    assert some["item"].to_list() == ["z", "v"]


def test_labels_are_looked_up_in_their_order() -> None:
    found = known(["c", "nobody", "a", "c", *"123456"], ["a", "b", "c"])
    assert found.labels.to_list() == ["c", "a"] and found.ids.tolist() == [2, 0]
    assert found.told("user") == "7 of 9 users are not in the catalogue: nobody, 1, 2, 3, 4 and 2 more."
    assert known(["a"], ["a"]).told("user") is None
