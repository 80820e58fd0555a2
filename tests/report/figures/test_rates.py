"""Curves over the missing rate, and the values in them."""

from pathlib import Path

import pytest

from recmm.report.figures.figure import Figure
from recmm.report.figures.rates import over_rate, relative_over_rate


def lines(figure: Figure) -> dict[str, tuple]:
    return {series.name: (series.x, series.y) for series in figure.series}


def test_over_rate_a_line_per_method_with_several_and_a_flat_one_without_modalities(
    made_sweep: Path, results_of
) -> None:  # type: ignore[no-untyped-def]
    (figure,) = over_rate(results_of(made_sweep))
    assert lines(figure) == {
        "popularity": ((0.1, 0.9), (0.25, 0.25)),
        "first": ((0.1, 0.9), (0.625, 0.125)),
        "second": ((0.1, 0.9), (0.25, 0.5)),
    }
    assert figure.series[1].sd == pytest.approx((0.125 * 2**0.5, 0.125 * 2**0.5))
    assert figure.series[1].hover[0].splitlines() == [
        "first at 0.1",
        "0.6250 ± 0.1768 (n = 2)",
        "first-0.1-0",
        "first-0.1-1",
    ]


def test_conditions_that_differ_in_more_than_the_rate_have_lines_of_their_own(
    write_run, results_of, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    for imputer in ("mean", "zero"):
        for rate in (0.1, 0.9):
            write_run(f"sweep/{imputer}-{rate}", missing={"rate": rate}, imputer=imputer, values=[1.0, 0.0])
    (figure,) = over_rate(results_of(tmp_path / "sweep"))
    assert list(lines(figure)) == ["first, imputer=mean", "first, imputer=zero"]


def test_relative_performance_over_the_rate(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run("sweep/full", missing={"setting": "full", "rate": None}, values=[1, 1, 1, 1])
    for rate, hits in ((0.1, 3), (0.9, 1)):
        write_run(f"sweep/{rate}", missing={"rate": rate}, values=[1] * hits + [0] * (4 - hits))
    (figure,) = relative_over_rate(results_of(tmp_path / "sweep"))
    assert lines(figure) == {"first": ((0.1, 0.9), (0.75, 0.25))}


def test_one_rate_of_both_phases_makes_a_curve_and_a_rate_of_0_stands_in_for_full(
    write_run, results_of, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    for rate, hits in ((0.0, 4), (0.5, 2), (0.9, 1)):
        missing = {"setting": "mtmt", "rate": None, "train_rate": rate, "test_rate": rate}
        write_run(f"sweep/{rate}", missing=missing, values=[1] * hits + [0] * (8 - hits))
    write_run("sweep/blind", model="blind", blind=True, values=[1, 0])
    results = results_of(tmp_path / "sweep")
    (figure,) = over_rate(results)
    x = (0.0, 0.5, 0.9)
    assert lines(figure) == {"blind": (x, (0.5, 0.5, 0.5)), "first": (x, (0.5, 0.25, 0.125))}
    (relative,) = relative_over_rate(results)
    assert lines(relative) == {"blind": (x, (1, 1, 1)), "first": (x, (1, 0.5, 0.25))}
