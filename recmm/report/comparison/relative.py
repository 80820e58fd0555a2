"""Relative performance: what each method reaches with missing modalities, as a share of its full-modality result."""

from recmm.report.comparison.tables import Table, note_of, row_of
from recmm.report.results.cells import means
from recmm.report.results.naming import file_name, metric_name
from recmm.report.results.order import in_order
from recmm.report.results.results import FULL, Results


def relative_performance(results: Results) -> list[Table]:
    """Methods by conditions, one table per catalogue and metric; 1 is the method's own full-modality result.

    There is no table where no method ran with full modality.
    """
    tables = []
    for (catalogue,), group in results.relative.group_by("catalogue", maintain_order=True):
        conditions = [condition for condition in in_order(group, "condition") if condition != FULL]
        for metric in results.metrics:
            cells = means(group, ("method", "condition"), f"relative/{metric}", digits=3)
            rows = tuple(row_of((method,), cells, conditions) for method in in_order(group, "method"))
            note = note_of(
                rows,
                f"{metric_name(metric)} of each run divided by the mean of the same method with full modality. The "
                "standard deviation does not include the spread of that mean",
            )
            name = file_name("degradation", str(catalogue), metric)
            title = f"Relative performance: {metric_name(metric)} on {catalogue}"
            tables.append(Table(name, title, note, ("method",), tuple(conditions), rows))
    return [table for table in tables if table.columns and any(cell.n for row in table.rows for cell in row.cells)]
