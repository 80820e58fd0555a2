"""Bars of the variants of one class."""

from pathlib import Path

from recmm.report.figures.ablations import ablations


def test_an_ablation_is_of_models_of_one_class(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for model, kind, hits in (("ci2mg", "CI2MG", 3), ("ci2mg_base", "CI2MG", 1), ("ci2mg_like", "Other", 2)):
        config = {"model._target_": f"recmm.models.{kind}"}
        write_run(f"sweep/{model}", model=model, config=config, values=[1] * hits + [0] * (4 - hits))
    worse = {"val/recall@20": 0.01, "config": {"model.n_layers": 7, "model._target_": "recmm.models.CI2MG"}}
    write_run("sweep/better on test only", model="ci2mg_base", values=[1, 1], **worse)
    (figure,) = ablations(results_of(tmp_path / "sweep"))
    assert figure.bars
    assert {series.name: (series.x, series.y) for series in figure.series} == {
        "ci2mg": (("rate 0.5",), (0.75,)),
        "ci2mg_base": (("rate 0.5",), (0.25,)),
    }
