"""Learning curves."""

from pathlib import Path

import polars as pl

from recmm.report.figures.learning import learning_curves


def test_learning_curves_have_a_line_per_run_and_a_colour_per_condition(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    results = results_of(made_sweep)
    history = pl.DataFrame({"epoch": [0, 1, 2], "val/recall@20": [0.1, None, 0.3]})
    histories = dict.fromkeys(results.frame.filter(model="first")["folder"], history)
    (figure,) = learning_curves(results, histories)
    assert [(series.name, series.style) for series in figure.series] == [("rate 0.1", 0)] * 2 + [("rate 0.9", 1)] * 2
    assert {(series.x, series.y) for series in figure.series} == {((0, 2), (0.1, 0.3))}
