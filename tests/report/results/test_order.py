"""The order of conditions and methods."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from recmm.report.results.order import in_order
from recmm.report.results.results import Results

RunWriter = Callable[..., Path]
Tabulate = Callable[[Path], Results]


def test_order_of_conditions_and_methods(write_run: RunWriter, results_of: Tabulate, tmp_path: Path) -> None:
    for model, layers in (("vbpr", 10), ("vbpr", 9), ("lattice", 1), ("popularity", 1), ("random", 1)):
        for setting, rate in (("rate", 0.9), ("mtmt", 0.5), ("rate", 0.1), ("natural", None), ("full", None)):
            missing = {"setting": setting, "rate": rate}
            write_run(
                f"sweep/{model}-{layers}-{setting}-{rate}", model=model, missing=missing, config={"model.k": layers}
            )
    frame = results_of(tmp_path / "sweep").everywhere
    assert in_order(frame, "condition") == ["full", "natural", "mtmt 0.5", "rate 0.1", "rate 0.9"]
    assert in_order(frame, "method") == ["random", "popularity", "lattice", "vbpr (k=9)", "vbpr (k=10)"]
    assert in_order(frame.filter(pl.col("model") == "vbpr"), "method") == ["vbpr (k=9)", "vbpr (k=10)"]
