"""CI2MG: each equation against a plain form of itself, and what its parts may and may not touch."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.batches.sampling import PairBatches
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.errors import ConfigError
from recmm.missing.imputers import Mean
from recmm.missing.settings import Rate
from recmm.missing.view import ModalityView
from recmm.missing.views import build_views
from recmm.models import CI2MG, LightGCNM, Training
from recmm.nn import couplings as couplings_module
from recmm.nn.transport import TransportSettings
from recmm.seeding import seed_torch

OFF: dict[str, Any] = {"intra": False, "inter": False, "contrast": False, "task": False}
SETTINGS = TransportSettings(method="dense", perplexity=8.0, tolerance=1e-3)


@pytest.fixture(scope="module")
def three() -> MultimodalDataset:
    """With three modalities, hence three plans; most tests take two, as each plan has to be solved."""
    return synthetic(n_users=61, n_items=43, seed=0)


@pytest.fixture(scope="module")
def dataset(three: MultimodalDataset) -> MultimodalDataset:
    return three.select(three.modalities[:2])


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The plans of 43 items are small; threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def view_under(dataset: MultimodalDataset, rate: float = 0.5, seed: int = 0) -> ModalityView:
    return build_views(dataset, Rate(rate=rate, seed=seed).draw(dataset), Mean())["train"]


@pytest.fixture(scope="module")
def view(dataset: MultimodalDataset) -> ModalityView:
    return view_under(dataset)


@pytest.fixture(scope="module")
def batch(dataset: MultimodalDataset) -> Pairs:
    return next(iter(PairBatches(dataset.train, batch_size=64)))


def build(dataset: MultimodalDataset, **kwargs: Any) -> CI2MG:
    seed_torch(0, 0, "initialisation")
    kwargs = {"transport": SETTINGS, "n_prototypes": 7, "dim": 16} | kwargs
    return CI2MG(dataset.catalog(), **kwargs)


def started(dataset: MultimodalDataset, view: ModalityView, **kwargs: Any) -> CI2MG:
    model = build(dataset, **kwargs).train()
    seed_torch(0, 0, "method")
    model.start_epoch(0, view)
    return model


# ---------------------------------------------------------------------- the ablation's first row


def test_everything_off_is_lightgcn_m_also_after_training(
    dataset: MultimodalDataset, view: ModalityView, batch: Pairs
) -> None:
    training = Training(optimizer="adamw", lr=0.01, weight_decay=0.1, batch_size=64)
    ours = build(dataset, **OFF, training=training)
    seed_torch(0, 0, "initialisation")
    base = LightGCNM(dataset.catalog(), dim=16, training=training)
    for model in (ours, base):
        optimizer = model.configure_optimizers()
        model.train().start_epoch(0, view)
        for _ in range(5):
            optimizer.zero_grad()
            torch.stack(list(model.losses(batch, view).values())).sum().backward()
            optimizer.step()
    users = torch.arange(dataset.n_users)
    torch.testing.assert_close(ours.eval().score(users, view), base.eval().score(users, view), rtol=0, atol=1e-6)
    assert dict(ours.named_parameters()).keys() == dict(base.named_parameters()).keys()


@pytest.mark.parametrize(
    ("parts", "terms"),
    [
        ((), {"bpr", "ego_l2"}),
        (("intra",), {"bpr", "ego_l2"}),
        (("intra", "inter"), {"bpr", "ego_l2"}),
        (("intra", "inter", "contrast"), {"bpr", "ego_l2", "contrast"}),
        (("intra", "inter", "contrast", "task"), {"bpr", "ego_l2", "contrast", "reconstruction"}),
    ],
)
def test_parts_add_up(
    parts: tuple[str, ...], terms: set[str], dataset: MultimodalDataset, view: ModalityView, batch: Pairs
) -> None:
    model = started(dataset, view, **(OFF | dict.fromkeys(parts, True)))
    out = model(view)
    assert model.losses(batch, view).keys() == terms
    n_users, block = dataset.n_users, out["q"]
    torch.testing.assert_close(out["items"][:, :16], model.identities()[n_users:])
    if "intra" not in parts:
        assert torch.equal(out["q"], out["f"])
    if "inter" in parts:
        block = (out["q"] + out["q_hat"]) / 2
    if "task" in parts:
        block = out["z"]
    torch.testing.assert_close(out["items"][:, 16:], F.normalize(block, dim=2).flatten(1))


# ---------------------------------------------------------------------- Eq. 1 to 13 with every matrix formed


def interactions(catalog: Catalog) -> Tensor:
    r = torch.zeros(catalog.n_users, catalog.n_items)
    r[catalog.train_users, catalog.train_items] = 1
    return r


def test_forward_by_the_formulas(three: MultimodalDataset) -> None:
    dataset, view = three, view_under(three)
    model = started(dataset, view, id_gnn="paper", cold="zero", block_norm="none", center=False)
    with torch.no_grad():  # dT starts at zero, which would hide it
        model.barycentres.left.normal_(std=0.1)
    assert model.barycentres.right is not None
    r, names = interactions(dataset.catalog()), list(view.modalities)
    of_users = r / r.sum(1, keepdim=True).clamp_min(1)  # D_U^-1 R
    of_items = r.T / r.sum(0)[:, None].clamp_min(1)  # D_V^-1 R^T
    out, n_users = model(view), dataset.n_users
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)  # noqa: E731
    for m, name in enumerate(names):
        layer = model.projection.maps[m][0]
        f_bar = view.features[name] @ layer.weight.T + layer.bias
        close(out["f_bar"][:, m], f_bar)
        close(out["f"][:, m], of_items @ of_users @ f_bar)  # Eq. 1
    x_u, x_v = model.ego.split([n_users, dataset.n_items])
    layers_u, layers_v = [x_u], [x_v]
    assert model.id_weights is not None
    for n in range(2):  # Eq. 2
        x_u, x_v = (
            F.leaky_relu(of_users @ x_v @ model.id_weights[2 * n], 0.2),
            F.leaky_relu(of_items @ x_u @ model.id_weights[2 * n + 1], 0.2),
        )
        layers_u.append(x_u), layers_v.append(x_v)
    close(out["users"][:, :16], torch.stack(layers_u).mean(0))
    close(out["items"][:, :16], torch.stack(layers_v).mean(0))
    eye = torch.eye(dataset.n_items)
    plans = {pair: plan.apply(eye) for pair, plan in model.couplings.of(out["q"], view.digest).items()}
    k = 0
    for m in range(len(names)):
        received = []
        for other in range(len(names)):
            if other == m:
                continue
            t = plans[m, other] if m < other else plans[other, m].T
            delta = model.barycentres.left[k] @ model.barycentres.right[k].T
            received.append((t + delta) @ out["q"][:, other])
            k += 1
        close(out["q_hat"][:, m], torch.stack(received).mean(0))  # Eq. 9
        psi = torch.cat([out["q"][:, m], out["q_hat"][:, m]], 1) @ model.guided.weight[m]
        z = (psi - psi.mean(0)) / (psi.var(0, correction=0) + 1e-5).sqrt()
        close(out["z"][:, m], F.leaky_relu(z, 0.2))  # Eq. 11
        close(out["users"][:, 16 * (m + 1) : 16 * (m + 2)], of_users @ out["f_bar"][:, m])  # Eq. 13
        close(out["items"][:, 16 * (m + 1) : 16 * (m + 2)], out["z"][:, m])
    assert out["users"].shape == (n_users, 16 * (len(names) + 1))


def test_centring_makes_rows_filled_with_the_mean_say_nothing(dataset: MultimodalDataset, view: ModalityView) -> None:
    """Without it they all point where the mean points, and so does everything that is averaged from them."""
    raw = build(dataset, center=False).prepare(view)
    own = build(dataset).prepare(view)
    for m, (x, y) in enumerate(zip(raw, own, strict=True)):
        hidden = ~view.mask[:, m]
        assert hidden.any() and y[hidden].abs().max() < 1e-5 and x[hidden].abs().min() > 0
        torch.testing.assert_close(x - y, x[~hidden].mean(0).expand_as(x))


# ---------------------------------------------------------------------- the objective


def test_losses_by_hand(
    dataset: MultimodalDataset, view: ModalityView, batch: Pairs, info_nce: Callable[..., Tensor]
) -> None:
    model = started(dataset, view, lambda1=0.5, lambda2=2.0, temperature=0.3, lambda3=0.1, ego_l2=0.0)
    out, terms = model(view), model.losses(batch, view)
    margin = ((out["items"][batch.positives] - out["items"][batch.negatives]) * out["users"][batch.users]).sum(1)
    assert terms["bpr"].item() == pytest.approx(-F.logsigmoid(margin).mean().item(), rel=1e-5)
    items = torch.unique(batch.positives)
    contrast = sum(info_nce(out["q"][items, m], out["q_hat"][items, m], 0.3).item() for m in range(2))
    assert terms["contrast"].item() == pytest.approx(0.5 * contrast, rel=1e-5)
    rec = 0.0
    for m in range(2):
        rows = [i for i in range(dataset.n_items) if view.mask[i, m]]
        target = out["f_bar"][rows, m]
        target = (target - target.mean(0)) / (target.var(0, correction=0) + 1e-5).sqrt()
        rec += (out["z"][rows, m] - target).square().mean().item()
    assert terms["reconstruction"].item() == pytest.approx(2 * rec, rel=1e-5)
    squares = sum(p.square().sum().item() for p in model.parameters())
    assert terms["l2"].item() == pytest.approx(0.1 * squares, rel=1e-5)


def test_readings_of_the_contrast(dataset: MultimodalDataset, view: ModalityView, batch: Pairs) -> None:
    model = started(dataset, view, lambda1=1.0)
    out, items = model(view), torch.unique(batch.positives)

    def naive(a: Tensor, b: Tensor, rows: Tensor, columns: Tensor) -> float:
        total = 0.0
        for i in rows.tolist():
            cosines = F.cosine_similarity(a[i], b[columns], dim=1) / 0.2
            total -= (F.cosine_similarity(a[i], b[i], dim=0) / 0.2 - cosines.logsumexp(0)).item()
        return total / len(rows)

    q, q_hat, every = out["q"], out["q_hat"], torch.arange(dataset.n_items)
    for negatives, columns in (("batch", items), ("all", every)):
        model = started(dataset, view, lambda1=1.0, negatives=negatives)
        expected = sum(naive(q[:, m], q_hat[:, m], items, columns) for m in range(2))
        assert model.losses(batch, view)["contrast"].item() == pytest.approx(expected, rel=1e-4)


# ---------------------------------------------------------------------- plans over a run


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The epsilon that each call of the solver was given."""
    calls: list[float | None] = []
    real = couplings_module.solve

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append(kwargs["epsilon"])
        return real(*args, **kwargs)

    monkeypatch.setattr(couplings_module, "solve", counting)
    return calls


