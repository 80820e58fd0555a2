"""SiBraR: both terms by hand, what is drawn, and what an item lacks."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.missing.view import ModalityView
from recmm.models.sibrar import SiBraR
from tests.models.toys import (
    DIMS,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_gradients,
    check_views_apart,
    few_visible,
    randomised,
    total,
    toy_view,
)

# Items 0..3 have interactions; item 1 lacks the first modality, item 5 both, item 7 the second.
BATCH = Pairs(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 3]), torch.tensor([[1, 5], [7, 4], [6, 5]]))
KNOWN = [[i < 4, i not in (1, 5), i not in (5, 7)] for i in range(N_ITEMS)]
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> SiBraR:
    torch.manual_seed(2)
    return randomised(SiBraR(catalog(dims), **{"dim": 6, "hidden": 7, "n_negatives": 2, "dropout": 0.0, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def branch(block: Any, x: Array, *, training: bool = True) -> Array:
    """Linear, ReLU, linear, batch normalisation."""
    _, first, _, last = block.layers
    x = np.maximum(x @ array(first.weight).T + array(first.bias), 0) @ array(last.weight).T
    mean, var = (x.mean(0), x.var(0)) if training else (array(block.norm.running_mean), array(block.norm.running_var))
    return (x - mean) / np.sqrt(var + block.norm.eps) * array(block.norm.weight) + array(block.norm.bias)


def inputs(model: SiBraR, view: ModalityView, interactions: str) -> Array:
    """c of all items and modalities, [n_items, 1 + M, hidden], with features that are not centred."""
    r = np.zeros((N_USERS, N_ITEMS))
    r[USERS, ITEMS] = 1
    rows = np.eye(N_ITEMS) if interactions == "id" else r.T / np.sqrt(np.maximum(r.sum(0), 1))[:, None]
    parts = [rows @ array(model.columns.weight) + array(model.columns.bias)]
    encoders: Any = model.encoders
    for encoder, x in zip(encoders, map(array, view.features.values()), strict=True):
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        parts.append(unit @ array(encoder.weight).T + array(encoder.bias))
    return np.maximum(np.stack(parts, 1), 0)


def users_of(model: SiBraR, rows: Array) -> Array:
    if model.settings.users == "table":
        return array(model.users)[rows]
    r = np.zeros((N_USERS, N_ITEMS))
    r[USERS, ITEMS] = 1
    r /= np.sqrt(np.maximum(r.sum(1), 1))[:, None]
    c = np.maximum(r @ array(model.histories.weight) + array(model.histories.bias), 0)
    return branch(model.user_branch, c[rows])


@pytest.mark.parametrize(("interactions", "users"), [("column", "history"), ("id", "table")])
def test_both_terms_by_hand(interactions: str, users: str) -> None:
    model, view = make(center=False, interactions=interactions, users=users, contrast=0.7, temperature=0.4), toy_view()
    torch.manual_seed(0)
    rows = torch.cat([BATCH.positives[:, None], BATCH.negatives], 1)
    drawn, there = model.draw(rows, torch.tensor(KNOWN))
    c, encoded = inputs(model, view, interactions), {}
    of_batch = {(int(i), int(m)) for i, m in zip(rows[..., None].expand_as(drawn)[there], drawn[there], strict=True)}
    pairs = sorted(of_batch, key=lambda pair: pair[::-1])
    for pair, e in zip(pairs, branch(model.branch, np.stack([c[pair] for pair in pairs])), strict=True):
        encoded[pair] = e
    u = users_of(model, BATCH.users.numpy())
    bpr, contrast = [], []
    for row, items in enumerate(rows.tolist()):
        own = [
            [encoded[i, m] for m in modalities]
            for i, modalities in zip(items, kept(drawn[row], there[row]), strict=True)
        ]
        scores = [u[row] @ np.mean(e, 0) if e else 0.0 for e in own]
        bpr += [np.log1p(np.exp(s - scores[0])) for s in scores[1:]]
        both = [e / np.linalg.norm(e, axis=1, keepdims=True) for e in own if len(e) == 2]
        if both:
            a, b = np.stack(both, 1)
            logits = np.exp(a @ b.T / 0.4)
            both_ways = [-np.log(np.diag(logits) / logits.sum(axis)) for axis in (1, 0)]
            contrast += list(np.mean(both_ways, 0))
    torch.manual_seed(0)
    terms = model.losses(BATCH, view)
    assert terms["bpr"].item() == pytest.approx(np.mean(bpr), rel=1e-4)
    assert terms["contrast"].item() == pytest.approx(0.7 * np.mean(contrast), rel=1e-4)


def kept(drawn: Tensor, there: Tensor) -> list[list[int]]:
    return [m[ok].tolist() for m, ok in zip(drawn, there, strict=True)]


def test_scores_are_of_means_over_what_an_item_has() -> None:
    model, view = make(center=False).eval(), toy_view()
    e = branch(model.branch, inputs(model, view, "column"), training=False)
    items = np.array([e[i][KNOWN[i]].mean(0) if any(KNOWN[i]) else np.zeros(6) for i in range(N_ITEMS)])
    users, found = model.represent(view)
    np.testing.assert_allclose(array(found), items, rtol=1e-4, atol=1e-5)
    assert users.shape == (N_USERS, 6) and not found[5].any()


def test_only_what_an_item_has_is_drawn_and_all_of_it() -> None:
    items = torch.arange(N_ITEMS).repeat(200)
    drawn, there = make().draw(items, torch.tensor(KNOWN))
    seen = [{m for row in kept(drawn[items == i], there[items == i]) for m in row} for i in range(N_ITEMS)]
    assert seen == [{m for m in range(3) if KNOWN[i][m]} for i in range(N_ITEMS)]
    assert (drawn[:, 0] != drawn[:, 1]).all()
    counts = torch.bincount(drawn[items == 0].flatten(), minlength=3) / 400
    torch.testing.assert_close(counts, torch.full((3,), 1 / 3), atol=0.07, rtol=0)


def test_hidden_features_are_not_read_unless_all_modalities_are_drawn() -> None:
    view = toy_view()
    filled = {m: torch.where(view.visible(m)[:, None], x, 5.0) for m, x in view.features.items()}
    other = ModalityView(filled, view.mask, "filled")
    values = []
    for available_only in (True, False):
        model = make(available_only=available_only).eval()
        values.append(torch.equal(model.represent(view).items, model.represent(other).items))
    assert values == [True, False]


def test_without_the_contrast_or_with_one_modality_drawn_there_is_one_term() -> None:
    assert (
        set(make(contrast=0.0).losses(BATCH, toy_view())) == set(make(n_sampled=1).losses(BATCH, toy_view())) == {"bpr"}
    )
    full = torch.ones(N_ITEMS, 3, dtype=torch.bool)
    assert make(n_sampled=9).draw(BATCH.negatives, full)[0].shape == (3, 2, 3)


@pytest.mark.parametrize("users", ["history", "table"])
def test_gradients_reach_everything(users: str) -> None:
    model = make(users=users)
    check_gradients(model, BATCH, toy_view())


def test_one_negative_is_a_vector() -> None:
    model = make(n_negatives=1)
    assert model.n_negatives == 1
    check_finite_step(model, BATCH._replace(negatives=torch.tensor([1, 5, 6])), toy_view())


def test_another_view_is_another_input() -> None:
    check_views_apart(make().eval())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = make({"visual": 5})
    terms = model.losses(BATCH, view)
    total(terms).backward()
    assert all(x.isfinite() for x in terms.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.eval().score(torch.arange(N_USERS), view).isfinite().all()
