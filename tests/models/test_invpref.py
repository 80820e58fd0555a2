"""InvPref by hand: its samples, its two predictions, its reversed gradient, and how its environments come about."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import InMemory
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.invpref import InvPref, _product_bce
from recmm.models.training import Training
from recmm.seeding import seed_torch

CONF = Path(__file__).parents[2] / "conf"
USERS, ITEMS = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
CATALOG = Catalog(3, 4, {}, USERS, ITEMS, list("abc"), list("pqrs"))
VIEW = ModalityView({}, torch.zeros(4, 0, dtype=torch.bool), "nothing to see")
SAMPLES = torch.tensor([[0, 2], [1, 3], [1, 0], [2, 1]])  # every training pair's item and its negative
BATCH = Pairs(torch.tensor([2, 0]), torch.tensor([2, 1]), torch.tensor([1, 3]), torch.tensor([3, 1]))


def make(**keywords: Any) -> InvPref:
    """Weights large enough that environments differ; negatives and environments by hand."""
    torch.manual_seed(2)
    model = InvPref(CATALOG, **{"dim": 4, **keywords})
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p))
        model.environments.copy_(torch.tensor([[0, 1], [0, 1], [1, 1], [1, 0]]))
    model.samples = lambda: (USERS, SAMPLES)  # type: ignore[method-assign]
    return model


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_losses_by_hand() -> None:
    """Width 1. Pair (2, 2) with negative 1 in environments 1 and 0, pair (0, 1) with negative 3 in 0 and 1."""
    model = make(dim=1, invariant=2.0, env_aware=3.0, classifier=5.0, l2=7.0, l1=11.0)
    with torch.no_grad():
        model.users_inv.copy_(torch.tensor([[1.0], [9], [2]]))
        model.items_inv.copy_(torch.tensor([[9.0], [0.5], [1.0], [-1]]))
        model.users_env.copy_(torch.tensor([[2.0], [9], [-1]]))
        model.items_env.copy_(torch.tensor([[9.0], [1], [0.5], [1]]))
        model.environment_table.copy_(torch.tensor([[0.5], [-1.0]]))
        model.classifier.weight.copy_(torch.tensor([[1.0], [0]]))
        model.classifier.bias.copy_(torch.tensor([0.0, 0.5]))
    samples = [  # p, u_env i_env e, y, environment
        (2 * 1.0, -1 * 0.5 * -1, 1, 1),
        (2 * 0.5, -1 * 1 * 0.5, 0, 0),
        (1 * 0.5, 2 * 1 * 0.5, 1, 0),
        (1 * -1.0, 2 * 1 * -1, 0, 1),
    ]
    inv = [sigmoid(p) for p, _, _, _ in samples]
    env = [sigmoid(p) * sigmoid(s) for p, s, _, _ in samples]
    guesses = [sigmoid(p - 0.5) if e == 0 else sigmoid(0.5 - p) for p, _, _, e in samples]
    signs = [y for _, _, y, _ in samples]

    def bce(values: list[float]) -> float:
        return -sum(math.log(v if y else 1 - v) for v, y in zip(values, signs, strict=True)) / 4

    terms = {name: x.item() for name, x in model.losses(BATCH, VIEW).items()}
    tables = [[2, 1], [1, 0.5, 0.5, -1], [-1, 2], [0.5, 1, 1, 1], [-1, 0.5, 0.5, -1]]
    assert terms == {
        "invariant": pytest.approx(2 * bce(inv)),
        "env_aware": pytest.approx(3 * bce(env)),
        "classifier": pytest.approx(-5 * sum(map(math.log, guesses)) / 4),
        "l2": pytest.approx(7 * sum(sum(x * x for x in t) / len(t) for t in tables)),
        "l1": pytest.approx(11 * sum(sum(map(abs, t)) / len(t) for t in tables)),
    }
    model.settings = model.settings.model_copy(update={"regularize_environments": False})
    expected = 11 * sum(sum(map(abs, t)) / len(t) for t in tables[:-1])
    assert model.losses(BATCH, VIEW)["l1"].item() == pytest.approx(expected)


def test_the_code_reading_norms_as_the_released_code_does() -> None:
    """For Yahoo: 3.14 sum of squares / 2 B d + .49 sum of absolute values / 2 B d, over the four tables' rows."""
    values = OmegaConf.load(CONF / "model" / "invpref_code.yaml")
    del values["defaults"]
    model = make(dim=4, **OmegaConf.to_container(values))
    terms = model.losses(BATCH, VIEW)
    users, items = torch.tensor([2, 2, 0, 0]), torch.tensor([2, 1, 1, 3])
    rows = torch.cat([model.users_inv[users], model.users_env[users], model.items_inv[items], model.items_env[items]])
    torch.testing.assert_close(terms["l2"], 3.14 * rows.square().sum() / (2 * 4 * 4))
    torch.testing.assert_close(terms["l1"], 0.49 * rows.abs().sum() / (2 * 4 * 4))
    assert model.settings.share_weights


