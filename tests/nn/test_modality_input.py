"""From raw features to blocks: projections, two-hop means, concatenation."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.graph import mean_over_items, mean_over_users
from recmm.nn.modality_input import Blocks, Projection, TwoHopMean, visible_two_hop_mean

WIDTHS, DIM = [7, 3], 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def features(n: int = 9) -> list[Tensor]:
    return [torch.randn(n, width) * torch.linspace(3, 0.5, width) + 5 for width in WIDTHS]


def all_visible(x: list[Tensor]) -> Tensor:
    return torch.ones(len(x[0]), len(x), dtype=torch.bool)


# ---------------------------------------------------------------------- projection


def test_linear_projection_starts_with_xavier_weights_and_no_bias() -> None:
    projection, x = Projection(WIDTHS, DIM), features()
    weights = [p for name, p in projection.named_parameters() if name.endswith("weight")]
    assert [w.shape for w in weights] == [(DIM, width) for width in WIDTHS]
    for w, width in zip(weights, WIDTHS, strict=True):
        bound = (6 / (DIM + width)) ** 0.5
        assert 0.5 * bound < w.abs().max() <= bound
    assert all(not p.any() for name, p in projection.named_parameters() if name.endswith("bias"))
    out = projection(x)
    assert out.shape == (9, 2, DIM)
    for m in range(2):
        assert torch.allclose(out[:, m], x[m] @ weights[m].T, atol=1e-5)


def test_xavier_weights_may_be_normal() -> None:
    wide = Projection([3000], 1000, init="normal").maps[0][0].weight
    assert wide.std().item() == pytest.approx((2 / 4000) ** 0.5, rel=0.02) and wide.abs().max() > (6 / 4000) ** 0.5


def test_mlp_has_one_hidden_layer_of_the_final_width() -> None:
    projection, x = Projection(WIDTHS, DIM, "mlp"), features()
    parameters = dict(projection.named_parameters())
    assert len(parameters) == 8
    with torch.no_grad():
        for p in parameters.values():
            p.copy_(torch.randn_like(p))
    out = projection(x)
    for m in range(2):
        w1, b1, w2, b2 = list(projection.maps[m].parameters())
        hidden = x[m] @ w1.T + b1
        hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
        assert torch.allclose(out[:, m], hidden @ w2.T + b2, atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_trained_kinds_pass_gradients_to_every_parameter_and_ignore_fit(kind: Any) -> None:
    projection, x = Projection(WIDTHS, DIM, kind), features()
    before = projection(x)
    projection.fit(x, all_visible(x))
    assert torch.equal(projection(x), before)
    before.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in projection.parameters())


def test_pca_takes_the_principal_axes_of_the_visible_rows() -> None:
    x, projection = features(12), Projection(WIDTHS, 2, "pca")
    mask = all_visible(x)
    mask[[0, 5], 0] = False
    mask[3, 1] = False
    x[0][~mask[:, 0]], x[1][~mask[:, 1]] = 1e3, -1e3
    projection.fit(x, mask)
    out = projection(x)
    for m in range(2):
        rows = x[m][mask[:, m]].double().numpy()
        variances, axes = np.linalg.eigh(np.cov(rows.T))
        for k in range(2):
            expected = (x[m].double().numpy() - rows.mean(0)) @ axes[:, -1 - k]
            sign = np.sign(expected @ out[:, m, k].double().numpy())
            np.testing.assert_allclose(out[:, m, k].numpy(), sign * expected, rtol=1e-4, atol=1e-3)
            shown = out[mask[:, m], m, k].double()
            assert abs(shown.mean()) < 1e-5
            assert shown.var().item() == pytest.approx(variances[-1 - k], rel=1e-4)


def test_pca_axes_beyond_width_and_rank_are_zero() -> None:
    x, projection = features(), Projection(WIDTHS, DIM, "pca")
    mask = all_visible(x)
    mask[3:, 0] = False  # three rows span two axes around their mean
    projection.fit(x, mask)
    out = projection(x)
    assert out[:, 0, :2].abs().sum(0).all() and not out[:, 0, 2:].any()
    assert out[:, 1, :3].abs().sum(0).all() and not out[:, 1, 3:].any()  # a width of three


def test_pca_of_equal_rows_is_zero() -> None:
    projection = Projection([3], 2, "pca")
    x = [torch.tensor([[0.1, 0.7, -1.3]]).repeat(7, 1)]
    projection.fit(x, all_visible(x))
    assert not projection([x[0] + 1]).any()


def test_pca_of_a_modality_that_no_row_shows_keeps_its_weights() -> None:
    x, projection = features(), Projection(WIDTHS, DIM, "pca")
    mask, before = all_visible(x), projection(x)
    mask[:, 1] = False
    projection.fit(x, mask)
    after = projection(x)
    assert torch.equal(after[:, 1], before[:, 1]) and not torch.allclose(after[:, 0], before[:, 0])
    assert torch.isfinite(after).all()


def test_pca_is_not_trained_but_stored() -> None:
    x, projection = features(), Projection(WIDTHS, DIM, "pca")
    assert list(projection.parameters()) == []
    projection.fit(x, all_visible(x))
    assert not projection(x).requires_grad
    twin = Projection(WIDTHS, DIM, "pca")
    twin.load_state_dict(projection.state_dict())
    assert torch.equal(twin(x), projection(x))


# ---------------------------------------------------------------------- two-hop means

# user 0 has items 0 and 1, user 1 item 1, user 2 nothing; item 2 is cold
CATALOG = Catalog(3, 3, {"m": 2}, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), list("abc"), list("abc"))
X = torch.tensor([[2.0, 0.0], [4.0, 6.0], [8.0, 10.0]])
USERS = torch.tensor([[3.0, 3.0], [4.0, 6.0], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("keywords", "items"),
    [
        ({}, [[3.0, 3.0], [3.5, 4.5], [8.0, 10.0]]),
        ({"cold": "zero"}, [[3.0, 3.0], [3.5, 4.5], [0.0, 0.0]]),
        ({"keep_own": True}, [[2.5, 1.5], [3.75, 5.25], [8.0, 10.0]]),
        ({"keep_own": True, "cold": "zero"}, [[2.5, 1.5], [3.75, 5.25], [4.0, 5.0]]),
    ],
)
def test_two_hop_means_by_hand(keywords: dict[str, Any], items: list[list[float]]) -> None:
    users, means = TwoHopMean(CATALOG, **keywords)(X)
    assert torch.allclose(users, USERS)
    assert torch.allclose(means, torch.tensor(items))


@pytest.mark.parametrize("cold", ["raw", "zero"])
@pytest.mark.parametrize("keep_own", [False, True])
def test_gradients_of_two_hop_means(keep_own: bool, cold: Any) -> None:
    x = X.double().requires_grad_()
    module = TwoHopMean(CATALOG, keep_own=keep_own, cold=cold).double()
    assert torch.autograd.gradcheck(module, (x,))
    module(x)[1][2].sum().backward()
    assert x.grad is not None and bool(x.grad[2].any()) == (keep_own or cold == "raw")


def test_modalities_side_by_side_equal_one_by_one() -> None:
    module, a, b = TwoHopMean(CATALOG), torch.randn(3, 2), torch.randn(3, 4)
    together, apart = module(torch.cat([a, b], 1)), [module(a), module(b)]
    for side in range(2):
        assert torch.allclose(together[side], torch.cat([part[side] for part in apart], 1))


# ---------------------------------------------------------------------- blocks


def test_blocks_stand_side_by_side_and_the_ids_are_left_alone() -> None:
    ids, modalities = torch.randn(5, DIM), 3 * torch.randn(5, 2, DIM)
    raw = Blocks(2, "none")(ids, modalities)
    assert torch.equal(raw, torch.cat([ids, modalities[:, 0], modalities[:, 1]], 1))
    unit = Blocks(2)(ids, modalities)
    assert torch.equal(unit[:, :DIM], ids)
    assert torch.allclose(unit[:, DIM:].unflatten(1, (2, DIM)).norm(dim=2), torch.ones(5, 2))
    assert torch.allclose(unit[:, DIM : 2 * DIM], F.normalize(modalities[:, 0]))


def test_weights_of_blocks_start_at_one_and_are_learnt_per_modality() -> None:
    ids, modalities = torch.randn(5, DIM), torch.randn(5, 2, DIM)
    blocks = Blocks(2, "l2_weighted")
    assert torch.equal(blocks(ids, modalities), Blocks(2)(ids, modalities))
    assert blocks.weights is not None
    with torch.no_grad():
        blocks.weights.copy_(torch.tensor([[2.0], [0.5]]))
    out = blocks(ids, modalities)
    norms = out[:, DIM:].unflatten(1, (2, DIM)).norm(dim=2)
    assert torch.allclose(norms, torch.tensor([2.0, 0.5]).expand(5, 2))
    out.sum().backward()
    assert blocks.weights.grad is not None and blocks.weights.grad.all()
    assert list(Blocks(2).parameters()) == list(Blocks(2, "none").parameters()) == []


def test_a_zero_block_stays_zero_and_passes_no_gradient() -> None:
    modalities = torch.tensor([[[0.0] * DIM], [[2.0] * DIM]], requires_grad=True)
    out = Blocks(1)(torch.ones(2, DIM), modalities)
    assert torch.equal(out[:, DIM:], F.normalize(modalities, dim=2).flatten(1))
    (out[:, DIM:] * torch.arange(DIM)).sum().backward()
    assert modalities.grad is not None and not modalities.grad[0].any()
    length, direction = 2 * DIM**0.5, torch.full((DIM,), DIM**-0.5)
    weights = torch.arange(DIM).float()
    assert torch.allclose(modalities.grad[1, 0], (weights - direction * (weights @ direction)) / length)


def test_visible_two_hop_mean_reads_visible_entries_alone() -> None:
    """Users 0 and 1 meet in item 1; user 1 has items 1, 2 and 3; nobody has item 4."""
    users, items = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 2, 3])
    catalog = Catalog(2, 5, {"a": 1}, users, items, list("ab"), list("vwxyz"))
    graphs = mean_over_items(catalog), mean_over_users(catalog)
    x = torch.tensor([1.0, torch.nan, 2.0, 4.0, 6.0])[:, None, None]
    mask = torch.tensor([[True], [False], [True], [True], [True]])
    # of the weights 1/2 (user) x 1/2, 1/3, 1/3 (items) that item 1 gives to items 0, 2 and 3 as it is hidden itself
    of_one = (1 / 4 * 1 + 1 / 6 * 2 + 1 / 6 * 4) / (1 / 4 + 1 / 6 + 1 / 6)
    result = visible_two_hop_mean(x, mask, *graphs)[:, 0, 0]
    torch.testing.assert_close(result, torch.tensor([1.0, of_one, 3.0, 3.0, 13 / 4]))
    nothing = visible_two_hop_mean(x, torch.zeros_like(mask), *graphs)
    assert torch.equal(nothing, torch.zeros(5, 1, 1))
