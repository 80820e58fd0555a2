"""What the shared training and evaluation steps promise, shown on a method small enough to follow by hand."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recmm.data.batches import FurtherRanking, Pairs, RankingBatch
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError, NonFiniteLossError
from recmm.missing.view import ModalityView
from recmm.models.base import Embeddings, Recommender
from recmm.models.baselines import Popularity, Random
from recmm.models.lightgcn import LightGCN
from recmm.models.mfbpr import MFBPR
from recmm.models.training import Training

CATALOG = Catalog(
    n_users=3,
    n_items=4,
    dims={"visual": 2},
    train_users=torch.tensor([0, 0, 1, 2]),
    train_items=torch.tensor([0, 1, 1, 2]),
    user_ids=["a", "b", "c"],
    item_ids=["p", "q", "r", "s"],
)
VIEW = ModalityView({"visual": torch.zeros(4, 2)}, torch.ones(4, 1, dtype=torch.bool), digest="v")
BATCH = Pairs(torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([2, 3]))


class Counting(Recommender):
    """Counts how often it is asked for what should be cached."""

    def __init__(self) -> None:
        super().__init__(CATALOG)
        self.weight = nn.Parameter(torch.ones(3, 4))
        self.n_prepared = self.n_represented = 0

    def prepare(self, view: ModalityView) -> str:
        self.n_prepared += 1
        return view.digest

    def represent(self, view: ModalityView) -> Embeddings:
        self.n_represented += 1
        return Embeddings(self.weight, torch.eye(4))

    def losses(self, batch: Pairs, view: ModalityView) -> dict[str, Tensor]:
        return {"good": self.weight.sum(), "bad": self.weight.sum() * math.nan}


def test_prepare_runs_once_per_view() -> None:
    model = Counting()
    other = ModalityView(VIEW.features, VIEW.mask, digest="w")
    assert [model.prepared(view) for view in (VIEW, VIEW, other, VIEW)] == ["v", "v", "w", "v"]
    assert model.n_prepared == 2


def test_a_method_without_modalities_is_prepared_once_for_all_views() -> None:
    class Blind(Counting):
        uses_modalities = False

    model = Blind()
    views = (VIEW, ModalityView(VIEW.features, VIEW.mask, digest="w"))
    assert [model.prepared(view) for view in views] == ["v", "v"] and model.n_prepared == 1


def test_one_representation_serves_a_whole_evaluation_and_no_other() -> None:
    model = Counting()
    users = torch.tensor([0, 2])
    model.score(users, VIEW), model.score(users, VIEW)
    assert model.n_represented == 2  # outside an evaluation parameters may change between calls
    model._start_evaluation()
    model.score(users, VIEW), model.score(users, VIEW)
    assert model.n_represented == 3
    model._start_evaluation()
    model.score(users, VIEW)
    assert model.n_represented == 4


def test_ranking_does_not_touch_the_embeddings() -> None:
    model = Counting().eval()
    batch = RankingBatch(torch.tensor([0]), torch.tensor([0]), torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))
    with torch.no_grad():
        model._start_evaluation()
        ranked = model._rank(batch, VIEW, keep=True)
    assert ranked is not None and ranked.ranks.ranks.tolist() == [3]  # all tie: the positive is last of three
    assert ranked.ranks.candidates.tolist() == [3] and 0 not in ranked.top_items[0].tolist()
    assert torch.equal(model.weight, torch.ones(3, 4))


def test_further_sets_of_candidates_are_ranked_from_the_same_scores() -> None:
    """Item 3 of CATALOG is cold: among cold items user 1's positive 3 is first; among all, two items score higher."""

    class Fixed(Counting):
        def score(self, users: Tensor, view: ModalityView) -> Tensor:
            return torch.tensor([[4.0, 3.0, 2.0, 1.0]]).repeat(len(users), 1)

    def batch(rows: list[int], items: list[int], candidates: Tensor | None = None, **more: Any) -> RankingBatch:
        users = torch.arange(max(rows) + 1) if rows else torch.arange(0)
        none = torch.zeros(0, dtype=torch.int64)
        return RankingBatch(users, none, none, torch.tensor(rows), torch.tensor(items), candidates, **more)

    cold = batch([0], [3], torch.tensor([False, False, False, True]))
    whole = batch([0, 1], [1, 3], further={"cold": FurtherRanking(torch.tensor([1]), cold)})
    model = Fixed().eval()
    model._start_evaluation()
    model._rank(whole, VIEW, keep=False)
    published: dict[str, float] = {}
    model._publish = published.update  # type: ignore[method-assign]
    model._end_evaluation("test", with_lists=False)
    assert published["test/mrr@5"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert published["test/cold/mrr@5"] == 1.0
    assert not any(name.startswith("test/warm") for name in published)


def test_a_chunk_without_users_adds_nothing() -> None:
    """What a process of a distributed run gets where there are fewer users than processes."""
    model, none = LightGCN(CATALOG, dim=2).eval(), torch.zeros(0, dtype=torch.int64)
    with torch.no_grad():
        model._start_evaluation()
        for n in (1, 0):
            batch = RankingBatch(torch.arange(n), none, none, torch.arange(n), torch.arange(n))
            ranked = model._rank(batch, VIEW, keep=True)
    assert ranked is not None and ranked.top_items.shape == (0, 50)
    assert model.ranking_metrics.n_users == 1 and model.list_metrics.exposure.sum() == 4


def test_the_first_term_that_is_not_finite_is_named() -> None:
    model = Counting()
    names = ("good", "bad", "spoilt")
    model._terms.add(names, torch.tensor([1.0, 2.0, 3.0]))
    assert model.mean_terms() == {"good": 1.0, "bad": 2.0, "spoilt": 3.0}
    model._terms.add(names, torch.tensor([3.0, math.nan, 3.0]))
    model._terms.add(names, torch.tensor([5.0, 2.0, math.inf]))
    with pytest.raises(NonFiniteLossError, match=r"term 'bad' became NaN or infinite in epoch 0"):
        model.mean_terms()


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"weight_decay": -1.0},
        {"batch_size": 0},
        {"optimizer": "sgd"},
        {"lr_decay": 0.0},
        {"lr_decay": 1.1},
    ],
)
def test_training_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="training"):
        Training(**wrong)