@pytest.mark.parametrize(("refresh", "expected"), [("epoch", [1, 1, 1]), (2, [1, 0, 1]), ("step", [3, 3, 3])])
def test_plans_are_refreshed_as_often_as_asked(
    refresh: Any, expected: list[int], dataset: MultimodalDataset, view: ModalityView, batch: Pairs, solved: list[Any]
) -> None:
    """One pair of modalities; two steps an epoch."""
    model = build(dataset, transport=TransportSettings(method="dense", perplexity=8.0, refresh=refresh)).train()
    counts = []
    for epoch in range(3):
        before = len(solved)
        model.start_epoch(epoch, view)
        for _ in range(2):
            model.losses(batch, view)
        counts.append(len(solved) - before)
    assert counts == expected


def test_evaluation_under_another_view_couples_that_view_and_changes_no_state(
    dataset: MultimodalDataset, view: ModalityView, solved: list[Any]
) -> None:
    model, other = started(dataset, view).eval(), view_under(dataset, seed=5)
    solved.clear()
    users = torch.arange(5)
    first = model.score(users, view)
    assert not solved  # training's own view: the plans are there
    state = model.couplings.get_extra_state()
    model.score(users, other)
    assert len(solved) == 1 and all(epsilon is not None for epsilon in solved)
    assert model.couplings.get_extra_state()["digest"] == state["digest"] == view.digest
    assert torch.equal(model.score(users, view), first)
    assert torch.equal(model.score(users, other), model.score(users, other))


