"""DGMRec against NumPy, term by term; what is generated, from what, and for whom; the limits; the released profile."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recmm.data.batches import Pairs
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.dgmrec import DGMRec
from recmm.models.lightgcn import LightGCN
from tests.models.toys import (
    DIMS,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_views_apart,
    randomised,
    total,
    toy_view,
)

BATCH = Pairs(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 3, 0]), torch.tensor([5, 0, 1, 8]))
RELEASED: dict[str, Any] = {
    "contrast_unique": False,
    "generate": "single",
    "matched_inputs": False,
    "predict_refreshed": False,
}


def make(dims: dict[str, int] = DIMS, **keywords: Any) -> DGMRec:
    """Weights that no initialisation makes special, all terms of a size that counts, and no chance in any of them."""
    torch.manual_seed(2)
    weights = dict.fromkeys(("inter", "intra", "align", "club", "reconstruction", "generation", "id_norm"), 0.3)
    chosen = {"dim": 6, "k": 4, "noise": 0.0, "sampled_items": None, **weights, **keywords}
    return randomised(DGMRec(catalog(dims), **chosen))


# ---------------------------------------------------------------------- the method in NumPy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def run(layer: Any, x: np.ndarray) -> np.ndarray:
    """A layer, or layers with a tanh between them."""
    for part in layer if isinstance(layer, nn.Sequential) else [layer]:
        bias = 0 if getattr(part, "bias", None) is None else part.bias.detach().double().numpy()
        x = np.tanh(x) if isinstance(part, nn.Tanh) else x @ part.weight.detach().double().numpy().T + bias
    return x


def interactions() -> tuple[np.ndarray, np.ndarray]:
    """D_U^-1 R and D_V^-1 R^T."""
    r = np.zeros((N_USERS, N_ITEMS))
    r[USERS, ITEMS] = 1
    return r / np.maximum(r.sum(1, keepdims=True), 1), r.T / np.maximum(r.sum(0)[:, None], 1)


def knn(x: np.ndarray, visible: np.ndarray, k: int, eta: float) -> np.ndarray:
    """S of one modality: hidden items are nobody's neighbours; eta of their rows goes to their k - 1 nearest."""
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    s = np.eye(len(x))
    for i in range(len(x)):
        cosines = np.where(visible, unit @ unit[i], -2)
        nearest = np.argsort(-cosines)[: k if visible[i] else k - 1]
        s[i, nearest] = np.maximum(cosines[nearest], 0)
        s[i, i] = 1
    s = s / np.sqrt(np.outer(s.sum(1), s.sum(1)))
    s[~visible] = eta * s[~visible] + (1 - eta) * np.eye(len(x))[~visible]
    return s


