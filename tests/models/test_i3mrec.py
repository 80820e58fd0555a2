"""I3-MRec against its equations in dense algebra, and what each switch changes."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.losses import loss_variance, squared_l2
from recmm.missing.view import ModalityView
from recmm.models.i3mrec import I3MRec
from recmm.models.training import Training
from recmm.nn.club import club_bound

InfoNCE = Callable[[Tensor, Tensor, float], Tensor]

CONF = Path(__file__).resolve().parents[2] / "conf"
DIMS = {"visual": 5, "textual": 3, "acoustic": 4}
N_USERS, N_ITEMS, D = 4, 6, 8
USERS = torch.tensor([0, 0, 1, 1, 2, 2, 3])
ITEMS = torch.tensor([0, 1, 1, 2, 0, 3, 4])  # item 5 is cold
BATCH = Pairs(torch.tensor([0, 1, 2, 3]), torch.tensor([0, 2, 3, 4]), torch.tensor([5, 0, 1, 1]))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def catalog(n_modalities: int = 2) -> Catalog:
    dims = dict(list(DIMS.items())[:n_modalities])
    ids = [str(n) for n in range(N_ITEMS)]
    return Catalog(N_USERS, N_ITEMS, dims, USERS, ITEMS, ids[:N_USERS], ids)


def view(n_modalities: int = 2) -> ModalityView:
    """Random features; item 1 lacks the first modality, item 5 the second, item 3 both, zeros in their place."""
    mask = torch.ones(N_ITEMS, n_modalities, dtype=torch.bool)
    mask[[1, 3], 0] = False
    mask[[3, 5], -1] = False
    generator = torch.Generator().manual_seed(1)
    features = {
        m: torch.randn(N_ITEMS, width, generator=generator) * mask[:, [k]]
        for k, (m, width) in enumerate(list(DIMS.items())[:n_modalities])
    }
    return ModalityView(features, mask, f"toy{n_modalities}")


def make(n_modalities: int = 2, **keywords: Any) -> I3MRec:
    """Weights that no initialisation makes special; without dropout unless asked for."""
    torch.manual_seed(2)
    model = I3MRec(catalog(n_modalities), **{"dim": D, "dropout": 0.0, **keywords})
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.5)
    return model


def dense_encoding(model: I3MRec, n_modalities: int = 2, norm0: bool = True) -> tuple[Tensor, Tensor]:
    """e^m of users [n_users, M, d] and items [n_items, M, d] by dense algebra."""
    adjacency = torch.zeros(N_USERS + N_ITEMS, N_USERS + N_ITEMS)
    adjacency[USERS, N_USERS + ITEMS] = 1
    adjacency += adjacency.T.clone()
    scale = adjacency.sum(1).clamp_min(1e-9).rsqrt() * (adjacency.sum(1) > 0)
    adjacency = scale[:, None] * adjacency * scale
    encoded = []
    for projector, x in zip(model.projectors, view(n_modalities).features.values(), strict=True):
        layer = torch.cat([model.user_table, F.normalize(x) @ projector.weight.T + projector.bias])
        layer = F.normalize(layer) if norm0 else layer
        layers = [layer]
        for _ in range(model.settings.n_layers):
            layers.append(adjacency @ layers[-1])
        encoded.append(torch.stack(layers).mean(0))
    return tuple(torch.stack(encoded, 1).split([N_USERS, N_ITEMS]))  # type: ignore[return-value]


def dense_z(model: I3MRec, items: Tensor, divisor: float = 2.0) -> Tensor:
    return (items.sum(1) / divisor @ model.fusion.weight.T).tanh()


# ---------------------------------------------------------------------- the equations


@pytest.mark.parametrize("n_modalities", [1, 2, 3])
def test_representation_in_dense_algebra(n_modalities: int) -> None:
    model = make(n_modalities)
    users, items = model.represent(view(n_modalities))
    e_u, e_i = dense_encoding(model, n_modalities)
    assert torch.allclose(users, model.user_table + e_u.mean(1), atol=1e-6)
    assert torch.allclose(items, dense_z(model, e_i, n_modalities), atol=1e-6)


@pytest.mark.parametrize("kind", ["sum", "modality"])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_environment_scores_and_losses_by_hand(kind: str, reduce: str) -> None:
    model = make(irm={"user": kind, "reduce": reduce}, delta=7.0)
    e_u, e_i = dense_encoding(model)
    losses = []
    for m in range(2):
        user = e_u[:, m] + (model.user_table if kind == "sum" else 0)
        margins = torch.stack([user[u] @ (e_i[i, m] - e_i[j, m]) for u, i, j in zip(*BATCH[:3], strict=True)])
        losses.append(F.softplus(-margins).mean())
    terms = model.losses(BATCH, view())
    expected = sum(losses) if reduce == "sum" else sum(losses) / 2
    assert torch.allclose(terms["environments"], torch.as_tensor(expected), atol=1e-6)
    assert torch.allclose(terms["invariance"], 7 * (losses[0] - losses[1]).square() / 2, atol=1e-6)


def test_without_penalties_only_environments_and_ranking_are_left() -> None:
    model = make(alpha=0.0, beta=0.0, delta=0.0, final_l2=0.0)
    terms = model.losses(BATCH, view())
    assert set(terms) == {"environments", "ranking"}
    e_u, e_i = dense_encoding(model)
    user, z = (model.user_table + e_u.mean(1))[BATCH.users], dense_z(model, e_i)
    margins = (user * (z[BATCH.positives] - z[BATCH.negatives])).sum(1)
    assert torch.allclose(terms["ranking"], F.softplus(-margins).mean(), atol=1e-6)


def test_final_l2_is_halved_and_divided_by_the_configured_batch_size() -> None:
    model = make(final_l2=0.3, training=Training(batch_size=10))
    e_u, e_i = dense_encoding(model)
    user, z = (model.user_table + e_u.mean(1))[BATCH.users], dense_z(model, e_i)
    expected = 0.3 * squared_l2(user, z[BATCH.positives], z[BATCH.negatives], batch_size=10)
    assert torch.allclose(model.losses(BATCH, view())["final_l2"], expected, atol=1e-6)


@pytest.mark.parametrize("n_modalities", [2, 3])
def test_consistency_is_the_sum_over_ordered_pairs_of_masks(n_modalities: int, info_nce: InfoNCE) -> None:
    model = make(n_modalities, alpha=0.5)
    repeated = Pairs(*(torch.cat([x, x[:2]]) for x in BATCH))
    _, e_i = dense_encoding(model, n_modalities)
    views = [
        dense_z(model, e_i[BATCH.positives] * mask[:, None], n_modalities)  # always divided by M
        for mask in torch.tensor([[n >> k & 1 for k in range(n_modalities)] for n in range(1, 2**n_modalities)])
    ]
    total = sum(info_nce(a, b, 0.4) for a, b in permutations(views, 2))
    assert len(views) == {2: 3, 3: 7}[n_modalities]
    expected = torch.as_tensor(0.5 * 7 / 6 * total)
    assert torch.allclose(model.losses(repeated, view(n_modalities))["consistency"], expected, rtol=1e-4)


# ---------------------------------------------------------------------- where gradients flow


def gradient(model: I3MRec, term: str, parameter: Tensor) -> Tensor | None:
    return torch.autograd.grad(model.losses(BATCH, view())[term], parameter, allow_unused=True)[0]


def test_ranking_loss_reaches_the_projectors_through_the_user_only() -> None:
    model = make()
    weight = model.projectors[0].weight
    e_u, e_i = dense_encoding(model)
    user, z = (model.user_table + e_u.mean(1))[BATCH.users], dense_z(model, e_i.detach())
    by_hand = F.softplus((user * (z[BATCH.negatives] - z[BATCH.positives])).sum(1)).mean()
    assert torch.allclose(gradient(model, "ranking", weight), torch.autograd.grad(by_hand, weight)[0], atol=1e-6)
    ids = make(rec_user="id")
    assert gradient(ids, "ranking", ids.projectors[0].weight) is None
    assert gradient(ids, "ranking", ids.fusion.weight).any()
    attached = make(rec_user="id", fusion_detach=False)
    assert gradient(attached, "ranking", attached.projectors[0].weight).any()


@pytest.mark.parametrize("term", ["consistency", "compression"])
def test_the_bottleneck_trains_the_fusion_alone(term: str) -> None:
    model = make()
    assert gradient(model, term, model.fusion.weight).any()
    for parameter in (model.user_table, *model.projectors.parameters(), *model.conditionals.parameters()):
        assert gradient(model, term, parameter) is None
    attached = make(fusion_detach=False)
    assert gradient(attached, term, attached.projectors[0].weight).any()


def test_the_conditionals_belong_to_the_main_optimiser_only_if_asked() -> None:
    apart, joint = make(), make(club={"in_main": True})
    assert {id(p) for p in apart.main_parameters()} == {
        id(p) for name, p in apart.named_parameters() if not name.startswith("conditionals.")
    }
    assert {id(p) for p in joint.main_parameters()} == {id(p) for p in joint.parameters()}
    gradients = [gradient(joint, "compression", p) for p in joint.conditionals.parameters()]
    assert all(g is not None for g in gradients)
    assert any(g.any() for g in gradients)


# ---------------------------------------------------------------------- few and many modalities


def test_one_modality_has_no_variance_and_no_pairs() -> None:
    terms = make(1).losses(BATCH, view(1))
    assert terms["invariance"] == 0
    assert terms["consistency"] == 0
    assert all(term.isfinite() for term in terms.values())
    assert make(1, irm={"penalty": "gradient_variance"}).losses(BATCH, view(1))["invariance"] == 0


def test_no_modality_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one modality"):
        make(0)


# ---------------------------------------------------------------------- the switches, in the order of the equations


def test_projection_may_be_activated() -> None:
    for ours, linear in zip(make(proj_act="leaky").project(view()), make().project(view()), strict=True):
        assert torch.equal(ours, F.leaky_relu(linear))


def test_layer0_may_stay_unnormalised() -> None:
    model = make(norm0=False)
    e_u, e_i = dense_encoding(model, norm0=False)
    assert torch.allclose(model.encode(view()), torch.cat([e_u, e_i]).flatten(1), atol=1e-5)


def test_penalties_of_eq_8() -> None:
    def environments(model: I3MRec) -> Tensor:
        e_u, e_i = dense_encoding(model)
        u = (model.user_table[:, None] + e_u)[BATCH.users]
        return F.softplus(-(u * (e_i[BATCH.positives] - e_i[BATCH.negatives])).sum(2)).mean(0)

    rex = make(delta=2.0)
    assert torch.allclose(rex.losses(BATCH, view())["invariance"], 2 * loss_variance(environments(rex)), atol=1e-6)
    gradients = make(irm={"penalty": "gradient_variance"}, delta=2.0)
    losses = environments(gradients)
    a, b = (torch.autograd.grad(loss, gradients.user_table, retain_graph=True)[0] for loss in losses)
    expected = 2 * ((a - b) / 2).square().square().sum() * N_USERS * D
    penalty = gradients.losses(BATCH, view())["invariance"]
    assert torch.allclose(penalty, expected, rtol=1e-3)
    assert torch.autograd.grad(penalty, gradients.user_table)[0].any()  # second order
    assert not {"environments", "invariance"} & set(make(irm={"enabled": False}).losses(BATCH, view()))


def test_masks_may_be_sampled(info_nce: InfoNCE) -> None:
    model = make(masks={"n_sampled": 2}, alpha=1.0)
    _, e_i = dense_encoding(model)
    views = [dense_z(model, e_i[BATCH.positives] * torch.tensor(c)[:, None]) for c in ([1, 0], [0, 1], [1, 1])]
    # a mean over the pairs taken, at the weight of all six: sampling changes no scale
    pairs = [
        7 / 2 * (info_nce(views[a], views[b], 0.4) + info_nce(views[b], views[a], 0.4)).item()
        for a, b in [(0, 1), (0, 2), (1, 2)]
    ]
    drawn = {round(model.losses(BATCH, view())["consistency"].item(), 3) for _ in range(30)}
    assert drawn == {round(value, 3) for value in pairs}


def test_the_fusion_may_read_the_modalities_side_by_side() -> None:
    model = make(fusion_in="concat")
    assert model.fusion.weight.shape == (D, 2 * D)
    _, e_i = dense_encoding(model)
    expected = (e_i.flatten(1) @ model.fusion.weight.T).tanh()
    assert torch.allclose(model.represent(view()).items, expected, atol=1e-6)


def test_scale_pairs_and_negatives_of_eq_13() -> None:
    def value(temperature: float = 0.4, **masks: Any) -> float:
        model = make(alpha=1.0, temperature=temperature, masks=masks)
        return model.losses(BATCH, view())["consistency"].item()

    printed = value(scale="sum")
    assert value(scale="code") == pytest.approx(7 / 6 * printed)
    assert value(scale="mean") == pytest.approx(7 / 6 * printed)  # six of six pairs
    unordered = value(scale="sum", pairs="unordered")
    assert unordered < printed
    assert value(scale="mean", pairs="unordered") == pytest.approx(7 / 6 * 2 * unordered)
    assert value(negatives="intra") != pytest.approx(value(negatives="cross"))
    assert value(temperature=0.1) != pytest.approx(value())


def test_repeated_items_count_once_or_as_often_as_they_stand() -> None:
    repeated = Pairs(*(torch.cat([x, x[:2]]) for x in BATCH))
    unique, kept = make(), make(masks={"unique": False})
    assert torch.allclose(*(unique.losses(b, view())["consistency"] for b in (BATCH, repeated)))
    assert not torch.allclose(*(kept.losses(b, view())["consistency"] for b in (BATCH, repeated)))


def test_compression_is_the_mean_of_the_bounds_of_the_raw_features() -> None:
    assert make(beta=0.0).conditionals is None
    model = make(beta=0.5, club={"visible_only": False})
    assert [network.mean[0].in_features for network in model.conditionals.networks] == [5, 3]
    _, e_i = dense_encoding(model)
    z = dense_z(model, e_i)[BATCH.positives].sigmoid()
    torch.manual_seed(7)
    bounds = [
        club_bound(network(F.normalize(x)[BATCH.positives].sigmoid()), z, torch.randperm(4))
        for network, x in zip(model.conditionals.networks, view().features.values(), strict=True)
    ]
    torch.manual_seed(7)
    assert torch.allclose(model.losses(BATCH, view())["compression"], 0.5 * torch.stack(bounds).mean(), atol=1e-6)


@pytest.mark.parametrize("target", ["z", "proj"])
def test_what_the_conditionals_are_fitted_to(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    model = make(club={"target": target, "visible_only": False}, dropout=0.5)
    seen: list[Any] = []
    monkeypatch.setattr(model.conditionals, "fit", lambda *given: seen.extend(given))
    model.start_epoch(0, view())
    conditions, targets = seen
    _, e_i = dense_encoding(model)
    expected = [dense_z(model, e_i)] * 2 if target == "z" else model.project(view())
    for c, raw, t, wanted in zip(conditions, model.prepare(view()), targets, expected, strict=True):
        assert torch.equal(c, raw)
        assert torch.allclose(t, wanted, atol=1e-6)
        assert not t.requires_grad


def test_items_without_a_modality_stay_out_of_its_bound() -> None:
    model, z = make(), torch.randn(4, D)
    conditions, targets = model.conditioned(view(), BATCH.positives, [z, z])  # items 0, 2, 3, 4; 3 lacks both
    for c, raw, t in zip(conditions, model.prepare(view()), targets, strict=True):
        assert torch.equal(c, raw[torch.tensor([0, 2, 4])])
        assert torch.equal(t, z[[0, 1, 3]])
    conditions, _ = make(club={"visible_only": False}).conditioned(view(), BATCH.positives, [z, z])
    assert [len(c) for c in conditions] == [4, 4]


def test_what_an_item_lacks_starts_as_the_unit_bias() -> None:
    model = make()
    cold = N_USERS + 5  # without neighbours, so that only layer 0 is left of the mean over four
    bias = F.normalize(model.projectors[1].bias, dim=0)
    assert torch.allclose(model.by_modality(model.encode(view()))[cold, 1], bias / 4, atol=1e-6)


def test_zero_rows_stay_zero_and_others_get_unit_length() -> None:
    for raw, visible in zip(make().prepare(view()), view().mask.unbind(1), strict=True):
        assert torch.allclose(raw.norm(dim=1), visible.float(), atol=1e-6)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"irm": {"penalty": "rex"}},
            "model.irm.penalty must be one of loss_variance, gradient_variance; got 'rex'",
        ),
        ({"alpha": -1.0}, "model.alpha must be at least 0"),
        ({"masks": {"n_sampled": 1}}, "model.masks.n_sampled must be at least 2; got 1"),
        ({"temperature": 0.0}, "model.temperature must be positive"),
        ({"dropout": 1.0}, r"model.dropout must be in \[0, 1\)"),
        (
            {"club": {"aim": "z"}},
            "model.club.aim: Club takes no keyword 'aim'.*Valid: in_main, plateau, target, visible_only",
        ),
    ],
)
def test_values_outside_their_range_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)


# ---------------------------------------------------------------------- epochs and checkpoints


def test_an_epoch_replays_to_the_same_numbers_from_a_saved_state() -> None:
    def epoch(model: I3MRec) -> dict[str, Tensor]:
        torch.manual_seed(5)
        model.start_epoch(1, view())
        return model.losses(BATCH, view())

    model = make(dropout=0.5, beta=1.0, club={"plateau": True})
    model.start_epoch(0, view())
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {name: part.state_dict() for name, part in model.side_optimizers().items()}
    assert set(parts) == {"conditionals.adam", "conditionals.plateau"}
    adam = parts["conditionals.adam"]
    adam["state"] = {k: {n: v.clone() for n, v in s.items()} for k, s in adam["state"].items()}
    first = epoch(model)
    again = make(dropout=0.5, beta=1.0, club={"plateau": True})
    again.load_state_dict(weights)
    for name, part in again.side_optimizers().items():
        part.load_state_dict(parts[name])
    second = epoch(again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    forgetful = make(dropout=0.5, beta=1.0, club={"plateau": True})
    forgetful.load_state_dict(weights)
    assert not torch.equal(epoch(forgetful)["compression"], first["compression"])  # Adam's moments count


def test_fitting_the_conditionals_changes_nothing_else() -> None:
    model = make()
    before = {name: p.clone() for name, p in model.named_parameters()}
    model.start_epoch(0, view())
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.startswith("conditionals.") for name in changed)
    assert all(p.grad is None for p in model.parameters())


# ---------------------------------------------------------------------- the YAML files


def settings(path: Path) -> dict[str, Any]:
    return OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["code", "paper", "irm_only", "ib_only", "without_compression"])
def test_variants_build_and_differ_from_the_recommended_profile(name: str) -> None:
    written = settings(CONF / "model" / f"i3mrec_{name}.yaml")
    assert written.pop("defaults") == ["i3mrec", "_self_"]
    defaults = I3MRec.Settings().model_dump()
    for key, value in written.items():
        here = {key: value} if not isinstance(value, dict) else value
        base = defaults if not isinstance(value, dict) else defaults[key]
        assert all(base[inner] != changed for inner, changed in here.items())
    model = I3MRec(catalog(), **written)
    terms = model.losses(BATCH, view())
    absent = {
        "irm_only": {"consistency", "compression"},
        "ib_only": {"environments", "invariance"},
        "without_compression": {"compression"},
        "paper": {"final_l2"},
    }
    everything = {"environments", "invariance", "ranking", "consistency", "compression", "final_l2"}
    assert set(terms) == everything - absent.get(name, set())
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None for p in model.main_parameters())


@pytest.mark.parametrize("dataset", ["tiktok", "tiktok_va", "baby", "baby_lattice", "clothing"])
@pytest.mark.parametrize("profile", ["code", "paper"])
def test_published_settings(profile: str, dataset: str) -> None:
    path = CONF / "settings" / f"i3mrec_{profile}_{dataset}.yaml"
    assert path.read_text(encoding="utf-8").startswith("# @package _global_\n")
    written = settings(path)
    assert written["settings_source"] == "published"
    values = written["model"]
    published = {  # alpha, beta, delta
        ("paper", "baby"): (1e-3, 1e-5, 300),
        ("paper", "clothing"): (1e-2, 1e-3, 1),
        ("paper", "tiktok"): (1e-3, 1e-6, 1000),
        ("code", "baby"): (1e-3, 1e-5, 300),
        ("code", "clothing"): (1e-2, 1e-6, 1),
        ("code", "tiktok"): (1e-3, 1e-5, 100),
    }[profile, dataset.split("_", maxsplit=1)[0]]
    assert (values["alpha"], values["beta"], values["delta"]) == published
    assert values.keys() <= I3MRec.Settings.model_fields.keys()
    if profile == "code":
        step = 1e-2 if dataset == "clothing" else 1e-3
        assert (values["final_l2"], values["training"]["lr"]) == (step, step)


def test_the_recommended_profile_has_no_values_by_dataset_but_is_marked_where_its_defaults_are_published() -> None:
    own = [
        path for path in (CONF / "settings").glob("i3mrec_*.yaml") if path.stem.split("_")[1] not in ("code", "paper")
    ]
    assert {path.stem for path in own} == {"i3mrec_tiktok", "i3mrec_tiktok_va"}
    for path in own:
        published = OmegaConf.load(CONF / "settings" / f"i3mrec_code_{path.stem.removeprefix('i3mrec_')}.yaml").model
        assert OmegaConf.load(path) == {"settings_source": "published"}
        defaults = OmegaConf.load(CONF / "model" / "i3mrec.yaml")
        assert all(defaults[key] == published[key] for key in ("alpha", "beta", "delta", "final_l2"))
