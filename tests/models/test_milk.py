"""MILK: a loss by hand, environments, alignment, who gets gradient, and what missing modalities do."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.batches.sampling import PairBatches
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.errors import ConfigError
from recmm.missing.imputers import Zero
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.models.milk import MILK

TOY = Catalog(3, 4, {"v": 2, "t": 1}, torch.tensor([0, 1, 2]), torch.tensor([0, 0, 2]), list("abc"), list("pqrs"))
BATCH = Pairs(torch.tensor([0, 1, 2]), torch.tensor([0, 0, 2]), torch.tensor([1, 2, 3]))
# Unit rows: v of the items is (.6, .8), (0, 1), (1, 0), 0; t is 1, 1, -1, 0. Item 3 has nothing.
FEATURES = {"v": [[3.0, 4.0], [0.0, 2.0], [5.0, 0.0], [0.0, 0.0]], "t": [[2.0], [7.0], [-1.0], [0.0]]}


def toy_view(mask: list[list[bool]] | None = None) -> ModalityView:
    features = {m: torch.tensor(x) for m, x in FEATURES.items()}
    shown = torch.tensor(mask or [[True, True]] * 3 + [[False, False]])
    return ModalityView(features, shown, str(shown.tolist()))


def toy(**keywords: Any) -> MILK:
    """d = 1: v^v = x_1 + 2 x_2 + 0.5, that is 2.7, 2.5, 1.5, 0.5; v^t = 3 x - 1, that is 2, 2, -4, -1."""
    model = MILK(TOY, dim=1, **keywords)
    with torch.no_grad():
        model.users.copy_(torch.tensor([[1.0], [-2.0], [0.5]]))
        for p, value in zip(model.projectors.parameters(), ([[1.0, 2.0]], [0.5], [[3.0]], [-1.0]), strict=True):
            p.copy_(torch.tensor(value))
    return model


def fixed(model: MILK, *environments: tuple[float, ...]) -> MILK:
    mixes = torch.tensor(environments)
    model.environments = lambda: mixes  # type: ignore[method-assign]
    return model


def test_the_loss_by_hand() -> None:
    model = fixed(toy(penalty=50.0, align=0.1, final_l2=0.2), (0.5, 0.5), (0.75, 0.25), (0.25, 0.75))
    terms = model.losses(BATCH, toy_view())
    # u (v_i - v_j) of the modalities v and t, triple by triple
    margins = np.array([[1 * (2.7 - 2.5), 1 * (2 - 2)], [-2 * (2.7 - 1.5), -2 * (2 + 4)], [0.5 * 1.0, 0.5 * (-4 + 1)]])
    mixed = margins @ np.array([[0.5, 0.75, 0.25], [0.5, 0.25, 0.75]])
    losses = np.log1p(np.exp(-mixed)).mean(0)
    assert terms["environments"].item() == pytest.approx(losses.sum(), rel=1e-5)
    assert terms["invariance"].item() == pytest.approx(50 * losses.var(ddof=1), rel=1e-5)
    # items 0 and 2 are the distinct positives
    assert terms["alignment"].item() == pytest.approx(0.1 * (0.7**2 + 5.5**2) / 2, rel=1e-5)
    users = 1 + 4 + 0.25
    positives, negatives = 2.35**2 + 2.35**2 + 1.25**2, 2.25**2 + 1.25**2 + 0.25**2
    assert terms["final_l2"].item() == pytest.approx(0.2 / (2 * 3) * (users + positives + negatives), rel=1e-5)


def test_terms_without_weight_are_left_out() -> None:
    assert set(toy(penalty=0, align=0, final_l2=0).losses(BATCH, toy_view())) == {"environments"}


@pytest.mark.parametrize("n_modalities", [2, 3])
def test_environments_are_equal_shares_and_the_cyclic_shifts_of_one_draw(n_modalities: int) -> None:
    dims = dict.fromkeys("vta"[:n_modalities], 2)
    model = MILK(Catalog(3, 4, dims, TOY.train_users, TOY.train_items, list("abc"), list("pqrs")))
    first, second = model.environments(), model.environments()
    assert first.shape == (1 + n_modalities, n_modalities)
    torch.testing.assert_close(first.sum(1), torch.ones(1 + n_modalities))
    assert torch.equal(first[0], torch.full((n_modalities,), 1 / n_modalities))
    for shift in range(n_modalities):
        assert torch.equal(first[1 + shift], first[1].roll(shift))
    assert not torch.equal(first[1], second[1])
    torch.manual_seed(5)
    again = model.environments()
    torch.manual_seed(5)
    assert torch.equal(model.environments(), again)


def test_small_alpha_lets_one_modality_speak_alone() -> None:
    torch.manual_seed(0)
    models = {alpha: toy(alpha=alpha) for alpha in (0.1, 10.0)}
    largest = {
        a: torch.stack([model.environments()[1].max() for _ in range(100)]).mean() for a, model in models.items()
    }
    # Dir(10, 10) has deviation .11 about .5, Dir(.1, .1) has .46
    assert largest[0.1] > 0.9 and largest[10.0] < 0.65


def test_one_modality_is_one_environment() -> None:
    catalog = Catalog(3, 4, {"v": 2}, TOY.train_users, TOY.train_items, list("abc"), list("pqrs"))
    model, full = MILK(catalog), toy_view()
    terms = model.losses(BATCH, ModalityView({"v": full.features["v"]}, full.mask[:, :1], "v"))
    assert model.environments().tolist() == [[1.0]]
    assert "alignment" not in terms and terms["invariance"] == 0
    torch.stack(tuple(terms.values())).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_only_complete_items_are_aligned() -> None:
    incomplete = toy_view([[False, True], [True, True], [True, True], [False, False]])
    assert toy(align=1).losses(BATCH, incomplete)["alignment"].item() == pytest.approx(5.5**2)  # item 2 is left
    nobody = toy_view([[False, True], [True, True], [True, False], [False, False]])
    model = toy(align=1)
    terms = model.losses(BATCH, nobody)
    assert terms["alignment"] == 0
    terms["alignment"].backward()
    assert all(not p.grad.any() for p in model.projectors.parameters() if p.grad is not None)


def test_three_modalities_are_aligned_pair_by_pair() -> None:
    items = torch.tensor([[[1.0, 0.0], [3.0, 0.0], [0.0, 4.0]]])
    found = toy().alignment(items, torch.tensor([1]), torch.ones(2, 3, dtype=torch.bool))
    assert found.item() == pytest.approx(((4 + 0) / 2 + (1 + 16) / 2 + (9 + 16) / 2) / 3)


def test_ranking_by_hand() -> None:
    users = torch.arange(3)
    items = {"mean": [2.35, 2.25, -1.25, -0.25], "available": [2.0, 2.25, 1.5, 0.0]}
    view = toy_view([[False, True], [True, True], [True, False], [False, False]])
    for pooling, values in items.items():
        expected = torch.tensor([[1.0], [-2.0], [0.5]]) * torch.tensor(values)
        torch.testing.assert_close(toy(pooling=pooling).score(users, view), expected)


def test_the_length_of_a_feature_row_says_nothing() -> None:
    view = toy_view()
    longer = ModalityView({m: 10 * x for m, x in view.features.items()}, view.mask, "longer")
    torch.testing.assert_close(toy().score(torch.arange(3), longer), toy().score(torch.arange(3), view))


def gradients(model: MILK, term: str) -> dict[str, Tensor | None]:
    model.losses(BATCH, toy_view())[term].backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_who_gets_gradient() -> None:
    ranking = gradients(fixed(toy(), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)), "environments")
    weights = [g for name, g in ranking.items() if name.endswith("weight")]
    assert all(g is not None and g.any() for g in weights)
    # a bias adds the same to all scores of a user, so only the difference of positives and negatives could move it
    for name, g in ranking.items():
        if name.endswith("bias"):
            torch.testing.assert_close(g, torch.zeros_like(g))  # type: ignore[arg-type]
    assert ranking["users"] is not None and ranking["users"].any(1).all()

    alignment = gradients(toy(), "alignment")
    assert alignment["users"] is None
    assert all(g is not None and g.any() for name, g in alignment.items() if name != "users")

    alone = toy(penalty=0)  # a batch of one triple: nobody but its user
    terms = alone.losses(Pairs(*(x[:1] for x in BATCH)), toy_view())
    torch.stack(tuple(terms.values())).sum().backward()
    assert alone.users.grad is not None and alone.users.grad.any(1).tolist() == [True, False, False]


def test_the_penalty_draws_the_losses_together() -> None:
    model = fixed(toy(), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    values = []
    for _ in range(5):
        optimizer.zero_grad()
        values.append(model.losses(BATCH, toy_view())["invariance"])
        values[-1].backward()
        optimizer.step()
    assert all(after < before for before, after in pairwise(values))


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("pooling", ["mean", "available"])
def test_training_under_missing_rates(tiny_dataset: MultimodalDataset, rate: float, pooling: Any) -> None:
    torch.manual_seed(0)
    view = build_views(tiny_dataset, Rate(rate=rate).draw(tiny_dataset), Zero())["train"]
    model = MILK(tiny_dataset.catalog(), pooling=pooling)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    batch = next(iter(PairBatches(tiny_dataset.train, batch_size=512)))
    values = []
    for _ in range(15):
        optimizer.zero_grad()
        terms = model.losses(batch, view)
        assert all(torch.isfinite(term) for term in terms.values())
        torch.stack(tuple(terms.values())).sum().backward()
        optimizer.step()
        values.append(terms["environments"].item())
    assert values[-1] < values[0]
    scores = model.score(torch.arange(tiny_dataset.n_users), view)
    assert torch.isfinite(scores).all()
    nothing = ~view.mask.any(1)
    if pooling == "available":
        assert not scores[:, nothing].any()
    else:  # zeros stand in all holes, so these items are their biases
        assert (scores[:, nothing] == scores[:, nothing][:, :1]).all()


def test_a_modality_that_hardly_anything_has(tiny_dataset: MultimodalDataset) -> None:
    masks = Rate(rate=0.0).draw(tiny_dataset)
    full = build_views(tiny_dataset, masks, Zero())["train"]
    mask = full.mask.clone()
    mask[1:, 0] = False
    first = full.modalities[0]
    features = full.features | {first: full.features[first] * mask[:, :1]}
    model = MILK(tiny_dataset.catalog())
    batch = next(iter(PairBatches(tiny_dataset.train, batch_size=512)))
    terms = model.losses(batch, ModalityView(features, mask, "rare"))
    torch.stack(tuple(terms.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"alpha": 0.0}, r"model\.alpha must be positive"),
        ({"penalty": -1.0}, r"model\.penalty must be at least 0"),
        ({"align": -1.0}, r"model\.align must be at least 0"),
        ({"pooling": "max"}, r"model\.pooling must be one of mean, available"),
    ],
)
def test_refusals(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MILK(TOY, **keywords)


def test_a_catalogue_without_modalities_is_refused() -> None:
    with pytest.raises(ConfigError, match="MILK needs at least one modality"):
        MILK(Catalog(3, 4, {}, TOY.train_users, TOY.train_items, list("abc"), list("pqrs")))