class Reference:
    """All quantities of a model under a view, every one computed in the plainest way."""

    def __init__(self, model: DGMRec, view: ModalityView, eta: float) -> None:
        s, mask = model.settings, view.mask.numpy()
        q, p = interactions()
        u, v = (part.detach().double().numpy() for part in model.of_nodes(model.ego))
        given = [x.double().numpy() for x in view.features.values()]
        n_m = len(given)
        self.phi = [p @ np.tanh(run(f, u)) for f in model.filters]
        g, _ = self.halves(model, given)
        source = []
        for m in range(n_m):  # what is hidden is lent by the other items of an item's users
            two_hops = (p @ q) * mask[:, m]
            weights = two_hops.sum(1, keepdims=True)
            lent = np.where(weights > 0, two_hops @ g[m] / np.maximum(weights, 1e-30), g[m][mask[:, m]].mean(0))
            source.append(np.where(mask[:, [m]], g[m], lent))
        self.source = source
        self.x = []
        for m in range(n_m):
            others = [source[n] for n in range(n_m) if n != m]
            general = run(model.translators[m], np.hstack(others)) if others else source[m]
            made = run(model.decoders[m], np.hstack([general, run(model.generators[m], self.phi[m])]))
            replaced = ~mask[:, m] & ((s.generate == "all") | ((~mask).sum(1) == 1))
            self.x.append(np.where(replaced[:, None], made, given[m]))
        self.g, self.s = self.halves(model, self.x)
        self.general: list[np.ndarray] = []
        self.specific: list[np.ndarray] = []
        for m in range(n_m):
            graph = knn(self.x[m], mask[:, m], s.k, eta)
            power = np.linalg.matrix_power(graph, s.n_item_layers)
            for parts, half in ((self.general, self.g[m]), (self.specific, self.s[m])):
                items = power @ (self.phi[m] * half)
                parts.append(np.vstack([q @ items, items]))
        a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
        a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
        d = np.maximum(a.sum(1), 1)
        a = a / np.sqrt(np.outer(d, d))
        layers = [np.linalg.matrix_power(a, n) @ np.vstack([u, v]) for n in range(s.n_layers + 1)]
        self.ids = sum(layers) / len(layers)
        self.final = self.ids + (sum(self.general) / n_m + sum(self.specific)) / (n_m + 1)

    def halves(self, model: DGMRec, x: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        g = [sigmoid(run(model.shared, np.tanh(run(w, part)))) for w, part in zip(model.projectors, x, strict=True)]
        return g, [sigmoid(run(w, part)) for w, part in zip(model.own, x, strict=True)]


def info_nce(a: np.ndarray, b: np.ndarray, positives: list[int], t: float) -> float:
    """Candidates are the rows of b."""
    cosines = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T / t
    return float(np.mean([np.log(np.exp(row).sum()) - row[j] for row, j in zip(cosines, positives, strict=True)]))


def reference_terms(model: DGMRec, view: ModalityView) -> dict[str, float]:
    s, mask, x = model.settings, view.mask.numpy(), Reference(model, view, model.settings.refresh)
    t1, t2, t3 = s.temperature_general, s.temperature_specific, s.temperature_align
    u, i, j = (part.numpy() for part in BATCH[:3])
    rows, n_m = (u, N_USERS + i, N_USERS + j), len(x.x)
    f_u, f_i, f_j = (x.final[part] for part in rows)
    seen = np.unique([*i, *j])
    terms = {
        "bpr": np.log1p(np.exp((f_u * (f_j - f_i)).sum(1))).mean(),
        "id_norm": sum(np.linalg.norm(x.ids[part]) for part in rows) / 4,
        "content_norm": sum(np.linalg.norm((a + b)[rows[1]]) for a, b in zip(x.general, x.specific, strict=True)) / 4,
    }
    users, items = (list(ids) if not s.contrast_unique else sorted(set(ids)) for ids in (u, i))
    place = list(range(4)) if not s.contrast_unique else [items.index(item) for item in i]
    nodes = N_USERS + np.array(items)
    every = list(range(len(items))), list(range(len(users)))
    g = sum(x.general)
    terms["intra"] = info_nce(x.ids[u], x.ids[nodes], place, t2) + info_nce(g[u], g[nodes], place, t1)
    terms["intra"] += sum(info_nce(z[u], z[nodes], place, t2) for z in x.specific)
    terms["align"] = info_nce(x.ids[nodes], g[nodes], every[0], t3) + info_nce(x.ids[users], g[users], every[1], t3)
    terms["inter"] = 0.0
    for m, n in combinations(range(n_m), 2):
        both = [item for item in seen if mask[item, m] and mask[item, n]]
        terms["inter"] += info_nce(x.g[m][both], x.g[n][both], list(range(len(both))), t1)
        terms["inter"] += info_nce(x.general[m][users], x.general[n][users], every[1], t1)
    if n_m == 1:
        del terms["inter"]
    terms["club"] = terms["reconstruction"] = terms["generation"] = 0.0
    torch.manual_seed(7)
    assert model.conditionals is not None
    for m in range(n_m):
        a, b = (part[m][N_USERS:] for part in (x.general, x.specific))
        mean, log_variance = (
            part.detach().double().numpy() for part in model.conditionals.networks[m](torch.tensor(b).float())
        )
        other = a[torch.randperm(N_ITEMS).numpy()]
        terms["club"] += (((mean - other) ** 2 - (mean - a) ** 2) / np.exp(log_variance)).sum(1).mean() / 2
        shown = mask[:, m]
        halves = np.hstack([x.g[m], x.s[m]] if s.matched_inputs else [a, b])[shown]
        terms["reconstruction"] += ((run(model.decoders[m], halves) - x.x[m][shown]) ** 2).mean()
        have = np.array([item for item in seen if mask[item, m]])
        error = (run(model.generators[m], x.phi[m][have]) - x.s[m][have]) ** 2
        if n_m > 1:
            source = x.source if s.matched_inputs else [part[N_USERS:] for part in x.general]
            target = x.g[m] if s.matched_inputs else a
            others = np.hstack([source[n][have] for n in range(n_m) if n != m])
            error = error + (run(model.translators[m], others) - target[have]) ** 2
        terms["generation"] += error.mean()
    return {name: getattr(s, name, 1.0) * float(value) for name, value in terms.items()}


def three_modalities() -> ModalityView:
    """Like ``toy_view``; of the third modality items 2 and 5 have nothing."""
    view = toy_view()
    x = torch.randn(N_ITEMS, 4, generator=torch.Generator().manual_seed(5))
    shown = torch.ones(N_ITEMS, 1, dtype=torch.bool)
    shown[[2, 5]] = False
    return ModalityView({**view.features, "acoustic": x * shown}, torch.cat([view.mask, shown], 1), "three")


def one_modality() -> ModalityView:
    view = toy_view()
    return ModalityView({"visual": view.features["visual"]}, view.mask[:, :1], "one")


VIEWS: dict[str, Callable[[], ModalityView]] = {"two": toy_view, "three": three_modalities, "one": one_modality}


@pytest.mark.parametrize("kind", VIEWS)
@pytest.mark.parametrize(
    "profile", [{}, RELEASED, {"refresh": 0.0, "n_item_layers": 1}], ids=["fixed", "code", "still"]
)
def test_scores_and_every_term_in_numpy(kind: str, profile: dict[str, Any]) -> None:
    view = VIEWS[kind]()
    model = make({m: x.shape[1] for m, x in view.features.items()}, **profile)
    expected = Reference(model, view, model.settings.refresh if model.settings.predict_refreshed else 0.0).final
    scores = model.score(torch.arange(N_USERS), view).detach()
    np.testing.assert_allclose(scores.numpy(), expected[:N_USERS] @ expected[N_USERS:].T, rtol=2e-4, atol=2e-4)
    torch.manual_seed(7)
    terms = {name: term.item() for name, term in model.losses(BATCH, view).items()}
    assert terms == pytest.approx(reference_terms(model, view), rel=2e-4, abs=2e-5)


# ---------------------------------------------------------------------- generation


def test_only_what_is_missing_is_generated_and_for_everybody() -> None:
    model, view = make(), toy_view()
    completed = model.complete(view).view
    for x, made, visible in zip(view.features.values(), completed.features.values(), view.mask.T, strict=True):
        assert torch.equal(x[visible], made[visible])
        assert (x[~visible] != made[~visible]).any(1).all()
    released = make(generate="single").complete(view).view
    for x, made in zip(view.features.values(), released.features.values(), strict=True):
        assert torch.equal(x[5], made[5])  # it lacks both
    assert not torch.equal(released.features["visual"][1], view.features["visual"][1])


def test_what_stands_in_for_missing_entries_is_read_nowhere() -> None:
    view = toy_view()
    filled = {
        m: torch.where(visible[:, None], x, 7.0)
        for (m, x), visible in zip(view.features.items(), view.mask.T, strict=True)
    }
    other = ModalityView(filled, view.mask, "filled")
    results = []
    for shown in (view, other):
        model = make()
        model.start_epoch(0, shown)
        torch.manual_seed(7)
        results.append((model.losses(BATCH, shown), model.score(torch.arange(N_USERS), shown)))
    (terms, scores), (filled_terms, filled_scores) = results
    assert all(torch.equal(term, filled_terms[name]) for name, term in terms.items()) and torch.equal(
        scores, filled_scores
    )


def test_complete_data_are_left_as_they_are() -> None:
    view = toy_view()
    full = ModalityView(view.features, torch.ones_like(view.mask), "full")
    completed = make().complete(full)
    assert all(map(torch.equal, completed.view.features.values(), view.features.values()))
    first = make().complete(full, refreshed=False)
    assert all(torch.equal(a.values, b.values) for a, b in zip(completed.graphs, first.graphs, strict=True))


def test_an_epoch_keeps_what_it_generated_and_searches_neighbours_when_it_is_time() -> None:
    model, view = make(refresh_every=2), toy_view()
    found, made = [], []
    for epoch in range(3):
        model.start_epoch(epoch, view)
        found.append(model.graphs.neighbours[0])
        made.append(model._completed[view.digest].view.features["visual"][1])
        before = model.losses(BATCH, view)["bpr"]
        with torch.no_grad():
            for p in model.decoders.parameters():
                p.copy_(torch.randn_like(p))
        assert torch.equal(model.losses(BATCH, view)["bpr"], before)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[1], found[2])
    assert not torch.equal(made[0], made[1])
    twin = make()
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.score(torch.arange(N_USERS), view), model.score(torch.arange(N_USERS), view))


