"""Numbers of papers, joined to measured ones."""

from pathlib import Path

from recmm.report.comparison.published import match, published_table
from recmm.report.records.published import COLUMNS, read_published

HEAD = ",".join(COLUMNS)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


def test_a_number_stands_beside_the_same_dataset_setting_method_rate_and_metric(made_sweep: Path, results_of) -> None:  # type: ignore[no-untyped-def]
    lines = (
        "T,tiktok,rate,first,,0.1,recall@20,0.0720,",
        "T,tiktok,rate,popularity,,0.9,recall@20,0.01,",
        "T,tiktok,rate,first,,,recall@20,0.5,no rate",
        "T,tiktok,rate,first,,0.9,recall@20,,figure",
        "T,tiktok,mtmt,first,,0.1,recall@20,0.4,",
        "T,baby,rate,first,,0.1,recall@20,0.3,",
        "T,tiktok,rate,second,a,0.1,recall@20,0.2,",
        "U,tiktok,rate,second,b,0.1,recall@20,0.1,differs from T",
    )
    printed = read_published([write(made_sweep / "published.csv", *lines)])
    found, rest = match(results_of(made_sweep), printed)
    assert found == {
        ("tiktok (split split)", "first", "rate 0.1", "recall@20"): "0.0720",
        ("tiktok (split split)", "popularity", "rate 0.9", "recall@20"): "0.01",
    }
    assert rest["value"].to_list() == ["0.5", None, "0.4", "0.3", "0.2", "0.1"]


def test_a_model_with_several_variants_takes_none(write_run, results_of, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for layers in (1, 2):
        write_run(f"sweep/{layers}", config={"model.n_layers": layers})
    printed = read_published([write(tmp_path / "p.csv", "T,tiktok,rate,first,,0.5,recall@20,0.07,")])
    found, rest = match(results_of(tmp_path / "sweep"), printed)
    assert (found, len(rest)) == ({}, 1)


def test_the_others_have_a_table_with_a_column_per_metric(tmp_path: Path) -> None:
    lines = (
        "T,baby,rate,x,,0.9,recall@20,0.0220,",
        "T,baby,rate,x,,0.9,ndcg@20,,only a figure",
        "T,baby,ftmt,x,v,,ndcg@20,0.1,",
    )
    table = published_table(read_published([write(tmp_path / "p.csv", *lines)]))
    assert table is not None
    assert table.columns == ("recall@20", "ndcg@20", "note")
    assert [(row.labels, [cell.value for cell in row.cells]) for row in table.rows] == [
        (("T", "baby", "rate", "0.9", "x", ""), ["0.0220", None, "only a figure"]),
        (("T", "baby", "ftmt", "", "x", "v"), [None, "0.1", None]),
    ]
    assert published_table(read_published([])) is None
