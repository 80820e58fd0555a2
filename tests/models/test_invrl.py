"""InvRL against NumPy, its stages, and runs that are resumed in any of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.datamodules.base import InMemory
from recmm.missing.view import ModalityView
from recmm.models.invrl import InvRL
from recmm.seeding import seed_torch
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

D, C, E = 4, 3, 3
ROWS = torch.tensor([0, 3, 5, 1])  # training pairs
NEGATIVES = torch.tensor([[5, 4], [7, 9], [1, 2], [11, 3]])
BATCH = Pairs(USERS[ROWS], ITEMS[ROWS], NEGATIVES, ROWS)
ENVIRONMENTS = np.array([2, 0, 0, 0, 1, 2])  # none of the batch's pairs is in environment 1
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> InvRL:
    torch.manual_seed(2)
    values = {"dim": D, "content_dim": C, "training": {"batch_size": 8}, "id_l2": 0.3, "content_l2": 0.4}
    model = randomised(InvRL(catalog(dims), **values | {"search": {"n_environments": E, "noise": 0.0}} | keywords))
    with torch.no_grad():
        model.gates.copy_(torch.linspace(-0.7, 0.7, len(model.gates)))  # some gates are closed, some wide open
        model.environments.copy_(torch.from_numpy(ENVIRONMENTS))
    return model


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def inputs(model: InvRL, view: ModalityView) -> Array:
    x = [array(x) for x in view.features.values()]
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in x]
    return np.concatenate(unit, 1) * np.clip(array(model.gates) + 0.5, 0, 1)


def pair_losses(model: InvRL, view: ModalityView, weights: list[Array]) -> Array:
    """Loss of each of the batch's pairs, whose content comes from a W of its own."""
    x, users, items = inputs(model, view), array(model.users), array(model.items)
    d_u, d_i = np.bincount(USERS, minlength=N_USERS), np.bincount(ITEMS, minlength=N_ITEMS)
    losses = []
    for u, i, negatives, w in zip(BATCH.users, BATCH.positives, NEGATIVES, weights, strict=True):

        def term(item: int, sign: float, u: int = int(u), w: Array = w) -> float:
            score = users[u] @ np.concatenate([items[item], w @ x[item]])
            beta = np.sqrt(d_u[u] + 1) / d_u[u] / np.sqrt(d_i[item] + 1)
            return float((1 + beta) * np.log1p(np.exp(-sign * score)))

        losses.append(term(int(i), 1) + np.mean([term(int(j), -1) for j in negatives]))
    return np.array(losses)


def test_the_objective_of_the_recommender_by_hand() -> None:
    model, view = make(), toy_view()
    terms = model.losses(BATCH, view)
    assert terms["pairs"].item() == pytest.approx(pair_losses(model, view, [array(model.weight)] * 4).mean(), rel=1e-4)
    norms = (array(model.users) ** 2).sum() + (array(model.items) ** 2).sum()
    assert terms["id_l2"].item() == pytest.approx(0.3 * norms / 16, rel=1e-4)
    assert terms["content_l2"].item() == pytest.approx(0.4 * (array(model.weight) ** 2).sum() / 16, rel=1e-4)
    items = np.concatenate([array(model.items), inputs(model, view) @ array(model.weight).T], 1)
    expected = torch.tensor(array(model.users) @ items.T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), expected, rtol=1e-4, atol=1e-5)


def test_the_environments_maps_by_hand_and_nothing_else_is_trained() -> None:
    model, view = make(), toy_view()
    environments = ENVIRONMENTS[ROWS]
    losses = pair_losses(model, view, [array(model.maps[e]) for e in environments])
    expected = sum(losses[environments == e].mean() for e in (0, 2))
    (value,) = model.environment_losses(BATCH, view).values()
    assert value.item() == pytest.approx(expected, rel=1e-4)
    value.backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {"maps"}
    assert model.maps.grad is not None and not model.maps.grad[1].any() and model.maps.grad[0].any()


