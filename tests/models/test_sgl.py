"""SGL against hand values and textbook formulas; what its subgraphs are, and when they change."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.batches import Pairs
from recmm.data.catalog import Catalog
from recmm.errors import ConfigError
from recmm.graph import Graph
from recmm.missing.view import ModalityView
from recmm.models.lightgcn import LightGCN
from recmm.models.sgl import SGL
from recmm.seeding import seed_torch

N_USERS, N_ITEMS = 5, 7
USERS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 3])  # user 4 has no history
ITEMS = torch.tensor([0, 1, 2, 1, 3, 0, 4, 2, 3, 5])
BATCH = Pairs(torch.tensor([0, 1, 3, 3]), torch.tensor([0, 3, 3, 5]), torch.tensor([6, 0, 1, 6]))
VIEW = ModalityView({}, torch.ones(N_ITEMS, 0, dtype=torch.bool), "none")


def catalog() -> Catalog:
    return Catalog(N_USERS, N_ITEMS, {}, USERS, ITEMS, list("abcde"), list("abcdefg"))


def make(**keywords: Any) -> SGL:
    torch.manual_seed(2)
    return SGL(catalog(), **{"dim": 4, "rho": 0.3, "lambda1": 0.1, **keywords})


def start(model: SGL, epoch: int = 0, seed: int = 0) -> SGL:
    seed_torch(seed, epoch, "method")
    model.start_epoch(epoch, VIEW)
    return model


def test_losses_by_hand() -> None:
    """Three users in a chain: 0 has item 0, 1 has both items, 2 has item 1; d = 1 and nothing left out."""
    graph = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 1, 1])
    model = SGL(Catalog(3, 2, {}, *graph, list("abc"), list("ab")), dim=1, n_layers=1, rho=0.0, ego_l2=0.5, lambda1=0.1)
    with torch.no_grad():
        model.ego.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0], [6.0]]))
    start(model)
    terms = model.losses(Pairs(torch.tensor([0, 2]), torch.tensor([0, 1]), torch.tensor([1, 0])), VIEW)
    root = 2**0.5
    u0, u2, i0, i1 = (1 + 4 / root) / 2, (3 + 6 / root) / 2, (4 + 1 / root + 2 / 2) / 2, (6 + 2 / 2 + 3 / root) / 2
    losses = [math.log1p(math.exp(u0 * (i1 - i0))), math.log1p(math.exp(u2 * (i0 - i1)))]
    assert terms["bpr"].item() == pytest.approx(sum(losses) / 2)
    assert terms["ego_l2"].item() == pytest.approx(0.5 * (1 + 9 + 2 * (16 + 36)) / 2 / 2)
    assert terms["contrast"].item() == pytest.approx(0.1 * (math.log(3) + math.log(2)))  # all cosines are 1


def dense_nodes(model: SGL, layers: list[Graph]) -> Tensor:
    """LightGCN over these subgraphs in dense algebra."""
    x: Tensor = model.ego
    total: Tensor = model.ego
    for graph in layers:
        x = torch.zeros(graph.shape).index_put((graph.rows, graph.columns), graph.values) @ x
        total = total + x
    return total / (len(layers) + 1)


@pytest.mark.parametrize("augmentation", ["ed", "nd", "rw"])
def test_the_contrast_in_textbook_form(augmentation: Any) -> None:
    model = start(make(augmentation=augmentation, lambda1=0.7))
    first, second = (F.normalize(dense_nodes(model, layers)) for layers in model._drawn)
    expected = torch.zeros(())
    for anchors, n, offset in ((BATCH.users, N_USERS, 0), (BATCH.positives, N_ITEMS, N_USERS)):
        for a in anchors.tolist():
            cosines = second[offset : offset + n] @ first[offset + a]
            expected = expected - (cosines / 0.2).softmax(0)[a].log() / len(anchors)
    assert torch.allclose(model.losses(BATCH, VIEW)["contrast"], 0.7 * expected, atol=1e-6)


def test_an_epoch_has_two_subgraphs_that_the_seed_and_the_epoch_decide() -> None:
    def drawn(**keywords: int) -> list[Tensor]:
        return [layers[0].values for layers in start(make(), **keywords)._drawn]

    first, second = drawn()
    assert not torch.equal(first, second)
    assert [(x > 0).sum().item() for x in (first, second)] == [2 * 7, 2 * 7]  # 10 edges less round(0.3 * 10), both ways
    assert all(map(torch.equal, drawn(), (first, second)))
    assert not torch.equal(drawn(epoch=1)[0], first) and not torch.equal(drawn(seed=1)[0], first)
    model = start(make())
    values = [model.losses(BATCH, VIEW)["contrast"] for _ in range(2)]
    assert torch.equal(*values)


@pytest.mark.parametrize(("augmentation", "n_distinct"), [("ed", 1), ("nd", 1), ("rw", 3)])
def test_only_a_random_walk_has_a_subgraph_for_every_layer(augmentation: Any, n_distinct: int) -> None:
    for layers in start(make(augmentation=augmentation))._drawn:
        assert len(layers) == 3 and len({tuple(graph.values.tolist()) for graph in layers}) == n_distinct


def test_without_its_contrast_it_is_light_gcn() -> None:
    torch.manual_seed(2)
    base = LightGCN(catalog(), dim=4, n_layers=3)
    model = start(make(lambda1=0.0))
    assert torch.equal(model.ego, base.ego)
    assert {name: x.item() for name, x in model.losses(BATCH, VIEW).items()} == {
        name: x.item() for name, x in base.losses(BATCH, VIEW).items()
    }
    users = torch.arange(N_USERS)
    assert torch.equal(start(make()).score(users, VIEW), base.score(users, VIEW))


def test_the_contrast_sends_a_gradient_to_nodes_outside_the_batch() -> None:
    model = start(make())
    model.losses(BATCH, VIEW)["contrast"].backward()
    assert model.ego.grad is not None and model.ego.grad.any(1).all()  # all nodes are candidates


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9])
def test_a_view_changes_no_bit(rate: float) -> None:
    mask = torch.rand(N_ITEMS, 1, generator=torch.Generator().manual_seed(0)) >= rate
    other = ModalityView({"m": torch.randn(N_ITEMS, 2)}, mask, f"rate{rate}")
    terms = [start(make()).losses(BATCH, view) for view in (VIEW, other)]
    assert terms[0] == terms[1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"augmentation": "swap"}, r"model\.augmentation must be one of ed, nd, rw; got 'swap'"),
        ({"n_layers": 0}, r"model\.n_layers must be at least 1; got 0"),
        ({"lambda1": -0.1}, r"model\.lambda1 must be at least 0"),
        ({"rho": 1.0}, r"model\.rho must be in \[0, 1\); got 1\.0"),
        ({"temperature": 0.0}, r"model\.temperature must be positive; got 0\.0"),
    ],
)
def test_wrong_keywords_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**keywords)