def test_plans_are_constants_of_a_step(dataset: MultimodalDataset, view: ModalityView, batch: Pairs) -> None:
    model = started(dataset, view)
    q = model(view)["q"].detach().requires_grad_()
    plans = model.couplings.of(q, view.digest)
    model.barycentres(q, plans).sum().backward()
    # Q-hat is linear in Q at fixed plans, so doubling Q doubles it
    torch.testing.assert_close(model.barycentres(2 * q, plans), 2 * model.barycentres(q, plans))
    assert q.grad is not None and q.grad.any()


def test_what_is_reported_every_epoch(dataset: MultimodalDataset, view: ModalityView) -> None:
    model = started(dataset, view)
    values = {name.removeprefix("method/"): value for name, value in model._reported.items()}
    pair = "_".join(view.modalities)
    assert values[f"perplexity_{pair}"] == pytest.approx(8, rel=0.15)
    assert values[f"marginal_error_{pair}"] <= 1e-3 and values[f"epsilon_{pair}"] > 0
    assert all(0 < values[f"spread_{m}"] <= 1 for m in view.modalities)


def test_a_plan_close_to_uniform_is_warned_of_once(
    dataset: MultimodalDataset, view: ModalityView, caplog: pytest.LogCaptureFixture
) -> None:
    model = started(dataset, view, transport=TransportSettings(method="dense", epsilon=10.0))
    model.start_epoch(1, view)
    assert len([r for r in caplog.records if "close to uniform" in r.message]) == 1


