"""Every run as a row of one table, to which all other numbers of the report lead."""

from recmm.report.comparison.tables import Row, Table
from recmm.report.results.cells import DIGITS, Cell
from recmm.report.results.results import Results

_LABELS = {
    "method": "method",
    "catalogue": "data",
    "condition": "condition",
    "imputer": "imputer",
    "settings_source": "settings",
}


def all_runs(results: Results) -> Table:
    """Each run's names, seeds, metrics of test and validation, time and signature."""
    numbers = {"seed": "seed", "mask_seed": "mask seed", "best_epoch": "best epoch"}
    numbers |= {f"{split}/{metric}": f"{split} {metric}" for split in ("test", "val") for metric in results.metrics}
    numbers |= {"wall_seconds": "s in total", "signature": "signature"}
    rows = tuple(
        Row(
            tuple(str(row[name] if row[name] is not None else "") for name in _LABELS),
            tuple(
                Cell(row[name], n=1, folders=(row["link"],), digits=1 if name == "wall_seconds" else DIGITS)
                for name in numbers
            ),
        )
        for row in results.frame.to_dicts()
    )
    note = "One row per finished run, with the values of its result.json. The first column links to its folder."
    return Table("runs", "All runs", note, tuple(_LABELS.values()), tuple(numbers.values()), rows, wide=True)
