"""`python -m recmm data COMMAND`: the Typer application that joins the commands."""

from collections.abc import Callable

import typer

from recmm.ingest.check.command import check
from recmm.ingest.cli.help import help_text
from recmm.ingest.describe.command import describe
from recmm.ingest.download.command import download
from recmm.ingest.encode.command import encode
from recmm.ingest.importing.command import import_

app = typer.Typer(
    name="data",
    help="Download, import, encode, check and describe catalogues.",
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
