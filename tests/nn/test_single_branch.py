"""The parts of a single-branch network against NumPy."""

from typing import Any

import numpy as np
import torch

from recmm.graph import Graph
from recmm.nn.single_branch import Branch, History


def test_rows_of_interactions_have_unit_length_and_empty_ones_are_the_bias() -> None:
    torch.manual_seed(0)
    block = History(Graph(torch.tensor([0, 0, 2]), torch.tensor([1, 3, 0]), (3, 4)), 5)
    with torch.no_grad():
        block.bias.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0, 1.0]))
    rows = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]]) / np.array([[2**0.5], [1], [1]])
    expected = np.maximum(rows @ block.weight.detach().numpy() + block.bias.detach().numpy(), 0)
    np.testing.assert_allclose(block().detach().numpy(), expected, rtol=1e-5)


def test_a_branch_normalises_over_its_batch_in_training_and_by_what_it_has_seen_later() -> None:
    torch.manual_seed(0)
    block, x = Branch(4, 1, 3, 0.0), torch.randn(6, 4)
    layers: Any = block.layers
    _, first, _, last = layers
    hidden = np.maximum(x.numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    out = hidden @ last.weight.detach().numpy().T
    expected = (out - out.mean(0)) / np.sqrt(out.var(0) + 1e-5)
    np.testing.assert_allclose(block(x).detach().numpy(), expected, rtol=1e-3, atol=1e-5)
    mean, var = 0.1 * out.mean(0), 0.9 + 0.1 * out.var(0, ddof=1)
    np.testing.assert_allclose(
        block.eval()(x).detach().numpy(), (out - mean) / np.sqrt(var + 1e-5), rtol=1e-3, atol=1e-5
    )


def test_a_single_row_is_normalised_by_what_was_seen() -> None:
    block = Branch(4, 0, 3, 0.0)
    x = torch.randn(1, 4)
    assert torch.equal(block(x), block.eval()(x))
    assert block.norm.running_mean is not None and not block.norm.running_mean.any()
