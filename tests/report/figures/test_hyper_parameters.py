"""Curves over swept hyper-parameters."""

from pathlib import Path

from recmm.report.figures.figure import Figure
from recmm.report.figures.hyper_parameters import over_hyper_parameters


def lines(figure: Figure) -> dict[str, tuple]:
    return {series.name: (series.x, series.y) for series in figure.series}


def test_over_a_setting_with_all_others_held(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings = [(4, 0.1, 1), (8, 0.1, 2), (400, 0.1, 3), (8, 0.5, 4), (400, 0.5, 0)]
    for k, tau, hits in settings:
        config = {"model.n_prototypes": k, "model.tau": tau}
        write_run(f"sweep/{k}-{tau}", config=config, values=[1] * hits + [0] * (4 - hits))
    over_k, over_tau = over_hyper_parameters(results_of(tmp_path / "sweep"))
    assert (over_k.x_label, over_k.log_x) == ("n_prototypes", True)
    assert lines(over_k) == {"tau=0.1": ((4, 8, 400), (0.25, 0.5, 0.75)), "tau=0.5": ((8, 400), (1, 0))}
    assert (over_tau.x_label, over_tau.log_x) == ("tau", False)
    assert lines(over_tau) == {"n_prototypes=8": ((0.1, 0.5), (0.5, 1)), "n_prototypes=400": ((0.1, 0.5), (0.75, 0))}
