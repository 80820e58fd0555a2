"""LightGCN-M: its three readings against hand values and dense formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.lightgcn import LightGCN
from recmm.models.lightgcn_m import LightGCNM
from recmm.models.training import Training

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
DIMS = {"visual": 5, "textual": 3, "acoustic": 4}
N_USERS, N_ITEMS, D = 4, 6, 8
USERS = torch.tensor([0, 0, 1, 1, 2, 2])  # user 3 has no history
ITEMS = torch.tensor([0, 1, 1, 2, 0, 3])  # items 4 and 5 are cold
BATCH = Pairs(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 3]), torch.tensor([5, 0, 1]))


def catalog(n_modalities: int = 2) -> Catalog:
    dims = dict(list(DIMS.items())[:n_modalities])
    ids = [str(n) for n in range(N_ITEMS)]
    return Catalog(N_USERS, N_ITEMS, dims, USERS, ITEMS, ids[:N_USERS], ids)


def view(n_modalities: int = 2) -> ModalityView:
    """Random features; item 1 lacks the first modality and item 5 the last, ones in their place."""
    mask = torch.ones(N_ITEMS, n_modalities, dtype=torch.bool)
    mask[1, 0] = mask[5, -1] = False
    generator = torch.Generator().manual_seed(1)
    features = {
        m: torch.where(mask[:, [k]], torch.randn(N_ITEMS, width, generator=generator), 1.0)
        for k, (m, width) in enumerate(list(DIMS.items())[:n_modalities])
    }
    return ModalityView(features, mask, f"toy{n_modalities}")


def make(n_modalities: int = 2, **keywords: Any) -> LightGCNM:
    """Weights that no initialisation makes special."""
    torch.manual_seed(2)
    model = LightGCNM(catalog(n_modalities), **{"dim": D, "center": False, **keywords})
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.5)
    return model


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_centring_is_that_of_the_visible_rows(variant: Any) -> None:
    given, users = view(), torch.arange(N_USERS)
    centred = {m: x - x[given.mask[:, k]].mean(0) for k, (m, x) in enumerate(given.features.items())}
    expected = make(variant=variant).score(users, ModalityView(centred, given.mask, "centred"))
    torch.testing.assert_close(make(variant=variant, center=True).score(users, given), expected)


def dense_adjacency() -> Tensor:
    a = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS)
    a[USERS, N_USERS + ITEMS] = 1
    a += a.T.clone()
    scale = torch.where(a.sum(1) > 0, a.sum(1).rsqrt(), 0)
    return scale[:, None] * a * scale


def dense_light_gcn(x: Tensor, n_layers: int) -> tuple[Tensor, Tensor]:
    layers = [x]
    for _ in range(n_layers):
        layers.append(dense_adjacency() @ layers[-1])
    users, items = torch.stack(layers).mean(0).split([N_USERS, N_ITEMS])
    return users, items


def scores(model: LightGCNM, n_modalities: int = 2) -> Tensor:
    return model.score(torch.arange(N_USERS), view(n_modalities))


def margins(values: Tensor) -> Tensor:
    return values[BATCH.users, BATCH.positives] - values[BATCH.users, BATCH.negatives]


# ---------------------------------------------------------------------- a


def test_variant_a_by_hand() -> None:
    """Three users in a chain: 0 has item 0, 1 has both items, 2 has item 1; one modality of width 2, d = 1, L = 1."""
    graph = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1])
    toy = Catalog(3, 2, {"m": 2}, *graph, list("abc"), list("ab"))
    model = LightGCNM(toy, dim=1, n_layers=1, block_norm="none", center=False)
    with torch.no_grad():
        model.ego.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0], [6.0]]))
        weight, bias = model.projection.parameters()
        weight.copy_(torch.tensor([[1.0, 10.0]]))
        bias.fill_(0.5)
    x = torch.tensor([[0.5, 0.1], [2.5, 0.3]])  # projected: 2 and 6
    toy_view = ModalityView({"m": x}, torch.ones(2, 1, dtype=torch.bool), "hand")
    root = 2**0.5
    ids_u = torch.tensor([(1 + 4 / root) / 2, (2 + 4 / 2 + 6 / 2) / 2, (3 + 6 / root) / 2])
    ids_i = torch.tensor([(4 + 1 / root + 2 / 2) / 2, (6 + 2 / 2 + 3 / root) / 2])
    f_u, f_i = torch.tensor([2.0, 4.0, 6.0]), torch.tensor([3.0, 5.0])
    expected = ids_u[:, None] * ids_i + f_u[:, None] * f_i
    assert torch.allclose(model.score(torch.arange(3), toy_view), expected)
    unit = LightGCNM(toy, dim=1, n_layers=1, center=False)
    unit.load_state_dict(model.state_dict())
    assert torch.allclose(unit.score(torch.arange(3), toy_view), ids_u[:, None] * ids_i + 1)


@pytest.mark.parametrize("n_modalities", [1, 2, 3])
@pytest.mark.parametrize("block_norm", ["none", "l2", "l2_weighted"])
def test_variant_a_in_dense_algebra(n_modalities: int, block_norm: Any) -> None:
    model = make(n_modalities, block_norm=block_norm, n_layers=3)
    users, items = dense_light_gcn(model.ego, 3)
    expected = users @ items.T
    r = torch.zeros(N_USERS, N_ITEMS)
    r[USERS, ITEMS] = 1
    maps = list(model.projection.parameters())
    for m, x in enumerate(view(n_modalities).features.values()):
        content = x @ maps[2 * m].T + maps[2 * m + 1]
        f_u = r @ content / r.sum(1, keepdim=True).clamp_min(1)
        f_i = torch.where(r.sum(0)[:, None] > 0, r.T @ f_u / r.sum(0)[:, None].clamp_min(1), content)
        weight: Tensor | float = 1.0
        if block_norm != "none":
            f_u, f_i = F.normalize(f_u), F.normalize(f_i)
        if block_norm == "l2_weighted":
            assert model.blocks.weights is not None
            weight = model.blocks.weights[m] ** 2  # on both sides
        expected = expected + weight * f_u @ f_i.T
    assert torch.allclose(scores(model, n_modalities), expected, atol=1e-5)


def test_variant_a_without_content_ranks_as_light_gcn() -> None:
    torch.manual_seed(3)
    base = LightGCN(catalog(), dim=D)
    torch.manual_seed(3)
    model = LightGCNM(catalog(), dim=D)
    assert torch.equal(model.ego, base.ego)  # drawn first
    with torch.no_grad():
        for p in model.projection.parameters():
            p.zero_()
    expected = base.score(torch.arange(N_USERS), view())
    assert torch.allclose(scores(model), expected, atol=1e-7)
    assert torch.equal(scores(model).argsort(1), expected.argsort(1))
    for name, term in base.losses(BATCH, view()).items():
        assert torch.allclose(model.losses(BATCH, view())[name], term)


def test_two_hop_keywords_reach_the_blocks() -> None:
    values = [scores(make(**k)) for k in ({}, {"keep_own": True}, {"cold": "zero"})]
    assert not torch.allclose(values[0], values[1], atol=1e-3)
    assert torch.allclose(values[0][:, :4], values[2][:, :4], atol=1e-6)  # items with training interactions
    assert not torch.allclose(values[0][:3, 4:], values[2][:3, 4:], atol=1e-3)


# ---------------------------------------------------------------------- b and c


@pytest.mark.parametrize("n_modalities", [1, 2, 3])
def test_variant_b_in_dense_algebra(n_modalities: int) -> None:
    model = make(n_modalities, variant="b", n_layers=3)
    user_table, item_table = model.ego[:N_USERS], model.ego[N_USERS:]
    maps = list(model.projection.parameters())
    inputs = [item_table]
    for m, x in enumerate(view(n_modalities).features.values()):
        inputs.append(x / x.norm(dim=1, keepdim=True) @ maps[2 * m].T + maps[2 * m + 1])
    channels = [dense_light_gcn(torch.cat([user_table, x]), 3) for x in inputs]
    users, items = (torch.cat(side, 1) for side in zip(*channels, strict=True))
    users = users @ model.fuse_users.weight.T + model.fuse_users.bias
    items = items @ model.fuse_items.weight.T
    embeddings = model.represent(view(n_modalities))
    assert torch.allclose(embeddings.users, users, atol=1e-5) and torch.allclose(embeddings.items, items, atol=1e-5)
    assert torch.allclose(scores(model, n_modalities), users @ items.T, atol=1e-5)


@pytest.mark.parametrize("n_modalities", [1, 3])
def test_variant_c_in_dense_algebra(n_modalities: int) -> None:
    model = make(n_modalities, variant="c", n_layers=1, content_l2=0.3)
    users, items = dense_light_gcn(model.ego, 1)
    weight, bias = model.projection.parameters()
    content = torch.cat(list(view(n_modalities).features.values()), 1) @ weight.T + bias
    expected = users @ items.T + model.theta @ (content / content.norm(dim=1, keepdim=True)).T
    assert torch.allclose(scores(model, n_modalities), expected, atol=1e-5)
    terms = model.losses(BATCH, view(n_modalities))
    squares = [model.theta[BATCH.users], content[BATCH.positives], content[BATCH.negatives]]
    assert torch.allclose(terms["content_l2"], 0.3 * torch.cat(squares).square().sum() / 2 / 3)
    assert terms.keys() == {"bpr", "ego_l2", "content_l2"}


# ---------------------------------------------------------------------- all variants


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_losses_by_hand(variant: Any) -> None:
    model = make(variant=variant, ego_l2=0.5)
    terms = model.losses(BATCH, view())
    assert torch.allclose(terms["bpr"], -F.logsigmoid(margins(scores(model))).mean())
    rows = torch.cat([BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives])
    assert torch.allclose(terms["ego_l2"], 0.5 * model.ego[rows].square().sum() / 2 / 3)
    assert ("content_l2" in terms) == (variant == "c")


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"block_norm": "l2_weighted"},
        {"block_norm": "none", "keep_own": True, "cold": "zero"},
        {"projection": "mlp"},
        {"variant": "b"},
        {"variant": "b", "projection": "mlp"},
        {"variant": "c"},
    ],
)
@pytest.mark.parametrize("n_modalities", [1, 2])
def test_gradients_reach_every_parameter(n_modalities: int, keywords: dict[str, Any]) -> None:
    model = make(n_modalities, **keywords)
    model.losses(BATCH, view(n_modalities))["bpr"].backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().max() > 1e-6, name
    if model.settings.variant == "c":
        assert not model.theta.grad[3].any()  # type: ignore[index]  # user 3 is not in the batch


@pytest.mark.parametrize("variant", ["a", "c"])
def test_items_filled_with_zeros_give_no_exploding_gradient(variant: Any) -> None:
    model = LightGCNM(catalog(), dim=D, variant=variant)  # its biases are zero
    empty = ModalityView({m: x * torch.tensor(0.0) for m, x in view().features.items()}, view().mask, "empty")
    model.losses(BATCH, empty)["bpr"].backward()
    for p in model.projection.parameters():
        assert p.grad is not None and p.grad.abs().max() < 1


@pytest.mark.parametrize("variant", ["a", "b"])
def test_pca_is_fitted_once_to_the_view_of_training_and_never_trained(variant: Any) -> None:
    model = make(variant=variant, projection="pca")
    assert [name for name, _ in model.named_parameters() if "projection" in name] == []
    drawn = scores(model)
    model.start_epoch(0, view())
    fitted = {name: x.clone() for name, x in model.state_dict().items() if "projection" in name}
    assert len(fitted) == 4 and not torch.allclose(scores(model), drawn, atol=1e-3)
    raw = view().features["visual"]
    raw = F.normalize(raw) if variant == "b" else raw
    rows = raw[view().mask[:, 0]].double().numpy()
    leading = np.linalg.svd(rows - rows.mean(0))[2][0]
    weight = fitted["projection.maps.0.weight"][0].double().numpy()
    assert abs(weight @ leading) == pytest.approx(1, abs=1e-5)
    other = ModalityView({m: x + torch.randn_like(x) for m, x in view().features.items()}, view().mask, "other")
    model.start_epoch(1, other)
    assert all(torch.equal(model.state_dict()[name], x) for name, x in fitted.items())
    optimizer = model.configure_optimizers()
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_other_views_give_other_scores(variant: Any) -> None:
    model = make(variant=variant)
    other = ModalityView({m: -x for m, x in view().features.items()}, view().mask, "other")
    first = scores(model)
    assert not torch.allclose(model.score(torch.arange(N_USERS), other), first, atol=1e-3)
    assert torch.equal(scores(model), first)


def test_initialisation_of_the_ids() -> None:
    bound = (6 / (N_USERS + N_ITEMS + D)) ** 0.5
    assert LightGCNM(catalog(), dim=D).ego.abs().max() <= bound
    torch.manual_seed(0)
    assert LightGCNM(catalog(), dim=500, init="normal").ego.std().item() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"variant": "d"}, r"model\.variant must be one of a, b, c; got 'd'"),
        ({"projection": "cubic"}, r"model\.projection must be one of linear, mlp, pca"),
        ({"init": "zeros"}, r"model\.init must be one of xavier, normal"),
        ({"dim": 0}, r"model\.dim must be at least 1; got 0"),
        ({"n_layers": -1}, r"model\.n_layers must be at least 0"),
        ({"ego_l2": -1e-4}, r"model\.ego_l2 must be at least 0"),
        ({"content_l2": 0.5}, r"content_l2=0\.5 has no effect with model\.variant=a \(only with c\)"),
        ({"variant": "b", "keep_own": True}, r"keep_own=True has no effect with model\.variant=b \(only with a\)"),
        ({"variant": "b", "cold": "zero"}, r"model\.cold=zero has no effect with model\.variant=b"),
        ({"variant": "c", "block_norm": "none"}, r"model\.block_norm=none has no effect with model\.variant=c"),
        ({"variant": "c", "projection": "pca"}, r"projection=pca has no effect .*variant=c \(only with a and b\)"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LightGCNM(catalog(), **keywords)


@pytest.mark.parametrize("variant", ["a", "b", "c"])
def test_a_catalogue_without_modalities_is_refused(variant: Any) -> None:
    with pytest.raises(ConfigError, match=r"at least one modality; name some in dataset\.modalities"):
        LightGCNM(catalog(0), variant=variant)


def test_the_variants_of_the_yaml_build() -> None:
    for variant, batch_size in (("b", 2048), ("c", 1024)):
        own: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"lightgcn_m_{variant}.yaml"))
        assert own.pop("defaults") == ["lightgcn_m", "_self_"]
        settings = LightGCNM(catalog(), **own).settings
        assert settings.variant == variant
        assert settings.training == Training(batch_size=batch_size)
