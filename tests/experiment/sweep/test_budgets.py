"""What was spent on a method, from its records, and when two budgets are equal."""

from typing import Any

from recmm.experiment.sweep.budgets import Budget, budget_of, common_budget, is_equal, searched


def result(layers: int = 1, *, rate: float | None = 0.5, seed: int = 0, epochs: int = 3, **more: Any) -> dict[str, Any]:
    identity = {"model.n_layers": layers, "model.training.seed": seed, "seed": seed, "trainer.max_epochs": 10}
    identity |= {} if rate is None else {"missing.rate": rate, "missing.seed": seed, "imputer._target_": "Mean"}
    return {"identity": identity, "epochs": epochs, "wall_seconds": 2.0} | more


def test_trials_are_the_settings_of_one_condition() -> None:
    assert budget_of([result(), result(seed=1), result(rate=0.9)]) == Budget(1, 10, 2.0)
    assert budget_of([result(), result(2), result(3, seed=1, wall_seconds=5.0)]) == Budget(3, 10, 9.0)
    assert budget_of([result(), result(2, rate=0.9)]).trials == 1
    assert budget_of([result(rate=None, epochs=0), result(2, rate=None, epochs=0)]) == Budget(2, 0, 4.0)


def test_the_common_budget_is_that_of_most_trained_methods() -> None:
    few, many, closed = Budget(4, 20, 100.0), Budget(20, 20, 50.0), Budget(12, 0, 9.0)
    assert common_budget([few, many, Budget(4, 20, 30.0), closed]) == Budget(4, 20, 30.0)
    assert common_budget([few, many, closed]) == many  # the larger of two that are as frequent
    assert common_budget([closed]) == closed


def test_equal_budgets() -> None:
    common = Budget(4, 20, 30.0)
    assert is_equal(Budget(4, 20, 999.0), common)
    assert not is_equal(Budget(4, 10, 1.0), common) and not is_equal(Budget(5, 20, 1.0), common)
    assert is_equal(Budget(12, 0, 9.0), common)  # a grid without training, within the seconds
    assert is_equal(Budget(4, 0, 99.0), common) and not is_equal(Budget(12, 0, 99.0), common)
    assert Budget(4, 10, 999.0).within(common) and not Budget(4, 21, 1.0).within(common)


def test_searched_lists_what_was_tried() -> None:
    assert searched([result(10), result(2), result(2, seed=1, rate=0.1)]) == {"model.n_layers": [2, 10]}
    assert searched([result(), result(seed=1)]) == {}
