"""`experiments/league/best/`: the values of each cell's best trial."""

from pathlib import Path

from omegaconf import OmegaConf

from recmm.data.files.atomic import replace_atomically
from recmm.league.jobs import ANY
from recmm.league.standing import Cell, Standing


def best_file(folder: Path, cell: Cell) -> Path:
    """Where the best values of a cell stand."""
    model, dataset, setting = cell.name
    return folder / f"{dataset}_{setting}_{model}.yaml"


def write_best(standing: Standing, cell: Cell, folder: Path) -> None:
    """Write the winner's values, a file for ``conf/settings``, unless they stand there already."""
    if cell.winner is None:
        return
    model, dataset, setting = cell.name
    row = standing.row(cell.winner)
    assert row is not None
    under = "all missing settings" if setting == ANY else f"missing={setting}"
    lines = [
        "# @package _global_",
        f"# {model} on {dataset} under {under}: the best of {len(cell.trials)} trials by val/recall@20, "
        f"{row['val_recall@20']:.4f} with seed {row['seed']}.",
        f"#   {standing.jobs.command(cell.winner)}",
        "settings_source: validation",
    ]
    values = OmegaConf.to_yaml(OmegaConf.from_dotlist(list(cell.winner.values))) if cell.winner.values else ""
    path, text = best_file(folder, cell), "\n".join([*lines, values])
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        replace_atomically(path, text)
