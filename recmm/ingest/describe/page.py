"""The statistics of a catalogue as one self-contained HTML page, and as a PNG."""

import base64
from pathlib import Path

from recmm import __version__
from recmm.data.files.atomic import replace_atomically
from recmm.ingest.describe.plots import overview, plots, svg
from recmm.ingest.describe.statistics import Description
from recmm.ingest.describe.tables import tables
from recmm.report.page.environment import environment, stylesheet

TEMPLATES = Path(__file__).parent / "templates"


def write_page(description: Description, folder: Path) -> tuple[Path, Path]:
    """Write catalogue.html and catalogue.png into ``folder``, which is created if absent; return their paths."""
    found = plots(description)
    html, png = folder / "catalogue.html", folder / "catalogue.png"
    template = environment(TEMPLATES).get_template("catalogue.html")
    page = template.render(
        description=description,
        tables=tables(description),
        plots=[(plot, base64.b64encode(svg(plot)).decode()) for plot in found],
        style=stylesheet(),
        version=__version__,
    )
    replace_atomically(html, page)
    overview(description, found, png)
    return html, png
