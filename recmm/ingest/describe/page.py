"""The statistics of a catalogue as one self-contained HTML page, and as a PNG."""

import base64
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recmm import __version__
from recmm.data.files.atomic import replace_atomically
from recmm.ingest.describe.plots import overview, plots, svg
from recmm.ingest.describe.statistics import Description
from recmm.ingest.describe.tables import tables
from recmm.report.page import TEMPLATES as REPORT_TEMPLATES

TEMPLATES = Path(__file__).parent / "templates"


def write_page(description: Description, folder: Path) -> tuple[Path, Path]:
    """Write catalogue.html and catalogue.png into ``folder``, which is created if absent; return their paths."""
    found = plots(description)
    html, png = folder / "catalogue.html", folder / "catalogue.png"
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # names of modalities and datasets come from files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("catalogue.html").render(
        description=description,
        tables=tables(description),
        plots=[(plot, base64.b64encode(svg(plot)).decode()) for plot in found],
        style=Markup((REPORT_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        version=__version__,
    )
    replace_atomically(html, page)
    overview(description, found, png)
    return html, png
