"""SMORE against NumPy and against the convolution theorem; its limits; items that miss something."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmm.missing.view import ModalityView
from recmm.models.smore import SMORE
from recmm.models.training import Training
from tests.models.toys import (
    BATCH,
    ITEMS,
    N_ITEMS,
    N_USERS,
    USERS,
    catalog,
    check_finite_step,
    check_gradients,
    check_views_apart,
    few_visible,
    randomised,
    toy_view,
)

D = 6
Array = NDArray[np.float64]


def make(**keywords: Any) -> SMORE:
    torch.manual_seed(2)
    return randomised(SMORE(catalog(), **{"dim": D, "k": 4, "n_layers": 1, **keywords}))


def array(x: Tensor) -> Array:
    return x.detach().double().numpy()


def affine(layer: Any, x: Array) -> Array:
    return x @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softmax(x: Array) -> Array:
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


def adjacency() -> Array:
    a = np.zeros((N_USERS + N_ITEMS, N_USERS + N_ITEMS))
    a[USERS, N_USERS + ITEMS] = a[N_USERS + ITEMS, USERS] = 1
    degrees = np.maximum(a.sum(1), 1)
    return a / np.sqrt(degrees[:, None] * degrees)


def convolved(x: Array, y: Array) -> Array:
    """The circular convolution of the rows."""
    turned = np.stack([np.roll(y[:, ::-1], n + 1, axis=1) for n in range(x.shape[1])], 1)
    return np.einsum("nj,nij->ni", x, turned)


def by_hand(model: SMORE, view: ModalityView) -> tuple[Array, Array]:
    """Contents and sides of all nodes, without a Fourier transform.

    Real filters c of one value scale a signal, and a product of two orthonormal spectra is the spectrum of the circular
    convolution, divided by the root of its width.
    """
    a, ego = adjacency(), array(model.ego)
    content = (ego + a @ ego) / 2
    scale = array(model.filters)[:, 0, 0]
    raw = [
        array(x) + array(o) * array(view.mask[:, [m]])
        for m, (x, o) in enumerate(zip(view.features.values(), model.raw.offsets, strict=True))
    ]
    visual, textual = (affine(project, x) for project, x in zip(model.projectors, raw, strict=True))
    signals = [visual, textual, convolved(visual, textual) / np.sqrt(D)]
    e = []
    for c, graph in enumerate(model.prepared(view)):
        s = array(graph(torch.eye(N_ITEMS)))
        items = s @ (ego[N_USERS:] * sigmoid(affine(model.gates[c], scale[c] * signals[c])))
        e.append(np.concatenate([a[:N_USERS, N_USERS:] @ items, items]))
    preferred = [sigmoid(affine(prefer, content)) for prefer in model.preferences]
    side = preferred[2] * e[2]
    for m in range(2):
        first, _, last = model.attentions[m]
        side = side + preferred[m] * softmax(affine(last, np.tanh(affine(first, e[2])))) * e[m]
    return content, side / 3


def with_flat_filters(model: SMORE) -> SMORE:
    with torch.no_grad():
        model.filters.copy_(torch.tensor([[0.5, 0.0], [-1.5, 0.0], [0.8, 0.0]])[:, None].expand_as(model.filters))
    return model


def test_every_term_by_hand(info_nce: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    keywords = {"contrast": 0.7, "final_l2": 0.5, "training": Training(batch_size=8)}
    model, view = with_flat_filters(make(**keywords)), toy_view()
    content, side = by_hand(model, view)
    final = content + side
    u, i, j = (final[np.asarray(x)] for x in (BATCH.users, N_USERS + BATCH.positives, N_USERS + BATCH.negatives))
    terms = model.losses(BATCH, view)
    expected = np.log1p(np.exp((u * (j - i)).sum(1))).mean()
    assert terms["bpr"].item() == pytest.approx(expected, rel=1e-4)
    squares = (u**2).sum() + (i**2).sum() + (j**2).sum()
    assert terms["final_l2"].item() == pytest.approx(0.5 * squares / 2 / 8, rel=1e-4)  # the configured batch size
    apart = (BATCH.users.unique(), N_USERS + BATCH.positives.unique())
    contrasts = sum(info_nce(torch.tensor(side[nodes]), torch.tensor(content[nodes]), 0.2).item() for nodes in apart)
    assert terms["contrast"].item() == pytest.approx(0.7 * contrasts, rel=1e-4)
    scores = torch.tensor(final[:N_USERS] @ final[N_USERS:].T, dtype=torch.float32)
    torch.testing.assert_close(model.score(torch.arange(N_USERS), view), scores, rtol=1e-4, atol=1e-5)


def test_a_filter_turns_every_frequency() -> None:
    """A shift of the signal by one place multiplies frequency n by exp(-2 pi i n / d)."""
    model, view = with_flat_filters(make()), toy_view()
    before = [signal / c for signal, c in zip(model.filtered(view), (0.5, -1.5, 0.8), strict=True)]
    with torch.no_grad():
        angles = -2 * torch.pi * torch.arange(D // 2 + 1) / D
        model.filters.copy_(torch.stack([angles.cos(), angles.sin()], 1).expand_as(model.filters))
    for signal, old in zip(model.filtered(view), before, strict=True):
        torch.testing.assert_close(signal, old.roll(1, 1), rtol=1e-4, atol=1e-5)


def test_the_fused_graph_has_the_larger_value_and_no_place_of_what_is_missing() -> None:
    """Item 1 lacks the first modality, item 5 both, item 7 the second."""
    first, second, fused = (graph(torch.eye(N_ITEMS)) for graph in make().prepare(toy_view()))
    whole = torch.tensor([i for i in range(N_ITEMS) if i not in (1, 5, 7)])
    assert torch.equal(fused[whole], torch.maximum(first, second)[whole])
    assert torch.equal(fused[1], second[1]) and torch.equal(fused[7], first[7])
    assert fused[1, 1] < 1 and torch.equal(fused[5], torch.eye(N_ITEMS)[5])


def test_limits() -> None:
    assert "contrast" not in make(contrast=0.0).losses(BATCH, toy_view())
    assert not make(contrast=0.0).in_batch_losses and make().in_batch_losses
    model = make(dropout=0.5)
    drawn = [model.losses(BATCH, toy_view())["bpr"] for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(*(model.score(torch.arange(N_USERS), toy_view()) for _ in range(2)))
    model = make()
    with torch.no_grad():  # closed gates leave LightGCN alone
        for gate in model.gates:
            gate.bias.fill_(-1e4)
    users, items = model.represent(toy_view())
    assert torch.equal(torch.cat([users, items]), model.adjacency.propagate(model.ego, 1))


def test_gradients_reach_everything_but_hidden_rows() -> None:
    model, view = make(), toy_view()
    check_gradients(model, BATCH, view)
    for offset, visible in zip(model.raw.offsets, view.mask.unbind(1), strict=True):
        assert offset.grad is not None and not offset.grad[~visible].any()


def test_another_view_has_graphs_of_its_own() -> None:
    check_views_apart(make())


@pytest.mark.parametrize("n_visible", [0, 1, N_ITEMS])
def test_one_modality_and_an_odd_width(n_visible: int) -> None:
    view = few_visible(n_visible)
    model = SMORE(catalog({"visual": 5}), dim=5)
    assert len(model.prepared(view)) == 2
    check_finite_step(model, BATCH, view)
    assert torch.isfinite(model.score(torch.arange(N_USERS), view)).all()