@pytest.mark.parametrize(("optimizer", "left"), [("adam", 1.0 - 0.5), ("adamw", (1.0 - 0.5 * 0.1) - 0.5)])
def test_adam_feels_decay_in_its_gradient_and_adamw_in_the_weights(optimizer: Any, left: float) -> None:
    model = LightGCN(CATALOG, dim=1, training=Training(optimizer=optimizer, lr=0.5, weight_decay=0.1))
    with torch.no_grad():
        model.ego.fill_(1.0)
    model.ego.grad = torch.ones_like(model.ego)
    model.configure_optimizers().step()  # Adam's first step has the length lr whatever the gradient's size
    assert model.ego.flatten().tolist() == pytest.approx([left] * len(model.ego))


def test_what_a_method_reports_is_published_with_the_losses_of_that_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Counting()
    monkeypatch.setattr(model, "log_dict", lambda values: None)
    model.report({"spread": 0.25})
    model.on_train_epoch_end()
    assert model.results["method/spread"] == 0.25


def test_lightgcn_by_hand() -> None:
    """One layer on the path user 0 - item 0, user 0 - item 1 - user 1, user 2 - item 2; item 3 has no interaction."""
    model = LightGCN(CATALOG, dim=1, n_layers=1, ego_l2=0.5)
    with torch.no_grad():
        model.ego.copy_(torch.tensor([1.0, 2, 3, 4, 5, 6, 7])[:, None])
    users, items = model.represent(VIEW)
    # degrees: users 2, 1, 1; items 1, 2, 1, 0
    expected_users = [(1 + 4 / 2**0.5 + 5 / 2) / 2, (2 + 5 / 2**0.5) / 2, (3 + 6) / 2]
    expected_items = [(4 + 1 / 2**0.5) / 2, (5 + 1 / 2 + 2 / 2**0.5) / 2, (6 + 3) / 2, 7 / 2]
    assert users.flatten().tolist() == pytest.approx(expected_users)
    assert items.flatten().tolist() == pytest.approx(expected_items)
    terms = model.losses(BATCH, VIEW)
    margins = [
        expected_users[0] * (expected_items[1] - expected_items[2]),
        expected_users[1] * (expected_items[1] - expected_items[3]),
    ]
    assert terms["bpr"].item() == pytest.approx(sum(math.log1p(math.exp(-m)) for m in margins) / 2)
    squares = 1 + 4 + 25 + 25 + 36 + 49  # ego embeddings of users 0, 1, items 1, 1, 2, 3
    assert terms["ego_l2"].item() == pytest.approx(0.5 * squares / (2 * 2))


def test_mfbpr_by_hand() -> None:
    model = MFBPR(CATALOG, dim=2, frobenius=0.3)
    with torch.no_grad():
        model.users.copy_(torch.tensor([[1.0, 0], [0, 2], [1, 1]]))
        model.items.copy_(torch.tensor([[1.0, 1], [2, 0], [0, 1], [1, 3]]))
    terms = model.losses(BATCH, VIEW)
    margins = [2.0 - 0.0, 0.0 - 6.0]
    assert terms["bpr"].item() == pytest.approx(sum(math.log1p(math.exp(-m)) for m in margins) / 2)
    norms = (1 + 4) ** 0.5 + (4 + 4) ** 0.5 + (1 + 10) ** 0.5
    assert terms["frobenius"].item() == pytest.approx(0.3 * norms / 2)


def test_popularity_counts_and_random_is_seeded() -> None:
    users = torch.arange(3)
    assert Popularity(CATALOG).score(users, VIEW)[1].tolist() == [1, 2, 1, 0]
    first, again, other = (Random(CATALOG, training=Training(seed=seed)).score(users, VIEW) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_learning_rates_decay_with_the_epoch_alone() -> None:
    class TwoRates(MFBPR):
        def main_parameter_groups(self) -> list[dict[str, Any]]:
            return [{"params": [self.users]}, {"params": [self.items], "lr": 0.5}]

    model = TwoRates(CATALOG, training=Training(lr=0.1, lr_decay=0.81))
    optimizer: Any = model.configure_optimizers()
    for epoch, factor in ((50, 0.81), (25, 0.9), (0, 1.0), (100, 0.6561)):  # a resumed run may start anywhere
        model._trainer = SimpleNamespace(optimizers=[optimizer], current_epoch=epoch)  # type: ignore[assignment]
        model._decay_learning_rates()
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1 * factor, 0.5 * factor])