def test_a_view_is_completed_from_itself() -> None:
    model = make()
    model.start_epoch(0, toy_view())
    check_views_apart(model)


# ---------------------------------------------------------------------- gradients


def gradients(model: DGMRec, term: str) -> set[str]:
    """First parts of the names of what a term trains."""
    model.losses(BATCH, toy_view())[term].backward()
    return {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("trainable", [False, True])
def test_every_parameter_is_reached_and_hidden_rows_are_not(trainable: bool) -> None:
    model = make(trainable_features=trainable, fixed_targets=False)
    terms = model.losses(BATCH, toy_view())
    total(terms).backward()
    for name, p in model.named_parameters():
        apart = name.startswith("conditionals")
        assert (p.grad is None) if apart else (p.grad is not None and p.grad.isfinite().all() and p.grad.any()), name
    for offset, visible in zip(model.raw.offsets, toy_view().mask.T, strict=False):
        assert offset.grad is not None and not offset.grad[~visible].any()


def test_targets_are_constants_unless_they_are_released() -> None:
    assert gradients(make(), "reconstruction") == {"decoders"}
    inputs = {"ego", "filters", "generators", "translators", "projectors", "shared"}  # T's input is g
    assert gradients(make(), "generation") == inputs
    assert gradients(make(fixed_targets=False), "generation") == inputs | {"own"}
    assert gradients(make(fixed_targets=False, trainable_features=True), "reconstruction") == {"decoders", "raw"}


def test_club_moves_both_halves_and_its_networks_fit_themselves() -> None:
    model = make()
    assert {"projectors", "own"} <= gradients(model, "club")
    assert model.conditionals is not None
    before = [p.clone() for p in model.conditionals.parameters()]
    model.start_epoch(1, toy_view())
    assert not all(map(torch.equal, before, model.conditionals.parameters()))
    assert make(club=0.0).conditionals is None


# ---------------------------------------------------------------------- limits


def test_without_preferences_and_weights_it_is_light_gcn() -> None:
    weights = ("inter", "intra", "align", "club", "reconstruction", "generation", "id_norm", "content_norm")
    model, view = make(**dict.fromkeys(weights, 0.0)), toy_view()
    with torch.no_grad():
        for project in model.filters:
            project.weight.zero_()
        base = LightGCN(catalog(), dim=6, n_layers=3, ego_l2=0.0)
        base.ego.copy_(model.ego)
    users = torch.arange(N_USERS)
    assert torch.equal(model.score(users, view), base.score(users, view))
    assert torch.equal(total(model.losses(BATCH, view)), total(base.losses(BATCH, view)))


def test_general_halves_are_averaged_and_specific_ones_added() -> None:
    model, general, specific = make({**DIMS, "acoustic": 4}), torch.full((5, 3, 1), 6.0), torch.full((5, 3, 1), 2.0)
    final = model.final(torch.ones(5, 1), torch.stack([general, specific], 2))
    torch.testing.assert_close(final, torch.full((5, 1), 1 + (6 + 3 * 2) / 4))


@pytest.mark.parametrize("hidden", [[0], [0, 1]])
def test_a_modality_that_nobody_shows(hidden: list[int]) -> None:
    view = toy_view()
    mask = view.mask.clone()
    mask[:, hidden] = False
    model, blind = make(noise=0.1), ModalityView(view.features, mask, "blind")
    model.start_epoch(0, blind)
    terms = model.losses(BATCH, blind)
    total(terms).backward()
    assert (
        all(term.isfinite() for term in terms.values()) and model.score(torch.arange(N_USERS), blind).isfinite().all()
    )
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_samples_and_noise_are_drawn_anew() -> None:
    view = toy_view()
    model = make(noise=0.1, sampled_items=3, club=0.0)
    check_finite_step(model, BATCH, view)
    torch.manual_seed(0)
    first, second = (model.losses(BATCH, view) for _ in range(2))
    assert first["reconstruction"] != second["reconstruction"] and first["generation"] != second["generation"]
    assert first["intra"] == second["intra"]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"refresh": 1.1}, r"model\.refresh must be in \[0, 1\]; got 1\.1"),
        ({"generate": "some"}, r"model\.generate must be one of all, single; got 'some'"),
        ({"sampled_items": 1}, r"model\.sampled_items must be at least 2; got 1"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)


def test_tensors_of_a_batch_that_repeats_itself() -> None:
    """Of users 0, 1, 2, 2 and items 0, 1, 3, 0 the last ones are no candidates of their own."""
    rows, place = make().candidates(BATCH.positives)
    assert rows.tolist() == [0, 1, 2] and place.tolist() == [0, 1, 2, 0]
    repeated: tuple[Tensor, Tensor] = make(contrast_unique=False).candidates(BATCH.positives)
    assert [part.tolist() for part in repeated] == [[0, 1, 2, 3]] * 2
