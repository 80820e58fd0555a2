"""Tiny real runs in this process, for tests of what is on disk."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recmm.experiment import launch

SYNTHETIC = ("dataset.n_users=40", "dataset.n_items=30")
TINY = (
    *("model=lightgcn", "model.dim=4", "logger=csv", "missing=full"),
    *("trainer.threads=1", "trainer.progress=false", "trainer.accelerator=cpu", "model.training.lr=0.01"),
)


def run(folder: Path, *arguments: str, epochs: int = 3, data: Sequence[str] = SYNTHETIC) -> int:
    """The exit code of a run in ``folder``."""
    try:
        launch.main([*TINY, *data, f"trainer.max_epochs={epochs}", f"hydra.run.dir={folder}", *arguments])
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def result_of(folder: Path) -> dict[str, Any]:
    """Content of the run's `result.json`."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result


def numbers_of(folder: Path) -> dict[str, Any]:
    """What must be equal in two runs with one signature."""
    keys = ("signature", "best_epoch", "epochs", "strata", "masks", "data", "status")
    return {k: v for k, v in result_of(folder).items() if k.startswith(("val/", "test/")) or k in keys}


def at_epoch(monkeypatch: Any, epoch: int, act: Callable[[], None]) -> None:
    """Have a run call ``act`` at the beginning of an epoch, counted from 0."""
    from recmm.models.base import Recommender

    start = Recommender.on_train_epoch_start

    def on_train_epoch_start(self: Recommender) -> None:
        if self.current_epoch == epoch:
            act()
        start(self)

    monkeypatch.setattr(Recommender, "on_train_epoch_start", on_train_epoch_start)