def test_who_receives_which_gradient() -> None:
    model = make(alpha=0.25, classifier=1.0)
    terms = model.losses(BATCH, VIEW)
    parameters = dict(model.named_parameters())

    def reached(term: str) -> set[str]:
        found = torch.autograd.grad(terms[term], list(parameters.values()), retain_graph=True, allow_unused=True)
        return {name for name, g in zip(parameters, found, strict=True) if g is not None and g.any()}

    invariant = {"users_inv", "items_inv"}
    assert reached("invariant") == invariant
    assert reached("env_aware") == invariant | {"users_env", "items_env", "environment_table"}
    assert reached("classifier") == invariant | {"classifier.weight", "classifier.bias"}

    items, environments = SAMPLES[[3, 1]], model.environments[[3, 1]].long()
    p = model.users_inv[BATCH.users][:, None] * model.items_inv[items]
    nll = F.cross_entropy(model.classifier(p).flatten(0, 1), environments.flatten())
    wanted = [model.users_inv, model.items_inv, model.classifier.weight]
    plain = torch.autograd.grad(nll, wanted)
    reversed_ = torch.autograd.grad(terms["classifier"], wanted)
    for turned, straight, factor in zip(reversed_, plain, (-0.25, -0.25, 1.0), strict=True):
        torch.testing.assert_close(turned, factor * straight)


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_the_product_of_two_sigmoids_is_exact_and_finite(scale: float) -> None:
    a, b, y = torch.randn(3, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, b, y = (a * scale).requires_grad_(), (b * scale).requires_grad_(), (y > 0).double()
    values = _product_bce(a, b, y)
    values.sum().backward()
    assert a.grad is not None and b.grad is not None and a.grad.isfinite().all() and b.grad.isfinite().all()
    if scale == 1:
        torch.testing.assert_close(values, F.binary_cross_entropy(a.sigmoid() * b.sigmoid(), y, reduction="none"))
    assert values.isfinite().all() and (values >= 0).all()


# ---------------------------------------------------------------------- samples


def test_samples_are_fixed_and_known_by_their_pair(tiny_dataset: MultimodalDataset) -> None:
    catalog = tiny_dataset.catalog()
    first, again = (InvPref(catalog, n_negatives=3, training=Training(seed=1)) for _ in range(2))
    other = InvPref(catalog, n_negatives=3, training=Training(seed=2))
    items = [model.samples()[1] for model in (first, again, other)]
    for one, same, different in (items, [model.environments for model in (first, again, other)]):
        assert torch.equal(one, same) and not torch.equal(one, different)
    history = set(zip(catalog.train_users.tolist(), catalog.train_items.tolist(), strict=True))
    users, negatives = catalog.train_users.repeat_interleave(3).tolist(), items[0][:, 1:].flatten().tolist()
    assert not history & set(zip(users, negatives, strict=True))


def test_batches_and_assignments_have_the_same_samples(tiny_dataset: MultimodalDataset) -> None:
    model = InvPref(tiny_dataset.catalog(), n_negatives=2, training={"batch_size": 64})
    _, items = model.samples()
    seen: list[Pairs] = []
    model.losses = lambda batch, view: seen.append(batch) or {"x": model.users_inv.sum()}  # type: ignore[func-returns-value,method-assign]
    quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", enable_checkpointing=False, num_sanity_val_steps=0, **quiet)
    trainer.fit(model, InMemory(tiny_dataset))
    assert sum(len(batch.rows) for batch in seen) == len(items)
    for batch in seen:
        assert torch.equal(items[batch.rows], torch.cat([batch.positives[:, None], batch.negatives], 1))


def test_a_user_that_has_seen_everything_has_positives_only() -> None:
    users, items = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])
    model = InvPref(Catalog(2, 2, {}, users, items, ["a", "b"], ["p", "q"]), n_negatives=2)
    samples = model.samples()[1]
    assert samples.tolist() == [[0, 0, 0], [1, 1, 1], [0, 1, 1]]
    with torch.no_grad():
        model.users_inv.fill_(1.0), model.items_inv.fill_(1.0)
    term = model.losses(Pairs(users[:2], items[:2], samples[:2, 1:], torch.arange(2)), VIEW)["invariant"]
    assert term.item() == pytest.approx(3.35 * math.log1p(math.exp(-40)), abs=1e-9)  # all of them wanted at 1


def test_the_mean_over_parts_is_that_of_the_whole() -> None:
    """What a run by several processes relies on."""
    model = make(share_weights=True)
    batch = Pairs(USERS, ITEMS, SAMPLES[:, 1], torch.arange(4))
    whole = model.losses(batch, VIEW)
    parts = [model.losses(Pairs(*(x[rows] for x in batch)), VIEW) for rows in (slice(0, 1), slice(1, 4))]
    for name, term in whole.items():
        torch.testing.assert_close((parts[0][name] + 3 * parts[1][name]) / 4, term)
    assert not model.in_batch_losses


# ---------------------------------------------------------------------- environments


