"""`python -m recmm data import` as a user calls it, and what it wrote."""

from collections.abc import Sequence
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from recmm.cli import app
from recmm.data.dataset import MultimodalDataset

Pair = tuple[str, str]


def run(*arguments: object) -> Result:
    """The command's output; its own errors are raised, as the entry point sees them."""
    result = CliRunner().invoke(app, ["data", "import", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def pairs_of(dataset: MultimodalDataset) -> dict[str, set[Pair]]:
    return {
        part: {(dataset.user_ids[u], dataset.item_ids[i]) for u, i in zip(pairs.users, pairs.items, strict=True)}
        for part, pairs in dataset.splits.items()
    }


def write_csv(path: Path, pairs: Sequence[Pair]) -> None:
    path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in pairs))
