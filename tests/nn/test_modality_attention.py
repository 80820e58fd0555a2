"""Attention over modalities against NumPy, and where there is nothing to attend to."""

import numpy as np
import torch

from recmm.nn.modality_attention import ModalityAttention


def test_by_hand() -> None:
    attention, x = ModalityAttention(3, 5, 2), torch.randn(4, 3, 5)
    weights = {name: p.detach().double().numpy() for name, p in attention.named_parameters()}
    a = x.double().numpy()
    expected = np.zeros((4, 5))
    for n in range(4):
        for m in range(3):
            heads = []
            for h in (slice(0, 3), slice(3, 6)):  # 5 coordinates for two heads: 3 each
                query = weights["query.weight"][h] @ a[n, m]
                keys = a[n] @ weights["key.weight"][h].T
                shares = np.exp(keys @ query / 3**0.5)
                heads.append(shares / shares.sum() @ a[n])
            expected[n] += weights["output.weight"] @ np.concatenate(heads) / 3
    torch.testing.assert_close(attention(x), torch.tensor(expected, dtype=torch.float32), rtol=1e-4, atol=1e-5)


def test_the_identity_is_a_linear_map_of_the_mean() -> None:
    attention, x = ModalityAttention(3, 4, 2, identity=True), torch.randn(6, 3, 4)
    torch.testing.assert_close(attention(x), attention.output(x.mean(1).repeat(1, 2)))
    assert {name for name, _ in attention.named_parameters()} == {"output.weight"}


def test_a_single_modality_has_nothing_to_attend_to() -> None:
    attention = ModalityAttention(1, 4, 2)
    attention(torch.randn(6, 1, 4)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in attention.parameters())