def test_the_invariant_objective_by_hand() -> None:
    model, view = (
        make(search={"n_environments": E, "noise": 0.0, "alpha": 0.6, "gate_l2": 0.2, "growth": 3.0}),
        toy_view(),
    )
    weight, environments = array(model.weight), ENVIRONMENTS[ROWS]

    def of_each(w: Array) -> Array:
        losses = pair_losses(model, view, [w] * 4)
        return np.array([losses[environments == e].mean() for e in (0, 2)])  # the third one has no pairs here

    gradients, step = np.empty((2, *weight.shape)), 1e-6
    for place in np.ndindex(*weight.shape):
        change = np.zeros_like(weight)
        change[place] = step
        gradients[:, *place] = 8 * (of_each(weight + change) - of_each(weight - change)) / (2 * step)
    spread = ((gradients - gradients.mean(0)) ** 2).sum(0)
    mu = array(model.gates)
    terms = model.invariant_losses(2, BATCH, view)  # the third round
    assert terms["pairs"].item() == pytest.approx(of_each(weight).mean(), rel=1e-4)
    assert terms["invariance"].item() == pytest.approx(0.6 * 9 * ((spread * (mu + 0.5)) ** 2).sum() / 8, rel=1e-3)
    assert terms["gate_l2"].item() == pytest.approx(0.2 * 9 * (mu**2).sum(), rel=1e-4)
    torch.stack(list(terms.values())).sum().backward()
    for p in model.with_gates():
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.any()


def test_pairs_go_where_they_score_highest() -> None:
    model, view = make(), toy_view()
    x, users = inputs(model, view), array(model.users)[:, D:]
    scores = np.array([[users[u] @ array(w) @ x[i] for w in model.maps] for u, i in zip(USERS, ITEMS, strict=True)])
    assert model.assign(view).tolist() == scores.argmax(1).tolist()


def check_finite_step_of_recommender(model: InvRL, view: ModalityView) -> None:
    for p in (model.gates, model.maps):  # other stages train these
        p.requires_grad_(False)
        p.grad = torch.zeros_like(p)
    check_finite_step(model, BATCH, view)


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = make({"visual": 5})
    assert all(x.isfinite().all() for x in model.invariant_losses(0, BATCH, view).values())
    check_finite_step_of_recommender(model, view)


# ---------------------------------------------------------------------- stages

SEARCH = {"n_environments": E, "rounds": 2, "assignments": 2, "epochs": 1, "invariant_epochs": 1}
PLAN = ["pretraining", *["environments", "environments", "invariance"] * 2, "main", "main"]


@pytest.fixture(scope="module")
def dataset() -> MultimodalDataset:
    return synthetic(n_users=61, n_items=43, seed=0)


class Stages(ModelCheckpoint):
    """Keeps every epoch's checkpoint, and what an epoch began with."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        self.names: list[str] = []
        self.assigned: list[Tensor] = []
        self.gates: list[Tensor] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx:
            return
        self.names.append(pl_module.stage.name)
        self.assigned.append(pl_module.environments.clone())
        self.gates.append(pl_module.gates.detach().clone())


def fitted(dataset: MultimodalDataset, folder: Path, resumed: Path | None = None) -> tuple[InvRL, Stages]:
    seed_torch(0, 0, "initialisation")
    training = {"batch_size": 256, "lr": 0.01}
    model = InvRL(dataset.catalog(), pretrain=1, n_negatives=4, search=SEARCH, training=training)
    watch = Stages(folder)
    off: Any = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=[watch], num_sanity_val_steps=0, deterministic="warn", **off
    )
    trainer.fit(model, InMemory(dataset), ckpt_path=resumed)
    return model, watch


def test_stages_and_a_run_resumed_after_every_epoch(dataset: MultimodalDataset, tmp_path: Path) -> None:
    whole, watch = fitted(dataset, tmp_path / "whole")
    assert watch.names == PLAN
    moved = [not torch.equal(a, b) for a, b in zip(watch.assigned, watch.assigned[1:], strict=False)]
    assert moved == [True, True, True] * 2 + [False, False]  # drawn, assigned, assigned at the stage's end, twice
    gates = [not torch.equal(a, b) for a, b in zip(watch.gates, watch.gates[1:], strict=False)]
    assert gates == [name == "invariance" for name in PLAN[:-1]]
    for epoch in range(len(PLAN) - 1):
        again, rest = fitted(dataset, tmp_path / f"after{epoch}", tmp_path / "whole" / f"epoch={epoch}.ckpt")
        assert rest.names == PLAN[epoch + 1 :]
        for name, x in whole.state_dict().items():
            assert torch.equal(x, again.state_dict()[name]), (epoch, name)
