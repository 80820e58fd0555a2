"""BM3 by hand, its stop-gradients, and the terms of items that lack a modality."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import MultimodalDataModule
from recmm.errors import ConfigError
from recmm.missing.view import ModalityView
from recmm.models.bm3 import BM3
from recmm.models.mfbpr import MFBPR
from recmm.models.training import Training
from tests.models.toys import randomised, total

DIMS = {"visual": 3, "textual": 2}
MODAL = ("modality_to_item", "modality_to_itself")
BATCH = Pairs(torch.tensor([0, 1, 2]), torch.tensor([1, 1, 2]), torch.zeros(0, dtype=torch.int64))


def catalog(*modalities: str) -> Catalog:
    pairs = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])  # item 3 is cold
    return Catalog(3, 4, {m: DIMS[m] for m in modalities}, *pairs, list("abc"), list("pqrs"))


def view(*modalities: str, visible: Any = True) -> ModalityView:
    """Random features, zeros where ``visible`` (bool, broadcast to [4, M]) is false."""
    mask = torch.ones(4, len(modalities), dtype=torch.bool) & torch.as_tensor(visible)
    generator = torch.Generator().manual_seed(1)
    full = {m: torch.randn(4, width, generator=generator) for m, width in DIMS.items()}
    return ModalityView({m: full[m] * mask[:, [k]] for k, m in enumerate(modalities)}, mask, str(mask.tolist()))


def make(*modalities: str, **keywords: Any) -> BM3:
    """Weights that no initialisation makes special; without dropout unless asked for."""
    torch.manual_seed(2)
    return randomised(BM3(catalog(*modalities), **{"dim": 4, "dropout": 0.0, **keywords}), deviation=1.0)


def test_losses_by_hand() -> None:
    """Width 2, no layer, a predictor that turns by a right angle: users on the axes, item 1 on the diagonal."""
    model = BM3(catalog("visual"), dim=2, n_layers=0, dropout=0.0, frobenius=0.5, modal_weight=3.0)
    with torch.no_grad():
        users = torch.tensor([[1.0, 0], [0, 2], [-1, 0]])
        items = torch.tensor([[9.0, 9], [1, 1], [0, -3], [9, 9]])
        model.ego.copy_(torch.cat([users, items]))
        model.predictor.weight.copy_(torch.tensor([[0.0, -1], [1, 0]]))  # (x, y) -> (-y, x)
        weight, _ = model.projection.parameters()
        weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    features = torch.tensor([[0.0, 0, 5], [2, 0, 5], [0, -1, 5], [0, 0, 5]])
    given = ModalityView({"visual": features}, torch.ones(4, 1, dtype=torch.bool), "hand")
    r = 0.5**0.5
    # turned: users (0, 1), (-1, 0), (0, -1); items 1, 1, 2: the diagonal (-1, 1), (-1, 1), (1, 0)
    terms = model.losses(BATCH, given)
    assert terms["user_to_item"].item() == pytest.approx(((1 - r) + (1 + r) + (1 - 1)) / 3)
    assert terms["item_to_user"].item() == pytest.approx(((1 + r) + (1 - r) + (1 + 1)) / 3)
    # content of the batch: (2, 0), (2, 0), (0, -1); turned (0, 1), (0, 1), (1, 0)
    assert terms["modality_to_item"].item() == pytest.approx(3 * ((1 - r) + (1 - r) + (1 - 0)) / 3)
    assert terms["modality_to_itself"].item() == pytest.approx(3.0)  # a right angle from itself
    norms = (1 + 4 + 1) ** 0.5 + (4 * (4 * 81 + 2 + 9)) ** 0.5  # without layers an item counts twice
    assert terms["frobenius"].item() == pytest.approx(0.5 * norms / 4)
    embeddings = model.represent(given)
    assert embeddings.items[2].tolist() == [6, 0] and embeddings.users[1].tolist() == [-2, 0]


def test_a_layer_of_the_graph_and_the_ids_once_more() -> None:
    model = make("visual", n_layers=1)
    adjacency = torch.zeros(7, 7)
    adjacency[[0, 0, 1, 2], [3, 4, 4, 5]] = torch.tensor([2**-0.5, 0.5, 2**-0.5, 1.0])
    nodes = (model.ego + (adjacency + adjacency.T) @ model.ego) / 2
    users, items = model.encode()
    torch.testing.assert_close(users, nodes[:3])
    torch.testing.assert_close(items, nodes[3:] + model.ego[3:])
    scores = model.score(torch.arange(3), view("visual"))
    torch.testing.assert_close(scores, model.predictor(users) @ model.predictor(items).T)
    assert torch.equal(scores, model.score(torch.arange(3), view("visual", visible=False)))


def test_targets_pass_no_gradient() -> None:
    model, given = make(*DIMS, n_layers=0, frobenius=0.0), view(*DIMS)
    terms = model.losses(BATCH, given)

    def reached(term: str) -> Tensor:
        (gradient,) = torch.autograd.grad(terms[term], model.ego, retain_graph=True, allow_unused=True)
        return torch.zeros(7, dtype=torch.bool) if gradient is None else gradient.any(1)

    assert reached("user_to_item").tolist() == [True] * 3 + [False] * 4
    assert reached("item_to_user").tolist() == [False] * 3 + [False, True, True, False]
    assert not reached("modality_to_item").any() and not reached("modality_to_itself").any()
    # ||d|| of D(f, f') when both sides moved would differ from that with f' held fixed
    weight = next(model.projection.parameters())
    (gradient,) = torch.autograd.grad(terms["modality_to_itself"], weight)
    content = model.projection(model.features(given, BATCH.positives))
    fixed = F.cosine_similarity(model.predictor(content), content.detach(), dim=2)
    (expected,) = torch.autograd.grad(2 * (1 - fixed).sum(1).mean(), weight)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("trainable", [True, False])
def test_gradients_reach_every_parameter(trainable: bool) -> None:
    model = make(*DIMS, trainable_features=trainable)
    visible = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    total(model.losses(BATCH, view(*DIMS, visible=visible))).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.any(), name
    offsets = list(model.features.offsets)
    assert len(offsets) == 2 * trainable
    learnt = [offset.grad.any(1).tolist() for offset in offsets if offset.grad is not None]
    # items 1 and 2 are in the batch, and each has one of the two
    assert learnt == [[False, True, False, False], [False, False, True, False]][: len(offsets)]


def test_terms_of_missing_items_are_skipped_and_the_others_keep_their_weight() -> None:
    model = make(*DIMS)
    visible = torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    given = view(*DIMS, visible=visible)
    terms, everything = model.losses(BATCH, given), make(*DIMS, mask_modal_loss=False).losses(BATCH, given)
    content = model.projection(model.features(given, BATCH.positives))
    target = model.encode()[1][BATCH.positives][:, None]
    distances = 1 - F.cosine_similarity(model.predictor(content), target, dim=2)  # items 1, 1, 2
    kept = distances[0, 0] + distances[1, 0] + distances[2, 1]
    torch.testing.assert_close(terms["modality_to_item"], 2 * kept / 3)
    torch.testing.assert_close(everything["modality_to_item"], 2 * distances.sum() / 3)
    for name in terms.keys() - MODAL:
        assert torch.equal(terms[name], everything[name])


@pytest.mark.parametrize("modalities", [("visual",), ("visual", "textual")])
@pytest.mark.parametrize("n_visible", [4, 2, 1, 0])  # items of the last modality; items 1, 1, 2 are in the batch
@pytest.mark.parametrize("masked", [True, False])
def test_any_share_may_be_missing(modalities: tuple[str, ...], n_visible: int, masked: bool) -> None:
    torch.manual_seed(0)
    model = BM3(catalog(*modalities), dim=4, mask_modal_loss=masked)  # its biases are zero, and so is a hidden row
    visible = torch.ones(4, len(modalities), dtype=torch.bool)
    visible[n_visible:, -1] = False
    terms = model.losses(BATCH, view(*modalities, visible=visible))
    total(terms).backward()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad is None or p.grad.abs().max() < 100 for p in model.parameters())
    if masked and len(modalities) == 1 and n_visible < 2:
        assert terms["modality_to_item"] == terms["modality_to_itself"] == 0


def test_the_mean_over_parts_is_that_of_the_whole() -> None:
    """What a run by several processes relies on."""
    model = make(*DIMS)
    given = view(*DIMS, visible=torch.tensor([[True, True], [True, False], [False, True], [True, True]]))
    whole = model.losses(BATCH, given)
    parts = [model.losses(Pairs(*(x[rows] for x in BATCH)), given) for rows in (slice(0, 1), slice(1, 3))]
    for name, term in whole.items():
        torch.testing.assert_close((parts[0][name] + 2 * parts[1][name]) / 3, term)
    assert not model.in_batch_losses


def test_dropout_acts_on_targets_alone() -> None:
    model, given = make(*DIMS, dropout=0.9), view(*DIMS)
    assert torch.equal(model.represent(given).items, make(*DIMS).represent(given).items)
    ones = torch.ones(1000, 4, requires_grad=True)
    target = model.target(ones)
    assert not target.requires_grad and target.unique().tolist() == pytest.approx([0.0, 10.0])
    assert (target == 0).float().mean().item() == pytest.approx(0.9, abs=0.03)


def test_no_negatives_are_drawn_for_it(tiny_dataset: MultimodalDataset) -> None:
    datamodule = MultimodalDataModule()
    datamodule.load = lambda: tiny_dataset  # type: ignore[method-assign]
    for kind, drawn in ((BM3, False), (MFBPR, True)):
        method = kind(tiny_dataset.catalog(), training=Training(batch_size=16))  # type: ignore[operator]
        running: Any = SimpleNamespace(lightning_module=method, current_epoch=0, global_rank=0, world_size=1)
        datamodule.trainer = running
        batch = next(iter(datamodule.train_dataloader()))
        assert len(batch.users) == len(batch.positives) == 16 and len(batch.negatives) == 16 * drawn


def test_without_weight_no_modality_is_touched() -> None:
    terms = make(*DIMS, modal_weight=0.0).losses(BATCH, view(*DIMS))
    assert terms.keys() == {"user_to_item", "item_to_user", "frobenius"}


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"n_layers": -1}, {"modal_weight": -1.0}, {"frobenius": -1.0}])
def test_wrong_keywords_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{next(iter(wrong))} must be at least"):
        BM3(catalog(*DIMS), **wrong)
    with pytest.raises(ConfigError, match=r"model\.dropout must be in \[0, 1\)"):
        BM3(catalog(*DIMS), dropout=1.0)
    with pytest.raises(ConfigError, match=r"BM3 needs at least one modality"):
        BM3(catalog())
