"""The report as one HTML page that needs nothing outside itself."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from recmm.report.comparison.tables import Table
from recmm.report.figures.figure import Figure
from recmm.report.page.environment import TEMPLATES, environment, stylesheet
from recmm.report.page.interactive import plotly_script, to_plotly
from recmm.report.results.cells import Cell


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

    Text from files is escaped. A content security policy names the page's own scripts by their digest, so that no other
    script runs and nothing is loaded from elsewhere.

    Args:
        title: of the page.
        about: what was loaded, as pairs of name and value.
        warnings: sentences above the numbers, such as why a test is missing.
        sections: in the order of the page; empty ones are left out.
        runs: the table of all runs, to which every number links.
        static: name of a figure -> its SVG.
    """
    shown = [section for section in sections if section.tables or section.figures]
    scripts = [(TEMPLATES / "report.js").read_text(encoding="utf-8")]
    if any(section.figures for section in shown):
        scripts.insert(0, plotly_script())
    places = {folder: number for number, row in enumerate(runs.rows) for folder in row.cells[0].folders}

    def numbers(cell: Cell) -> list[int]:
        return [places[folder] for folder in cell.folders if folder in places]

    jinja = environment(TEMPLATES)
    jinja.filters |= {"run_numbers": numbers, "href": _href, "plotly": to_plotly}
    return jinja.get_template("page.html").render(
        title=title,
        about=about,
        warnings=warnings,
        sections=shown,
        runs=runs,
        images={name: _data_uri(path) for name, path in static.items()},
        style=stylesheet(),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
    )


def _href(folder: str) -> str:
    """A relative path as a link, so that a name such as ``javascript:x`` is not read as a scheme."""
    return quote(folder if folder.startswith((".", "/")) else f"./{folder}")


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
