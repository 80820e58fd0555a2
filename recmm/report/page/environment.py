"""What the pages of recmm share: settings of the templates, and the style sheet."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def environment(templates: Path) -> Environment:
    """Jinja over a folder of templates. Text is escaped, since names come from files; an unknown name is an error."""
    return Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _printable(value: Any) -> Any:
    """Text of a record without what a terminal would act on or what turns the direction of writing."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\N{REPLACEMENT CHARACTER}" for letter in value
    )


def stylesheet() -> Markup:
    """The CSS of all pages, to be written into one."""
    return Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
