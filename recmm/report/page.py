"""The report as one HTML page that needs nothing outside itself."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recmm.report.figures import Figure
from recmm.report.interactive import plotly_script, to_plotly
from recmm.report.tables import Cell, Table

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Section:
    """A heading with its tables and figures."""

    title: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()

    @property
    def anchor(self) -> str:
        """Its id within the page."""
        return self.title.lower().replace(" ", "-")


def render(
    title: str,
    about: Sequence[tuple[str, str]],
    warnings: Sequence[str],
    sections: Sequence[Section],
    runs: Table,
    static: Mapping[str, Path],
) -> str:
    """The page's HTML.

    All that comes out of files is escaped, and a content security policy names the page's own scripts by their digest:
    no other would run, and nothing is loaded from anywhere.

    Args:
        title: of the page.
        about: what was loaded, as pairs of name and value.
        warnings: sentences that a reader has to know before the numbers.
        sections: in the order of the page; empty ones are left out.
        runs: the table of all runs, to which every number leads.
        static: name of a figure -> its SVG.
    """
    shown = [section for section in sections if section.tables or section.figures]
    scripts = [(TEMPLATES / "report.js").read_text(encoding="utf-8")]
    if any(section.figures for section in shown):
        scripts.insert(0, plotly_script())
    places = {folder: number for number, row in enumerate(runs.rows) for folder in row.cells[0].folders}

    def numbers(cell: Cell) -> list[int]:
        return [places[folder] for folder in cell.folders if folder in places]

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"run_numbers": numbers, "href": _href, "plotly": to_plotly}
    return environment.get_template("page.html").render(
        title=title,
        about=about,
        warnings=warnings,
        sections=shown,
        runs=runs,
        images={name: _data_uri(path) for name, path in static.items()},
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
    )


def _href(folder: str) -> str:
    """A relative path as a link; a colon or a leading word such as ``javascript:`` is no scheme in it."""
    return quote(folder if folder.startswith((".", "/")) else f"./{folder}")


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
