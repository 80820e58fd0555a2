"""Epochs, time and memory of each method."""

from recmm.report.comparison.tables import Row, Table, note_of
from recmm.report.results.cells import Cell, means
from recmm.report.results.naming import file_name
from recmm.report.results.order import in_order
from recmm.report.results.results import Results

_COLUMNS = {
    "epochs": ("epochs", 1),
    "seconds_per_epoch": ("s per epoch", 2),
    "wall_seconds": ("s in total", 1),
    "peak_memory_mb": ("peak memory, MB", 0),
}


def costs(results: Results) -> list[Table]:
    """One table per catalogue, as recorded on the machine that ran each method."""
    tables = []
    for (catalogue,), group in results.frame.group_by("catalogue", maintain_order=True):
        cells = {name: means(group, ("method",), name, digits) for name, (_, digits) in _COLUMNS.items()}
        rows = tuple(
            Row((method,), tuple(cells[name].get((method,), Cell()) for name in _COLUMNS))
            for method in in_order(group, "method")
        )
        note = note_of(
            rows,
            "Mean ± standard deviation over all runs. Seconds per epoch: median of each run's training epochs, without "
            "validation. Memory: of the host. Runs may come from different machines or have shared one with other work",
        )
        name, columns = file_name("costs", str(catalogue)), tuple(heading for heading, _ in _COLUMNS.values())
        tables.append(Table(name, f"Time and memory on {catalogue}", note, ("method",), columns, rows))
    return tables
