"""VBPR by hand, what it projects when, and what reaches which parameter."""

import math
from typing import Any

import pytest
import torch

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.vbpr import VBPR

DIMS = {"visual": 2, "textual": 1}
FEATURES = {
    "visual": torch.tensor([[1.0, 0], [2, 5], [0, 1], [3, 3]]),
    "textual": torch.tensor([[0.1], [0.2], [0.0], [0.3]]),
}
USERS = torch.arange(3)
BATCH = Pairs(torch.tensor([0, 1]), torch.tensor([1, 1]), torch.tensor([2, 3]))  # neither user 2 nor item 0


def catalog(*modalities: str) -> Catalog:
    pairs = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    return Catalog(3, 4, {m: DIMS[m] for m in modalities}, *pairs, list("abc"), list("pqrs"))


def view(*modalities: str, visible: Any = True) -> ModalityView:
    """Zeros where ``visible`` (bool, broadcast to [4, M]) is false."""
    mask = torch.ones(4, len(modalities), dtype=torch.bool) & torch.as_tensor(visible)
    return ModalityView({m: FEATURES[m] * mask[:, [k]] for k, m in enumerate(modalities)}, mask, str(mask.tolist()))


def by_hand(**keywords: Any) -> VBPR:
    """One own factor and one of content; E reads the first visual value and ten times the textual one."""
    model = VBPR(catalog(*DIMS), dim=1, content_dim=1, **keywords)
    with torch.no_grad():
        model.users.copy_(torch.tensor([[1.0, 2], [0, 1], [3, -1]]))
        model.items.copy_(torch.tensor([[1.0], [2], [0], [-1]]))
        model.projection.weight[0] = torch.tensor([1.0, 0, 10])
        model.projection.bias[0] = 0.5
    return model


CONTENT = torch.tensor([2.5, 4.5, 0.5, 6.5])


def test_scores_and_losses_by_hand() -> None:
    model = by_hand(frobenius=0.3)
    scores = model.score(USERS, view(*DIMS))
    expected = torch.outer(torch.tensor([1.0, 0, 3]), torch.tensor([1.0, 2, 0, -1]))
    expected += torch.outer(torch.tensor([2.0, 1, -1]), CONTENT)
    torch.testing.assert_close(scores, expected)
    terms = model.losses(BATCH, view(*DIMS))
    assert terms.keys() == {"bpr", "frobenius"}
    assert terms["bpr"].item() == pytest.approx((math.log1p(math.exp(-10)) + math.log1p(math.exp(2))) / 2)
    norms = (5 + 1) ** 0.5 + (2 * (4 + 4.5**2)) ** 0.5 + (0.5**2 + 1 + 6.5**2) ** 0.5
    assert terms["frobenius"].item() == pytest.approx(0.3 * norms / 2)


def test_the_papers_biases_are_those_of_items_and_of_their_features() -> None:
    plain, model = by_hand(), by_hand(biases=True)
    with torch.no_grad():
        model.projection.weight[1] = torch.tensor([0.0, 1, 0])
        model.projection.bias[1] = 0.0
        assert model.item_bias is not None
        model.item_bias.copy_(torch.tensor([0.0, 1, 2, 3]))
    biases = torch.tensor([0.0, 5 + 1, 1 + 2, 3 + 3])
    scores = model.score(USERS, view(*DIMS))
    torch.testing.assert_close(scores, plain.score(USERS, view(*DIMS)) + biases)
    terms, without = model.losses(BATCH, view(*DIMS)), plain.losses(BATCH, view(*DIMS))
    margins = scores[BATCH.users, BATCH.positives] - scores[BATCH.users, BATCH.negatives]
    torch.testing.assert_close(terms["bpr"], -margins.sigmoid().log().mean())
    assert torch.equal(terms["frobenius"], without["frobenius"])  # of the factors, not of the biases
    terms["bpr"].backward()
    assert model.item_bias.grad is not None and model.item_bias.grad[0] == 0 and model.item_bias.grad[1:].all()


def test_a_step_projects_its_batch_alone_and_an_evaluation_everything() -> None:
    model, features = by_hand(), {m: x.clone() for m, x in FEATURES.items()}
    features["visual"][0] = math.nan  # item 0 is not in the batch
    spoilt = ModalityView(features, torch.ones(4, 2, dtype=torch.bool), "spoilt")
    terms = model.losses(BATCH, spoilt)
    torch.stack(tuple(terms.values())).sum().backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.isfinite().all()
    assert model.score(USERS, spoilt).isnan().any(0).tolist() == [True, False, False, False]


def test_gradients_reach_the_batch_and_the_projection_but_no_feature() -> None:
    model, given = by_hand(), view(*DIMS)
    for x in given.features.values():
        x.requires_grad_()
    model.losses(BATCH, given)["bpr"].backward()
    assert model.users.grad is not None and model.items.grad is not None
    assert model.users.grad.any(1).tolist() == [True, True, False]
    assert model.items.grad.any(1).tolist() == [False, True, True, False]  # gamma of user 1, who saw item 3, is zero
    assert model.projection.weight.grad is not None and model.projection.weight.grad.any(0).all()
    parameters = {id(p) for group in model.configure_optimizers().param_groups for p in group["params"]}
    assert not parameters & {id(x) for x in given.features.values()}


@pytest.mark.parametrize("modalities", [("visual",), ("visual", "textual")])
@pytest.mark.parametrize("n_visible", [4, 2, 1, 0])  # of one modality; two of four is half of it
def test_what_is_hidden_contributes_the_bias_alone(modalities: tuple[str, ...], n_visible: int) -> None:
    torch.manual_seed(0)
    model = VBPR(catalog(*modalities), dim=3, content_dim=2)
    with torch.no_grad():
        model.projection.bias.copy_(torch.tensor([0.25, -0.5]))
    visible = (torch.arange(4) < n_visible)[:, None]
    given = view(*modalities, visible=visible)
    content = model.represent(given).items[:, 3:]
    assert torch.equal(content[n_visible:], model.projection.bias.expand(4 - n_visible, 2))
    assert not n_visible or (content[:n_visible] - model.projection.bias).abs().amax(1).min() > 1e-3
    terms = model.losses(BATCH, given)
    torch.stack(tuple(terms.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_initialisation() -> None:
    torch.manual_seed(0)
    wide = Catalog(300, 4, {"visual": 3000, "textual": 1000}, *[torch.zeros(1, dtype=torch.int64)] * 2, [], [])
    model = VBPR(wide, dim=8, content_dim=16)
    assert model.users.shape == (300, 24) and model.users.abs().max() <= (6 / 324) ** 0.5
    assert model.projection.weight.std().item() == pytest.approx((2 / 4016) ** 0.5, rel=0.02)
    assert not model.projection.bias.any()


def test_norms_of_a_batch_are_told_to_a_run_by_several_processes() -> None:
    assert by_hand().in_batch_losses and not by_hand(frobenius=0.0).in_batch_losses


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"content_dim": 0}, {"frobenius": -1.0}])
def test_wrong_keywords_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(wrong))} must be at least"):
        VBPR(catalog(*DIMS), **wrong)
    with pytest.raises(ConfigError, match=r"VBPR needs at least one modality"):
        VBPR(catalog())