def bce_by_environment(model: InvPref) -> Tensor:
    """BCE(y_env, y) of every sample in every environment by the textbook, [4, 2, E]."""
    items = SAMPLES
    inv = (model.users_inv[USERS][:, None] * model.items_inv[items]).sum(2).sigmoid()
    env = torch.einsum("ud,usd,ed->use", model.users_env[USERS], model.items_env[items], model.environment_table)
    y = torch.tensor([1.0, 0.0]).expand(4, 2)[..., None].expand_as(env)
    return F.binary_cross_entropy(inv[..., None] * env.sigmoid(), y, reduction="none")


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_samples_go_where_their_loss_is_least(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InvPref, "CHUNK", chunk)
    model = make(n_environments=3)
    assigned = model.assign()
    assert torch.equal(assigned.long(), bce_by_environment(model).argmin(2)) and len(assigned.unique()) > 1
    with torch.no_grad():
        model.environment_table.fill_(0.5)  # all alike
    ties = torch.stack([model.assign() for _ in range(100)])
    assert torch.bincount(ties.flatten().long(), minlength=3).min() > 200  # of 800, about 267 each


def test_environments_change_every_few_epochs_and_not_at_the_start() -> None:
    model = make(cluster_interval=2, share_weights=True)
    drawn = model.environments.clone()
    for epoch in (0, 1):
        model.start_epoch(epoch, VIEW)
        assert torch.equal(model.environments, drawn)
    assert model.shares.tolist() == [3 / 8, 5 / 8]
    model.start_epoch(2, VIEW)
    assert torch.equal(model.environments.long(), bce_by_environment(model).argmin(2))
    assert not torch.equal(model.environments, drawn)
    moved = (model.environments != drawn).float().mean().item()
    assert model._reported["method/environments_moved"] == pytest.approx(moved)
    ones = int(model.environments.sum())
    assert model.shares.tolist() == [1 - ones / 8, ones / 8]


def test_shares_weight_the_guesses() -> None:
    plain, model = make(), make(share_weights=True)
    with torch.no_grad():
        for p in (*plain.classifier.parameters(), *model.classifier.parameters()):
            p.zero_()  # every guess costs log 2
    model.start_epoch(0, VIEW)
    assert plain.losses(BATCH, VIEW)["classifier"].item() == pytest.approx(9.06 * math.log(2))
    mean_share = (5 / 8 + 3 / 8 + 3 / 8 + 5 / 8) / 4
    assert model.losses(BATCH, VIEW)["classifier"].item() == pytest.approx(9.06 * math.log(2) * mean_share)


def test_alpha_may_be_reached_slowly() -> None:
    model = make(alpha=2.0, ramp_epochs=4)
    values = []
    for epoch in (0, 2, 4, 9):
        model.start_epoch(epoch, VIEW)
        values.append(model.reversal)
    full = 2 / (1 + math.exp(-10)) - 1
    assert values == pytest.approx([0.0, 2 * (2 / (1 + math.exp(-5)) - 1), 2 * full, 2 * full])
    constant = make(alpha=2.0)
    constant.start_epoch(0, VIEW)
    assert constant.reversal == 2.0


def test_a_resumed_run_ends_like_an_uninterrupted_one(tiny_dataset: MultimodalDataset, tmp_path: Path) -> None:
    """Interrupted between two assignments, so that the environments of epoch 2 have to be remembered in epoch 3."""

    def fit(n_epochs: int, resume: Path | None = None) -> tuple[pl.Trainer, InvPref]:
        seed_torch(0, 0, "initialisation")
        training = Training(batch_size=64, lr=0.05)
        model = InvPref(tiny_dataset.catalog(), dim=8, cluster_interval=2, ramp_epochs=6, training=training)
        quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
        trainer = pl.Trainer(
            max_epochs=n_epochs, accelerator="cpu", enable_checkpointing=False, num_sanity_val_steps=0, **quiet
        )
        trainer.fit(model, InMemory(tiny_dataset), ckpt_path=resume, weights_only=True)
        return trainer, model

    _, whole = fit(5)
    trainer, half = fit(3)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, resumed = fit(5, tmp_path / "half.ckpt")
    assert not torch.equal(whole.environments, half.environments)
    for name, value in whole.state_dict().items():
        if isinstance(value, Tensor):
            assert torch.equal(value, resumed.state_dict()[name]), name
    assert whole.results == resumed.results
    # and the environments matter: a run that forgot them would end elsewhere
    drawn = InvPref(tiny_dataset.catalog(), training=Training(batch_size=64)).environments
    assert not torch.equal(half.environments, drawn)


@pytest.mark.parametrize(
    "wrong", [{"dim": 0}, {"n_environments": 1}, {"invariant": -1.0}, {"alpha": -1.0}, {"cluster_interval": 0}]
)
def test_wrong_keywords_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(wrong))} must be (at least|in \[2, 256\])"):
        InvPref(CATALOG, **wrong)
    with pytest.raises(ConfigError, match=r"model\.n_environments must be in \[2, 256\]; got 257"):
        InvPref(CATALOG, n_environments=257)
