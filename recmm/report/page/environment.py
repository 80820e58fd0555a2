"""What the pages of recmm share: settings of the templates, and the style sheet."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def environment(templates: Path) -> Environment:
    """Jinja over a folder of templates. Text is escaped, since names come from files; an unknown name is an error."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def stylesheet() -> Markup:
    """The CSS of all pages, to be written into one."""
    return Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
