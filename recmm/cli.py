"""`python -m recmm COMMAND`: the command line of recmm."""

from pathlib import Path
from typing import Annotated

import typer

from recmm import __version__
from recmm.deploy.commands import COMMANDS
from recmm.errors import RecmmError, leave
from recmm.ingest.cli.help import help_text
from recmm.ingest.commands import app as data
from recmm.offline import stay_offline
from recmm.terminal import prepare_terminal

app = typer.Typer(
    name="recmm",
    help="Multimodal recommendation when modalities are missing: train and compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recmm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Options before the command."""


# Hydra parses the arguments itself, including --help and -m, in the given order.
@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def train(arguments: Annotated[list[str] | None, typer.Argument(metavar="GROUP=CHOICE KEY=VALUE ...")] = None) -> None:
    """Train, select on validation, test once. Takes the arguments of train.py; `train --help` lists groups and keys."""
    from recmm.experiment.launch import main as launch  # Hydra is not loaded for the other commands

    launch(arguments or [])


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def check(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="GROUP=CHOICE KEY=VALUE ... | --records FOLDER ...")
    ] = None,
) -> None:
    """Try one step of every job of a run or sweep on a few rows. Takes the arguments of train.py, with -m too.

    With `--records FOLDER ...` it verifies finished runs instead: files, digests, metrics against their tables.
    """
    given = arguments or []
    if {"--help", "-h"} & set(given):
        typer.echo(_CHECK_HELP)
        return
    if given[:1] == ["--records"]:
        from recmm.experiment.verification import check_records

        raise typer.Exit(0 if check_records([Path(folder).expanduser() for folder in given[1:]]) else 1)
    from recmm.experiment.dry_run import dry_run

    raise typer.Exit(0 if dry_run(given) else 1)


_CHECK_HELP = """Usage: recmm check GROUP=CHOICE KEY=VALUE ... | -m ... | --records FOLDER ...

Try one step of every job of a run or sweep on a few rows of its data; nothing is recorded. The arguments are those of
train.py: `recmm train --help` lists groups and keys.

  recmm check model=mgcn dataset=tiktok_va missing=mtmt
  recmm check -m model=mgcn,vbpr seed=0,1

--records FOLDER ... verifies finished runs instead: files, digests, metrics against their tables. The exit code is 1
where a job would fail or a record is damaged."""


# Both report commands parse their own options.
@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def report(arguments: Annotated[list[str] | None, typer.Argument(metavar="FOLDER ... | wandb ...")] = None) -> None:
    """Write a page, tables and figures of finished runs; `report wandb` a workspace. `report --help` lists options."""
    given = arguments or []
    if given[:1] == ["wandb"]:
        from recmm.report.wandb import main as workspace

        workspace(given[1:])
    else:
        from recmm.report.command import main as page  # no Matplotlib for the other commands

        page(given)


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def league(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="plan|run|report|verify ...")] = None,
) -> None:
    """Every method under the same masks within the same budget, as a table that grows. `league --help` lists more."""
    from recmm.league.command import main as table  # neither Hydra nor torch for the other commands

    table(arguments or [])


for name, command in COMMANDS.items():
    app.command(name, help=help_text(command))(command)


def main() -> None:
    """Entry point of `python -m recmm` and of the console script."""
    prepare_terminal()
    stay_offline()
    try:
        app(prog_name="recmm")
    except RecmmError as error:
        leave(error)
