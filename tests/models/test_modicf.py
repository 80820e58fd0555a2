"""MoDiCF: every term by hand, the head, the mask that the completion sees, and its stages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.datamodules.base import InMemory
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.models.modicf import MoDiCF
from recmm.models.stages import Running
from recmm.nn.rows import centred, unit_rows
from recmm.seeding import seed_torch
from tests.models.toys import (
    DIMS,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_views_apart,
    few_visible,
    randomised,
    total,
    toy_view,
)

D = 6
BATCH = Pairs(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 3, 0]), torch.tensor([5, 4, 1, 7]))
SMALL = {"latent_channels": 2, "latent_width": 16, "n_levels": 2, "n_steps": 20, "n_sampling_steps": 3}
Array = NDArray[np.float64]


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> MoDiCF:
    torch.manual_seed(2)
    completion = SMALL | keywords.pop("completion", {})
    model = MoDiCF(catalog(dims), **{"dim": D, "n_heads": 2, "k": 1, "completion": completion, **keywords})
    for part in (model.encoders, model.head, getattr(model, "attention", None)):
        randomised(part or nn.Identity())
    return model


def in_stage(model: MoDiCF, number: int) -> MoDiCF:
    model._running = Running(number, 0, model.stages()[number])
    return model


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def mlp(layers: Any, x: Array) -> Array:
    first, second = [layer for layer in layers if hasattr(layer, "weight")]
    return leaky(x @ array(first.weight).T + array(first.bias)) @ array(second.weight).T + array(second.bias)


def by_hand(model: MoDiCF, view: ModalityView, k: int) -> tuple[Array, Array, Array]:
    """Final embeddings with one plain layer, u^m [M, n_users, d], kappa."""
    s = model.settings
    r = np.zeros((N_USERS, N_ITEMS))
    r[USERS, ITEMS] = 1
    p_u, p_i = r / np.sqrt(np.maximum(r.sum(1), 1))[:, None], r.T / np.sqrt(np.maximum(r.sum(0), 1))[:, None]
    ego = array(model.ego)
    f = [leaky(mlp(encoder, array(x))) for encoder, x in zip(model.encoders, model.complete(view), strict=True)]
    features = [np.concatenate([p_u @ x, p_i @ p_u @ x]) for x in f]
    u_m, i_m = [], []
    for of_all in features:
        scores = np.where(r > 0, -np.inf, of_all[:N_USERS] @ of_all[N_USERS:].T)
        g = np.zeros_like(r)
        for user in range(N_USERS):
            best = np.argsort(-scores[user], kind="stable")[:k]
            g[user, best] = np.abs(scores[user, best]) > 1e-9
        u_m.append(g / np.maximum(g.sum(1), 1)[:, None] @ ego[N_USERS:])
        i_m.append((g / np.maximum(g.sum(0), 1)).T @ ego[:N_USERS])
    related = torch.tensor(np.stack([np.concatenate(pair) for pair in zip(u_m, i_m, strict=True)], 1)).float()
    e0 = ego + s.guidance * unit(array(model.attention(related)))
    users = p_u @ e0[N_USERS:]
    nodes = (e0 + np.concatenate([users, p_i @ users])) / 2 + s.side * sum(unit(x) for x in features)
    return nodes, np.stack(u_m), mlp(model.head, np.concatenate(f, 1))[:, 0]


def test_every_term_and_the_score_by_hand() -> None:
    keywords: dict[str, Any] = {"contrast": 0.7, "temperature": 0.4, "direct": 0.6, "final_l2": 0.3, "gamma": 0.8}
    model, view = make(n_layers=1, last="plain", contrast_users=None, **keywords), toy_view()
    nodes, related, kappa = by_hand(model, view, 1)
    users, items = nodes[:N_USERS], nodes[N_USERS:]
    u, i, j = users[BATCH.users], items[BATCH.positives], items[BATCH.negatives]
    k_i, k_j = kappa[BATCH.positives], kappa[BATCH.negatives]
    terms = model.losses(BATCH, view)
    margins = (u * i).sum(1) * sigmoid(k_i) - (u * j).sum(1) * sigmoid(k_j)
    assert terms["bpr"].item() == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-4)
    assert terms["direct"].item() == pytest.approx(0.6 * np.log1p(np.exp(k_j - k_i)).mean(), rel=1e-4)
    squares = sum((x**2).sum() for x in (u, i, j))
    assert terms["final_l2"].item() == pytest.approx(0.3 * squares / 2 / model.settings.training.batch_size, rel=1e-4)
    contrast = 0.0
    for own in related:
        inter = np.exp(unit(own) @ unit(users).T / 0.4)
        intra = np.exp(unit(own) @ unit(own).T / 0.4) * (1 - np.eye(N_USERS))
        contrast -= np.log(np.diag(inter) / (inter.sum(1) + intra.sum(1))).mean()
    assert terms["contrast"].item() == pytest.approx(0.7 * contrast, rel=1e-4)
    scores = (users @ items.T - 0.8) * sigmoid(kappa)
    np.testing.assert_allclose(array(model.score(torch.arange(N_USERS), view)), scores, rtol=1e-3, atol=1e-5)


def test_a_sample_of_anchors_has_all_users_as_candidates() -> None:
    torch.manual_seed(0)
    related, final = torch.randn(N_USERS, 2, D), torch.randn(N_USERS, D)
    whole = make(contrast_users=None).user_contrast(related, final)
    one = make(contrast_users=1)
    draws = torch.stack([one.user_contrast(related, final) for _ in range(200)])
    assert len(draws.unique()) == N_USERS
    assert draws.unique().mean() == pytest.approx(whole.item(), rel=1e-4)


def test_what_is_hidden_comes_from_the_completion_and_the_rest_from_the_view() -> None:
    model, view = make(), toy_view()
    completed = model.complete(view)
    for m, (x, found) in enumerate(zip(view.features.values(), completed, strict=True)):
        visible = view.mask[:, m]
        torch.testing.assert_close(found[visible], unit_rows(centred(x, visible))[visible])
        assert found[~visible].any(1).all()
    filled = {m: torch.where(view.visible(m)[:, None], x, 7.0) for m, x in view.features.items()}
    other = ModalityView(filled, view.mask, "filled")
    for m, (one, two) in enumerate(zip(completed, model.complete(other), strict=True)):
        assert torch.equal(one, two), m


def test_the_stages_train_apart_unless_jointly() -> None:
    model = make(completion={"epochs": 3})
    first, second = model.stages()
    assert (first.epochs, first.ranks, second.ranks) == (3, False, True)
    assert first.parameters is not None and second.parameters is not None
    apart = [{id(p) for p in stage.parameters()} for stage in (first, second)]  # type: ignore[misc]
    assert not apart[0] & apart[1] and apart[0] | apart[1] == {id(p) for p in model.parameters()}
    joint = make(joint=True)
    assert joint.stages()[1].parameters is None
    assert {"diffusion", "reconstruction"} <= set(joint.losses(BATCH, toy_view()))


def test_completion_is_kept_once_frozen_and_never_before() -> None:
    view = toy_view()
    model = in_stage(make(), 0)
    before = model.represent(view)
    model.completion.load_state_dict(randomised(make().completion, 0.1).state_dict())
    assert not torch.equal(model.represent(view).items, before.items)
    model.start_epoch(0, view)
    in_stage(model, 1)
    kept = model.completed(view)
    model.start_epoch(1, view)
    assert model.completed(view) is kept
    model.load_state_dict(model.state_dict())
    assert model.completed(view) is not kept
    joint = in_stage(make(joint=True), 1)
    kept = joint.completed(view)
    joint.start_epoch(1, view)
    assert joint.completed(view) is not kept


def test_the_completion_changes_no_random_number_of_training() -> None:
    """A resumed run completes in another epoch than an uninterrupted one."""
    model, view = in_stage(make(), 1), toy_view()
    values = []
    for _ in range(2):
        torch.manual_seed(4)
        values.append(total(model.losses(BATCH, view)))
    assert torch.equal(*values)


@pytest.mark.parametrize("stage", [0, 1])
def test_gradients_reach_all_that_a_stage_trains(stage: int) -> None:
    model = in_stage(make(), stage)
    terms = model.completion_losses(torch.arange(8), toy_view()) if stage == 0 else model.losses(BATCH, toy_view())
    total(terms).backward()
    trained = {id(p) for p in model.stage.parameters()}  # type: ignore[misc]
    for name, p in model.named_parameters():
        reached = p.grad is not None and bool(p.grad.isfinite().all() and p.grad.any())
        assert reached == (id(p) in trained), name


def test_without_relations_there_is_neither_attention_nor_contrast() -> None:
    model = make(k=0)
    assert set(model.losses(BATCH, toy_view())) == {"bpr", "direct", "final_l2"}
    assert not hasattr(model, "attention")


def test_another_view_is_another_input() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_of_which_hardly_anything_is_there(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = make({"visual": 5})
    terms = model.losses(BATCH, view) | model.completion_losses(torch.arange(N_ITEMS), view)
    total(terms).backward()
    assert all(x.isfinite() for x in terms.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert model.score(torch.arange(N_USERS), view).isfinite().all()


class SaveEveryEpoch(Checkpoint):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}.ckpt")


def fitted(dataset: MultimodalDataset, folder: Path, resumed: Path | None = None, **keywords: Any) -> MoDiCF:
    """Two epochs of completion and two of ranking, with a checkpoint after each."""
    seed_torch(0, 0, "initialisation")
    keywords = {"dim": 8, "completion": SMALL | {"epochs": 2, "batch_size": 16}, **keywords}
    model = MoDiCF(dataset.catalog(), training={"batch_size": 256}, **keywords)
    datamodule = InMemory(dataset)
    datamodule.configure(missing=Rate(rate=0.4))
    settings: Any = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    settings |= {"enable_model_summary": False, "num_sanity_val_steps": 0, "deterministic": "warn"}
    pl.Trainer(**settings, callbacks=[SaveEveryEpoch(folder)]).fit(model, datamodule, ckpt_path=resumed)
    return model


@pytest.mark.parametrize(("joint", "epochs"), [(False, (0, 1, 2)), (True, (2,))])
def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path, joint: bool, epochs: tuple[int, ...]) -> None:
    """Stopped after the first epoch of the completion, at the change of stage, and after the first of the ranking."""
    dataset = synthetic(n_users=31, n_items=23, seed=0)
    whole = fitted(dataset, tmp_path, joint=joint)
    values = {name: whole.results[name] for name in whole.results if name.startswith(("train/", "val/"))}
    assert whole.current_epoch >= 3 and "train/bpr" in values
    for epoch in epochs:
        resumed = fitted(dataset, tmp_path / "resumed", tmp_path / f"{epoch}.ckpt", joint=joint)
        for name, x in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], x), (epoch, name)
        assert {name: resumed.results[name] for name in values} == values
