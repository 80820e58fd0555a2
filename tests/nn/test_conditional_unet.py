"""The conditional U-Net: its parts against NumPy, and what its output depends on."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recmm.nn.conditional_unet import ConditionalUNet, CrossAttention, FourierTime


def test_the_time_is_sines_and_cosines_of_fixed_frequencies() -> None:
    torch.manual_seed(0)
    block, t = FourierTime(8), torch.tensor([0.0, 0.3])
    assert "frequencies" in block.state_dict() and "frequencies" not in dict(block.named_parameters())
    angles = 2 * np.pi * t.numpy()[:, None] * block.frequencies.numpy()
    out = np.concatenate([np.sin(angles), np.cos(angles)], 1) @ block.linear.weight.detach().numpy().T
    out += block.linear.bias.detach().numpy()
    np.testing.assert_allclose(block(t).detach().numpy(), out / (1 + np.exp(-out)), rtol=1e-3, atol=1e-5)


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    block, x, condition = CrossAttention((5, 6), (7, 4), 2), torch.randn(3, 5, 6), torch.randn(3, 7, 4)
    twin = torch.nn.MultiheadAttention(6, 2, kdim=4, vdim=4, batch_first=True)
    weights = (block.query.weight, *block.key_value.weight.chunk(2))
    pairs: list[tuple[Tensor, Tensor]] = list(
        zip((twin.q_proj_weight, twin.k_proj_weight, twin.v_proj_weight), weights, strict=True)
    )
    pairs += [(twin.in_proj_bias, torch.cat([block.query.bias, block.key_value.bias]))]
    pairs += [(twin.out_proj.weight, block.output.weight), (twin.out_proj.bias, block.output.bias)]
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(ours)
    key = condition + block.condition_places
    attended = x + twin(block.norm(x) + block.places, key, key)[0]
    torch.testing.assert_close(block(x, condition), attended + block.feed_forward(attended))


@pytest.mark.parametrize("widths", [[4], [4, 8], [4, 8, 16]])
def test_the_output_has_the_inputs_shape_and_depends_on_everything(widths: list[int]) -> None:
    torch.manual_seed(0)
    net = ConditionalUNet(2, 8, widths, (6, 3))
    x, t, condition = torch.randn(5, 2, 8), torch.rand(5), torch.randn(5, 6, 3)
    out = net(x, t, condition)
    assert out.shape == x.shape
    assert not torch.allclose(net(x, t + 0.1, condition), out) and not torch.allclose(net(x, t, -condition), out)
    torch.testing.assert_close(net(x[:2], t[:2], condition[:2]), out[:2], rtol=1e-4, atol=1e-5)  # rows stay apart
    assert net(x[:0], t[:0], condition[:0]).shape == (0, 2, 8)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_a_length_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="A length of 6 cannot be halved 2 times"):
        ConditionalUNet(1, 6, [2, 4, 8], (6, 1))
