"""Which figures a set of runs has, and the values in them."""

from pathlib import Path

import polars as pl
import pytest

from recmm.report import plots
from recmm.report.figures import Figure
from recmm.report.labels import with_names
from recmm.report.runs import Runs, in_every_condition, load_runs

METRIC = ["recall@20"]


def runs_of(sweep: Path) -> Runs:
    runs = load_runs([sweep])
    frame = with_names(runs.frame.with_columns(link=pl.col("folder").str.split("/").list.last()))
    return Runs(frame, runs.unfinished, runs.hyper_parameters)


def lines(figure: Figure) -> dict[str, tuple]:
    return {series.name: (series.x, series.y) for series in figure.series}


def test_over_rate_a_line_per_method_with_several_and_a_flat_one_without_modalities(made_sweep: Path) -> None:
    (figure,) = plots.over_rate(in_every_condition(runs_of(made_sweep).frame), METRIC)
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


def test_conditions_that_differ_in_more_than_the_rate_have_lines_of_their_own(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for imputer in ("mean", "zero"):
        for rate in (0.1, 0.9):
            write_run(f"sweep/{imputer}-{rate}", missing={"rate": rate}, imputer=imputer, values=[1.0, 0.0])
    (figure,) = plots.over_rate(runs_of(tmp_path / "sweep").frame, METRIC)
    assert list(lines(figure)) == ["first, imputer=mean", "first, imputer=zero"]


def test_over_a_setting_with_all_others_held(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings = [(4, 0.1, 1), (8, 0.1, 2), (400, 0.1, 3), (8, 0.5, 4), (400, 0.5, 0)]
    for k, tau, hits in settings:
        config = {"model.n_prototypes": k, "model.tau": tau}
        write_run(f"sweep/{k}-{tau}", config=config, values=[1] * hits + [0] * (4 - hits))
    runs = runs_of(tmp_path / "sweep")
    over_k, over_tau = plots.over_settings(runs.frame, runs.hyper_parameters, METRIC)
    assert (over_k.x_label, over_k.log_x) == ("n_prototypes", True)
    assert lines(over_k) == {"tau=0.1": ((4, 8, 400), (0.25, 0.5, 0.75)), "tau=0.5": ((8, 400), (1, 0))}
    assert (over_tau.x_label, over_tau.log_x) == ("tau", False)
    assert lines(over_tau) == {"n_prototypes=8": ((0.1, 0.5), (0.5, 1)), "n_prototypes=400": ((0.1, 0.5), (0.75, 0))}


def test_an_ablation_is_of_models_of_one_class(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for model, kind, hits in (("ci2mg", "CI2MG", 3), ("ci2mg_base", "CI2MG", 1), ("ci2mg_like", "Other", 2)):
        config = {"model._target_": f"recmm.models.{kind}"}
        write_run(f"sweep/{model}", model=model, config=config, values=[1] * hits + [0] * (4 - hits))
    worse = {"val/recall@20": 0.01, "config": {"model.n_layers": 7, "model._target_": "recmm.models.CI2MG"}}
    write_run("sweep/better on test only", model="ci2mg_base", values=[1, 1], **worse)
    (figure,) = plots.ablations(runs_of(tmp_path / "sweep").frame, METRIC, "val/recall@20")
    assert figure.bars
    assert lines(figure) == {
        "ci2mg": (("rate 0.5",), (0.75,)),
        "ci2mg_base": (("rate 0.5",), (0.25,)),
    }


def test_learning_curves_have_a_line_per_run_and_a_colour_per_condition(made_sweep: Path) -> None:
    runs = runs_of(made_sweep).frame
    history = pl.DataFrame({"epoch": [0, 1, 2], "val/recall@20": [0.1, None, 0.3]})
    histories = dict.fromkeys(runs.filter(pl.col("model") == "first")["folder"], history)
    (figure,) = plots.learning_curves(runs, histories, "val/recall@20")
    assert [(series.name, series.style) for series in figure.series] == [("rate 0.1", 0)] * 2 + [("rate 0.9", 1)] * 2
    assert {(series.x, series.y) for series in figure.series} == {((0, 2), (0.1, 0.3))}


def test_the_share_of_full_modality_over_the_rate(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write_run("sweep/full", missing={"setting": "full", "rate": None}, values=[1, 1, 1, 1])
    for rate, hits in ((0.1, 3), (0.9, 1)):
        write_run(f"sweep/{rate}", missing={"rate": rate}, values=[1] * hits + [0] * (4 - hits))
    (figure,) = plots.degradation(runs_of(tmp_path / "sweep").frame, METRIC)
    assert lines(figure) == {"first": ((0.1, 0.9), (0.75, 0.25))}


def test_one_rate_of_both_phases_makes_a_curve_and_a_rate_of_0_stands_in_for_full(write_run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for rate, hits in ((0.0, 4), (0.5, 2), (0.9, 1)):
        missing = {"setting": "mtmt", "rate": None, "train_rate": rate, "test_rate": rate}
        write_run(f"sweep/{rate}", missing=missing, values=[1] * hits + [0] * (8 - hits))
    write_run("sweep/blind", model="blind", blind=True, values=[1, 0])
    runs = in_every_condition(runs_of(tmp_path / "sweep").frame)
    (figure,) = plots.over_rate(runs, METRIC)
    x = (0.0, 0.5, 0.9)
    assert lines(figure) == {"blind": (x, (0.5, 0.5, 0.5)), "first": (x, (0.5, 0.25, 0.125))}
    (relative,) = plots.degradation(runs, METRIC)
    assert lines(relative) == {"blind": (x, (1, 1, 1)), "first": (x, (1, 0.5, 0.25))}
