"""MMSSL against NumPy: both players' terms, the relations that it finds, and its limits."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.missing.view import ModalityView
from recmm.models.mmssl import MMSSL
from tests.models.toys import (
    DIMS,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_views_apart,
    few_visible,
    randomised,
    toy_view,
)

D, K = 6, 2
BATCH = Pairs(torch.tensor([0, 1, 2, 0]), torch.tensor([0, 2, 3, 1]), torch.tensor([5, 4, 7, 9]))
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> MMSSL:
    torch.manual_seed(2)
    model = MMSSL(catalog(dims), **{"dim": D, "k": K, "n_heads": 2, "dropout": 0.0, **keywords})
    return randomised(model).eval()  # without the critic's dropout


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def affine(layer: Any, x: Array) -> Array:
    return x @ array(layer.weight).T + array(layer.bias)


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def softmax(x: Array) -> Array:
    return np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)


R = np.zeros((N_USERS, N_ITEMS))
R[USERS, ITEMS] = 1
P_U, P_I = (a / np.sqrt(np.maximum(a.sum(1, keepdims=True), 1)) for a in (R, R.T))


class ByHand:
    """A forward pass with two modalities, two layers and two heads."""

    def __init__(self, model: MMSSL, view: ModalityView, last: str = "softmax") -> None:
        maps: Any = model.projection.maps
        f = [affine(project[0], array(x)) for project, x in zip(maps, view.features.values(), strict=True)]
        self.f_users = [P_U @ x for x in f]
        self.f_items = [P_I @ x for x in self.f_users]
        ids = array(model.ego)
        self.relations = [self.best(u, i) for u, i in zip(self.f_users, self.f_items, strict=True)]
        users = np.stack([g @ ids[N_USERS:] / np.maximum(g.sum(1, keepdims=True), 1) for g in self.relations], 1)
        items = np.stack([g.T @ ids[:N_USERS] / np.maximum(g.sum(0)[:, None], 1) for g in self.relations], 1)
        self.related = np.concatenate([users, items])
        e = ids + 0.36 * unit(array(model.attention(torch.tensor(self.related, dtype=torch.float32))))
        total, e_items = e, e[N_USERS:]
        for layer in (1, 2):
            act = softmax if (layer, last) == (2, "softmax") else lambda x: x
            e_users = act(P_U @ e_items)
            e_items = act(P_I @ e_users)
            total = total + np.concatenate([e_users, e_items])
        self.features = np.stack([np.concatenate(both) for both in zip(self.f_users, self.f_items, strict=True)], 1)
        self.final = total / 3 + 0.55 * unit(self.features).sum(1)

    @staticmethod
    def best(users: Array, items: Array) -> Array:
        scores, g = users @ items.T, np.zeros_like(R)
        scores[R > 0] = -np.inf
        for u in range(N_USERS):
            g[u, np.argsort(-scores[u])[:K]] = 1
        return g * (np.isfinite(scores) & (scores != 0))

    def fake_rows(self, users: Array) -> Array:
        pairs = zip(self.f_users, self.f_items, strict=True)
        return np.concatenate([unit((u[users] @ i.T) * (1 - R[users])) for u, i in pairs])


@pytest.mark.parametrize("last", ["softmax", "plain"])
def test_every_term_of_the_method_by_hand(last: str) -> None:
    view, adversary = toy_view(), {"weight": 0.7, "hidden": 8}
    model = make(final_l2=0.2, feature_l2=0.3, contrast=0.4, last=last, adversary=adversary)
    hand = ByHand(model, view, last)
    u, i, j = (hand.final[rows] for rows in (BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives))
    terms = model.losses(BATCH, view)
    assert set(terms) == {"bpr", "final_l2", "feature_l2", "contrast", "adversary"}
    assert terms["bpr"].item() == pytest.approx(np.log1p(np.exp((u * j - u * i).sum(1))).mean(), rel=1e-4)
    norms = 0.2 * ((u**2).sum() + (i**2).sum() + (j**2).sum()) / 2 / 4096
    assert terms["final_l2"].item() == pytest.approx(norms, rel=1e-4)
    assert terms["feature_l2"].item() == pytest.approx(0.3 * (hand.features**2).sum() / 2 / N_ITEMS, rel=1e-4)
    total, users = 0.0, np.array([0, 1, 2])  # the batch holds user 0 twice
    for m in range(2):
        a, b = unit(hand.related[users, m]), unit(hand.final[users])
        inter, intra = np.exp(a @ b.T / 0.5), np.exp(a @ a.T / 0.5)
        total += -np.log(np.diag(inter) / (inter.sum(1) + intra.sum(1) - np.diag(intra))).mean()
    assert terms["contrast"].item() == pytest.approx(0.4 * total, rel=1e-4)
    rows = torch.tensor(hand.fake_rows(BATCH.users.numpy()), dtype=torch.float32)
    assert terms["adversary"].item() == pytest.approx(-0.7 * model.critic(rows).mean().item(), rel=1e-3)
    expected = torch.tensor(hand.final[:N_USERS] @ hand.final[N_USERS:].T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), expected, rtol=1e-4, atol=1e-5)


def test_every_term_of_the_critic_by_hand() -> None:
    view, adversary = toy_view(), {"hidden": 8, "similarity": 0.5, "penalty": 0.9, "n_users": 3}
    model, users = make(adversary=adversary), BATCH.users[:3].numpy()
    hand = ByHand(model, view)
    torch.manual_seed(5)
    terms = model.critic_losses(BATCH, view)
    torch.manual_seed(5)
    gumbel = -np.log(array(torch.empty(N_ITEMS, 3).exponential_().T))
    cosines = unit(hand.final[users]) @ unit(hand.final[N_USERS:]).T
    real = unit(softmax((R[users] + 1e-5 * gumbel) / 0.005) + 0.5 * cosines)
    fake, share = hand.fake_rows(users), array(torch.rand(6, 1))
    layers = list(model.critic)
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d)]

    def critic(rows: Array) -> Array:
        x = rows
        for layer, norm in zip(linear[:2], norms, strict=True):
            x = affine(layer, x)
            x = np.where(x > 0, x, 0.01 * x)
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * array(norm.weight) + array(norm.bias)
        return 100 / (1 + np.exp(-affine(linear[2], x)))

    assert terms["fake"].item() == pytest.approx(critic(fake).mean(), rel=1e-3)
    assert terms["real"].item() == pytest.approx(-critic(real).mean(), rel=1e-3)
    mixed = share * np.concatenate([real, real]) + (1 - share) * fake
    gradient, step = np.empty_like(mixed), 1e-6
    for place in np.ndindex(*mixed.shape):
        more, less = mixed.copy(), mixed.copy()
        more[place] += step
        less[place] -= step
        gradient[place] = (critic(more).sum() - critic(less).sum()) / (2 * step)
    penalty = ((np.linalg.norm(gradient, axis=1) - 1) ** 2).mean()
    assert terms["penalty"].item() == pytest.approx(0.9 * penalty, rel=1e-2)


def test_relations_lead_outside_the_history() -> None:
    model, view = make(), toy_view()
    for relation, expected in zip(model.relations(view), ByHand(model, view).relations, strict=True):
        sums = np.maximum(expected.sum(1, keepdims=True), 1)
        found = array(relation.to_users(torch.eye(N_ITEMS)))
        assert np.allclose(found, expected / sums) and not found[R > 0].any()
        assert not found[3].any()  # a user without history has no best items


def test_relations_are_those_of_the_epochs_start() -> None:
    model, view = make(), toy_view()
    first = model.of_this_epoch(view)
    randomised(model)
    assert model.of_this_epoch(view) is first
    model.start_epoch(1, view)
    assert model.of_this_epoch(view) is not first


def test_without_relations_there_is_neither_attention_nor_contrast() -> None:
    """The released code on small catalogues: u^m and i^m are zero, and their contrast has no gradient."""
    model = make(k=0)
    assert not any("attention" in name for name, _ in model.named_parameters())
    assert not model.encode(toy_view(), []).related.any()
    assert set(model.losses(BATCH, toy_view())) == {"bpr", "final_l2", "feature_l2", "adversary"}
    check_finite_step_of_both(model, BATCH, toy_view())


def test_without_the_adversary_the_rest_is_the_same() -> None:
    model, without = make(), make(adversary={"weight": 0.0})
    shared = without.state_dict().keys()
    without.load_state_dict({name: x for name, x in model.state_dict().items() if name in shared})
    terms, rest = model.losses(BATCH, toy_view()), without.losses(BATCH, toy_view())
    assert rest.keys() == terms.keys() - {"adversary"} and not without.stage.opponents
    assert all(torch.equal(rest[name], terms[name]) for name in rest)


def test_one_forward_pass_serves_both_players() -> None:
    model, view = make(), toy_view()
    alone = model.losses(BATCH, view)
    model.critic_losses(BATCH, view)
    passes, encode = [], model.encode
    model.encode = lambda *arguments: passes.append(1) or encode(*arguments)  # type: ignore[method-assign, func-returns-value]
    after = model.losses(BATCH, view)
    assert not passes and all(torch.equal(alone[name], after[name]) for name in alone)
    model.losses(BATCH, view)
    assert passes  # a pass serves once


def check_finite_step_of_both(model: MMSSL, batch: Pairs, view: ModalityView) -> None:
    """As ``check_finite_step``, where the method's own step leaves the critic alone and the critic's the method."""
    critic = set(model.critic.parameters())
    values = torch.stack(list(model.critic_losses(batch, view).values()))
    for p in critic:
        assert p.isfinite().all()
    gradients = torch.autograd.grad(values.sum(), list(critic), allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients) and values.isfinite().all()
    for p in critic:
        p.requires_grad_(False)
        p.grad = torch.zeros_like(p)
    check_finite_step(model, batch, view)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_batches_of_any_size(size: int) -> None:
    check_finite_step_of_both(make(), Pairs(*(column[:size] for column in BATCH)), toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    check_finite_step_of_both(make({"visual": 5}), BATCH, view)
