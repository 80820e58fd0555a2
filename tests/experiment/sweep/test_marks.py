"""The marks of a sweep's closing table."""

from pathlib import Path
from typing import Any

from recmm.experiment.sweep.marks import MARKED, marks_of


def result(model: str, test: float, *, aware: bool = True, layers: int = 1, **more: Any) -> dict[str, Any]:
    identity = {"model.n_layers": layers, "trainer.max_epochs": 10}
    about = {"model": model, "dataset": "tiktok", "data": {"digest": "d"}, "uses_modalities": aware, "epochs": 10}
    return about | {"identity": identity, "monitor": "val/recall@20", "val/recall@20": test, MARKED: test} | more


def marks(*results: dict[str, Any]) -> list[str]:
    found = marks_of({Path(str(number)): result for number, result in enumerate(results)})
    return [found.get(Path(str(number)), "none") for number in range(len(results))]


def test_below_popularity_and_below_a_method_without_features() -> None:
    popularity = result("popularity", 0.2, aware=False, epochs=0)
    free = result("lightgcn", 0.5, aware=False)
    assert marks(popularity, free, result("vbpr", 0.1), result("bm3", 0.3), result("mgcn", 0.6)) == [
        *("", "", "▽◇", "◇", ""),
    ]
    assert marks(free, result("bm3", 0.3, **{"data": {"digest": "other"}})) == ["", ""]
    assert marks(popularity, {}) == ["", "none"]


def test_only_a_bar_with_no_larger_budget_counts_and_it_is_chosen_on_validation() -> None:
    searched = [result("lightgcn", 0.5, aware=False), result("lightgcn", 0.4, aware=False, layers=2)]
    assert marks(*searched, result("bm3", 0.3)) == ["", "", ""]
    assert marks(*searched, result("bm3", 0.3), result("bm3", 0.2, layers=2))[2:] == ["◇", "◇"]
    better_on_test = [searched[0] | {"val/recall@20": 0.1}, searched[1]]
    assert marks(*better_on_test, result("bm3", 0.45), result("bm3", 0.2, layers=2))[2:] == ["", "◇"]
    assert marks(result("lightgcn", 0.5, aware=False, settings_source="published"), result("bm3", 0.3))[1] == ""
