"""`python -m recmm data COMMAND`: the commands, each in a module of its own."""

from collections.abc import Callable

import typer

from recmm.ingest.check import check
from recmm.ingest.describe import describe
from recmm.ingest.download import download
from recmm.ingest.encode import encode
from recmm.ingest.import_ import import_
from recmm.ingest.usage import help_text

app = typer.Typer(
    name="data",
    help="From raw files to a checked catalogue, with features made here.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "download": download,
    "import": import_,
    "encode": encode,
    "check": check,
    "describe": describe,
}
for name, command in COMMANDS.items():
    app.command(name, help=help_text(command))(command)
