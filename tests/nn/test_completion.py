"""Completion: what it reads and keeps, whose chance it uses, and that it learns what one modality says of another."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recmm.errors import ConfigError
from recmm.nn.completion import Completion, CompletionSettings

SMALL: dict[str, Any] = {"latent_channels": 3, "latent_width": 8, "n_levels": 2, "n_steps": 50, "n_sampling_steps": 5}


def make(widths: list[int], **keywords: Any) -> Completion:
    torch.manual_seed(0)
    return Completion(widths, CompletionSettings(**SMALL | keywords))


def items() -> tuple[list[Tensor], Tensor]:
    """Item 1 lacks the first modality, item 2 the second, item 4 both."""
    torch.manual_seed(1)
    mask = torch.ones(6, 2, dtype=torch.bool)
    mask[1, 0] = mask[2, 1] = mask[4] = False
    return [torch.randn(6, 5), torch.randn(6, 4)], mask


def test_latents_have_mean_0_and_variance_1_and_hidden_ones_are_zero() -> None:
    features, mask = items()
    latents = make([5, 4]).encode(features, mask)
    assert latents.shape == (6, 2, 3, 8) and not latents[~mask].any()
    torch.testing.assert_close(latents[mask].mean((1, 2)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents[mask].square().mean((1, 2)), torch.ones(8), atol=1e-2, rtol=0)


def test_the_condition_is_of_the_other_modalities() -> None:
    features, mask = items()
    model = make([5, 4])
    other = [features[0] + 1, features[1]]
    (own, same), (first, second) = (
        [model.condition(m, model.encode(x, mask)) for x in (features, other)] for m in (0, 1)
    )
    assert torch.equal(own, same) and not torch.allclose(first, second)


def test_hidden_rows_are_neither_read_nor_kept_and_visible_ones_stay() -> None:
    features, mask = items()
    model = make([5, 4])
    poisoned = [torch.where(mask[:, [m]], x, 1e6) for m, x in enumerate(features)]
    results = []
    for given in (features, poisoned):
        torch.manual_seed(3)
        losses = model.losses(given, mask)
        results.append((losses["diffusion"], losses["reconstruction"], *model.complete(given, mask, 0)))
    for clean, spoiled in zip(*results, strict=True):
        assert torch.equal(clean, spoiled)
    for m, completed in enumerate(results[0][2:]):
        assert torch.equal(completed[mask[:, m]], features[m][mask[:, m]])
        assert completed.isfinite().all() and (completed[~mask[:, m]] != features[m][~mask[:, m]]).all()


def test_completion_depends_on_its_seed_and_leaves_the_global_generator_alone() -> None:
    features, mask = items()
    model = make([5, 4])
    state = torch.get_rng_state()
    first, second, other = (model.complete(features, mask, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, mask = items()
    model = make([5, 4])
    mask[:, 0] = False
    whole = model.complete(features, mask, 0)
    monkeypatch.setattr(Completion, "CHUNK", 2)
    for one, other in zip(whole, model.complete(features, mask, 0), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("visible", [True, False])
def test_all_or_nothing_is_there(visible: bool) -> None:
    x, mask = [torch.randn(6, 5)], torch.full((6, 1), visible)
    model = make([5])
    losses = model.losses(x, mask)
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert torch.equal(model.complete(x, mask, 0)[0], x[0]) is visible
    assert visible or all(value == 0 for value in losses.values())


def test_each_loss_trains_its_own_networks() -> None:
    features, mask = items()
    model = make([5, 4])
    model.losses(features, mask)["diffusion"].backward()
    reached = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"networks", "conditions"}


def test_what_is_generated_follows_from_what_an_item_shows() -> None:
    features, mask = items()
    model, order = make([5, 4]), torch.tensor([4, 2, 0, 1, 5, 3])
    for x, other in zip(
        model.complete(features, mask, 0),
        model.complete([x[order] for x in features], mask[order], 0),
        strict=True,
    ):
        torch.testing.assert_close(other, x[order], rtol=1e-4, atol=1e-5)


def test_it_learns_what_one_modality_says_of_the_other() -> None:
    """Two kinds of items, told by the sign of what they show; without the condition half of the signs are right."""
    model = make([3, 3], n_levels=1, n_steps=1000, n_sampling_steps=10)
    x = torch.randn(400, 1).sign() * torch.ones(1, 3) + 0.1 * torch.randn(400, 3)
    features, mask = [x, -x], torch.ones(400, 2, dtype=torch.bool)
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(100):
        rows = torch.randint(300, (64,))
        adam.zero_grad()
        torch.stack(list(model.losses([f[rows] for f in features], mask[rows]).values())).sum().backward()
        adam.step()
    mask[300:, 1] = False
    generated = model.complete(features, mask, 0)[1][300:]
    assert (generated.mean(1).sign() == -x[300:].mean(1).sign()).float().mean() > 0.95
    assert generated.abs().mean() > 0.7


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        (
            {"latent_width": 6, "n_levels": 3},
            r"model\.completion\.latent_width is 6, .* take a multiple of 4, or a smaller",
        ),
        ({"n_heads": 3}, r"model\.completion\.n_heads is 3; expected a divisor of 16"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(keywords: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make([5], **keywords)
