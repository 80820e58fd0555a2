"""`python -m recmm data check`: everything that can be wrong with a catalogue, in one pass."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from recmm.ingest.check.findings import SEVERITIES, Severity
from recmm.ingest.cli.options import FeaturesOption, InteractionsOption, JsonOption, LayoutOption, Target
from recmm.terminal import printable

COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_INDENT = (0, 0, 0, 9)


def check(
    target: Target,
    layout: LayoutOption = None,
    interactions: InteractionsOption = None,
    features: FeaturesOption = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on warnings, too.")] = False,
) -> None:
    """List everything that is wrong with a catalogue, most severe first, in one pass over its files.

    Leaves with 1 where there are errors (with --strict also warnings), with 2 for wrong arguments, else with 0.

    [bold]Examples[/bold]

      python -m recmm data check my_folder

      python -m recmm data check my_folder --layout mmrec \\
          --interactions baby.inter --features visual=image_feat.npy

      python -m recmm data check tiktok_va --strict

      python -m recmm data check dataset=baby dataset.download=false --json
    """
    from recmm.ingest.check.catalogue import check_catalogue
    from recmm.ingest.open_catalogue import catalogue

    found = check_catalogue(catalogue(target, layout, interactions, features or []))
    counts = found.findings.counts()
    if as_json:
        findings = [asdict(finding) for finding in found.findings.by_severity()]
        about = {"name": found.name, "source": found.source, "split": found.split.name}
        typer.echo(json.dumps({**about, "counts": counts, "findings": findings}, indent=2))
    else:
        _print(found)
    raise typer.Exit(1 if counts["error"] or (strict and counts["warning"]) else 0)


def _print(found: Any) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100_000)  # one line each, for grep
    width = max((len(finding.code) for finding in found.findings.found), default=0)
    for finding in found.findings.by_severity():
        colour = COLOURS[finding.severity]
        head = Text.assemble(
            (f"{finding.severity:<9}", colour), (f"{finding.code:<{width}}  ", "bold"), printable(finding.where)
        )
        console.print(head)
        console.print(Padding(Text(printable(finding.message)), _INDENT, expand=False))
        console.print(Padding(Text(f"→ {finding.advice}", style="dim"), _INDENT, expand=False))
    counts = found.findings.counts()
    told = ", ".join(f"{counts[one]} {one}{'' if counts[one] == 1 else 's'}" for one in SEVERITIES)
    name = Path(found.source).name if found.source != found.name else found.name
    console.print(Text(printable(f"{name}, split {found.split.name}: {told}"), style="bold"))
