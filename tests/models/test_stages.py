"""Stages and opponents: which epochs, which parameters, which batches, and what a resumed run goes on with."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic
from recmm.datamodules.base import InMemory
from recmm.models.stages import Schedule, Stage
from recmm.seeding import seed_torch
from tests.models.staged import Staged


def plan(stages: list[Stage], max_epochs: int) -> list[str]:
    schedule = Schedule(stages, max_epochs)
    return [schedule.at(epoch).stage.name for epoch in range(schedule.total_epochs)]


def test_max_epochs_counts_ranking_stages_and_bounds_the_others() -> None:
    stages = [Stage("a", 3, ranks=False), Stage("b", 2), Stage("c")]
    assert plan(stages, 5) == [*"aaabbccc"]
    assert plan(stages, 1) == [*"ab"]  # a short trial is short as a whole, and "c" never comes
    assert plan([Stage()], 4) == ["main"] * 4
    assert plan([Stage("a", 0, ranks=False), Stage("b")], 2) == [*"bb"]
    assert Schedule(stages, -1).total_epochs == -1 and Schedule(stages, -1).at(100).stage.name == "c"
    assert Schedule([Stage("a", 3, ranks=False), Stage("b", 2)], 9).total_epochs == 5


@pytest.mark.parametrize("stages", [[], [Stage(ranks=False, epochs=1)], [Stage("a"), Stage("b")]])
def test_stages_that_cannot_be_scheduled_are_refused(stages: list[Stage]) -> None:
    with pytest.raises(ValueError):
        Schedule(stages, 5)


@pytest.fixture(scope="module")
def dataset() -> MultimodalDataset:
    return synthetic(n_users=61, n_items=43, seed=0)


class Watch(Checkpoint):
    """What happened in each epoch; Lightning calls checkpoint callbacks after the method's own hooks."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        self.validated: list[int] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.before = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated.append(trainer.current_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        changed = {
            name.partition(".")[0] for name, p in pl_module.named_parameters() if not torch.equal(p, self.before[name])
        }
        terms = {name for name in pl_module.results if name.startswith("train/")}
        optimizer = trainer.optimizers[0]
        steps = {int(state["step"]) for state in optimizer.state.values()}
        self.epochs.append(
            {"changed": changed, "terms": terms, "batches": trainer.num_training_batches, "steps": steps}
            | {"stage_epoch": pl_module.stage_epoch}
        )


def fitted(dataset: MultimodalDataset, **trainer: Any) -> tuple[Staged, Watch, pl.Trainer]:
    seed_torch(0, 0, "initialisation")
    model, watch = Staged(dataset.catalog(), training={"batch_size": 256, "lr": 0.01}), Watch()
    settings: Any = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
    settings |= {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}
    runner = pl.Trainer(**settings | trainer, callbacks=[watch], deterministic="warn")
    runner.fit(model, InMemory(dataset))
    return model, watch, runner


def test_each_stage_trains_its_own_on_its_own_batches_with_a_fresh_optimiser(dataset: MultimodalDataset) -> None:
    _, watch, trainer = fitted(dataset)
    assert trainer.max_epochs == 4
    first, second, third, fourth = watch.epochs
    n_pairs = -(-len(dataset.train) // 256)
    assert first["changed"] == second["changed"] == {"generator"}
    assert third["changed"] == fourth["changed"] == {"ego", "generator", "critic"}
    assert [epoch["batches"] for epoch in watch.epochs] == [2, 2, n_pairs, n_pairs]  # 43 items in batches of 32
    assert [epoch["steps"] for epoch in watch.epochs] == [{2}, {4}, {n_pairs}, {2 * n_pairs}]
    assert [epoch["stage_epoch"] for epoch in watch.epochs] == [0, 1, 0, 1]
    assert first["terms"] == {"train/loss", "train/reconstruction"}
    joint = {"train/loss", "train/bpr", "train/ego_l2", "train/fooled", "train/critic/real", "train/critic/fake"}
    assert third["terms"] == joint
    assert watch.validated == [2, 3]  # a stage that does not rank is not validated


def test_an_opponents_terms_are_no_part_of_the_loss(dataset: MultimodalDataset) -> None:
    model, _, _ = fitted(dataset)
    own = ("bpr", "ego_l2", "fooled")
    assert model.results["train/loss"] == pytest.approx(sum(model.results[f"train/{name}"] for name in own))


def test_an_opponent_steps_once_before_every_step_and_its_gradient_is_clipped(
    dataset: MultimodalDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms: list[float] = []
    order: list[str] = []
    step, losses = torch.optim.Adam.step, Staged.losses

    def watched(self: torch.optim.Adam, closure: Any = None) -> Any:
        if len(self.param_groups[0]["params"]) == 2 and closure is None:  # the critic's
            gradients = [p.grad for p in self.param_groups[0]["params"]]
            norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
            order.append("critic")
        return step(self, closure)

    def noted(self: Staged, *arguments: Any) -> Any:
        order.append("method")
        assert all(p.grad is None for p in self.critic.parameters())
        return losses(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    monkeypatch.setattr(Staged, "losses", noted)
    fitted(dataset, max_epochs=1, gradient_clip_val=0.01)
    assert order == ["critic", "method"] * (len(order) // 2) and order
    assert max(norms) <= 0.01 + 1e-6


def test_the_main_optimiser_leaves_the_opponent_alone(dataset: MultimodalDataset) -> None:
    model = Staged(dataset.catalog())
    ids = {id(p) for p in model.main_parameters()}
    assert ids == {id(model.ego), *map(id, model.generator.parameters())}
