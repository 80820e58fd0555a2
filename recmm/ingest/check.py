"""`python -m recmm data check`: everything that can be wrong with a catalogue, in one pass."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from recmm.ingest.findings import SEVERITIES, Severity

COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}
EPILOG = """[bold]Examples[/bold]

python -m recmm data check my_folder

python -m recmm data check my_folder --layout mmrec --interactions baby.inter --feature visual=image_feat.npy

python -m recmm data check tiktok_va

python -m recmm data check dataset=baby dataset.modalities=[[]] --strict --json

[bold]Exit codes[/bold]: 0 no error, 1 errors (with --strict also warnings), 2 wrong arguments.
"""
Target = Annotated[
    list[str],
    typer.Argument(
        metavar="FOLDER | DATASET | KEY=VALUE ...",
        help="A folder; or a dataset's name; or arguments of train.py, such as dataset=tiktok_va.",
        show_default=False,
    ),
]
LayoutOption = Annotated[
    str | None, typer.Option("--layout", help="Of the folder: canonical, mmrec or matrices; found out if not given.")
]
InteractionsOption = Annotated[
    str | None, typer.Option("--interactions", metavar="FILE", help="The .inter table, where the folder has several.")
]
FeatureOption = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="MODALITY=FILE", help="May be repeated; all .npy matrices if not given."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def check(
    target: Target,
    layout: LayoutOption = None,
    interactions: InteractionsOption = None,
    feature: FeatureOption = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on warnings, too.")] = False,
) -> None:
    """List everything that is wrong with a catalogue, most severe first, in one pass over its files."""
    from recmm.ingest.checking import check_catalogue
    from recmm.ingest.target import catalogue

    found = check_catalogue(catalogue(target, layout, interactions, feature or []))
    counts = found.findings.counts()
    if as_json:
        findings = [asdict(finding) for finding in found.findings.by_severity()]
        about = {"name": found.name, "source": found.source, "split": found.split.name}
        typer.echo(json.dumps({**about, "counts": counts, "findings": findings}, indent=2, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(1 if counts["error"] or (strict and counts["warning"]) else 0)


def _print(found: Any) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(finding.code) for finding in found.findings.found) if found.findings.found else 0
    for finding in found.findings.by_severity():
        colour = COLOURS[finding.severity]
        head = Text.assemble((f"{finding.severity:<8}", colour), (f"{finding.code:<{width}}  ", "bold"), finding.where)
        console.print(head)
        console.print(Text(f"        {finding.message}"))
        console.print(Text(f"        → {finding.advice}", style="dim"))
    told = ", ".join(f"{found.findings.counts()[one]} {one}s" for one in SEVERITIES)
    name = Path(found.source).name if found.source != found.name else found.name
    console.print(Text(f"{name}, split {found.split.name}: {told}", style="bold"))