def test_plans_travel_in_the_state(dataset: MultimodalDataset, view: ModalityView, solved: list[Any]) -> None:
    model, other = started(dataset, view), build(dataset)
    other.load_state_dict(model.state_dict())
    solved.clear()
    assert torch.equal(other(view)["q_hat"], model(view)["q_hat"])
    assert not solved


# ---------------------------------------------------------------------- bad and thin input


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"hypergraph": {"incidence": "cosine"}},
            r"^model\.hypergraph\.incidence must be one of softmax, shift01; got",
        ),
        ({"n_prototypes": 0}, r"^model\.n_prototypes must be at least 1; got 0\."),
        (
            {"transport": {"refresh": 0}},
            r"^model\.transport\.refresh must be one of epoch, step, or an integer that is",
        ),
        ({"temperature": 0.0}, r"^model\.temperature must be positive; got 0"),
        ({"guidance": {"act": "tanh"}}, r"^model\.guidance\.act must be one of leaky, sigmoid; got 'tanh'"),
        ({"delta": {"rank": 0}}, r"^model\.delta\.rank must be at least 1; got 0\."),
        ({"inter": False}, "model.contrast compares"),
    ],
)
def test_wrong_keywords(wrong: dict[str, Any], message: str, dataset: MultimodalDataset) -> None:
    with pytest.raises(ConfigError, match=message):
        build(dataset, **wrong)


def test_no_modality_is_refused(dataset: MultimodalDataset) -> None:
    with pytest.raises(ConfigError, match="at least one modality"):
        build(dataset.select([]))


def test_one_modality_leaves_out_what_needs_two(
    dataset: MultimodalDataset, batch: Pairs, caplog: pytest.LogCaptureFixture
) -> None:
    one = dataset.select([dataset.modalities[0]])
    view = view_under(one, rate=0.9)
    model = started(one, view)
    terms = model.losses(batch, view)
    assert terms.keys() == {"bpr", "reconstruction", "ego_l2"} and all(term.isfinite() for term in terms.values())
    assert "nothing to transport" in caplog.text


def test_more_prototypes_than_items_are_cut(
    dataset: MultimodalDataset, view: ModalityView, caplog: pytest.LogCaptureFixture
) -> None:
    model = started(dataset, view, n_prototypes=100)
    assert model.hypergraph.prototypes.shape == (2, 43, 16)
    assert "100 prototypes for 43 items" in caplog.text


@pytest.mark.parametrize(
    "profile", [{}, {"hypergraph": {"incidence": "shift01"}, "block_norm": "none", "guidance": {"target": "projected"}}]
)
def test_modality_and_items_that_show_nothing(
    profile: dict[str, Any], dataset: MultimodalDataset, batch: Pairs
) -> None:
    """One modality observed in no item, three items observed in nothing."""
    full = view_under(dataset, rate=0.0)
    mask = full.mask.clone()
    mask[:, 1] = False
    mask[:3] = False
    features = {
        m: torch.where(mask[:, k : k + 1], x, torch.zeros(())) for k, (m, x) in enumerate(full.features.items())
    }
    view = ModalityView(features, mask, "thin")
    model = started(dataset, view, **profile)
    terms = model.losses(batch, view)
    torch.stack(list(terms.values())).sum().backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert torch.isfinite(model.eval().score(torch.arange(5), view)).all()
    assert math.isfinite(sum(model._reported.values()))
