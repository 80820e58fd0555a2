"""A page for every method, from its docstring, its settings and the files of conf/ and experiments/ that concern it."""

import inspect
import re
from collections import Counter
from collections.abc import Collection
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic.fields import FieldInfo

from recmm.experiment.config.generate import components_of_groups
from recmm.models.base import Recommender
from recmm.settings import ComponentSettings, choices_of, nested_settings, range_of, settings_of

ROOT = Path(__file__).resolve().parents[2]
STUDIES = (*(f"experiments/{name}README.md" for name in ("zoo/", "shelf/", "modwalk/", "")), "docs/modwalk.md")
MARKS = "‡†▽*`"


class Method(NamedTuple):
    """A method of ``recmm.models``.

    Attributes:
        choice: its name in ``model=``.
        title: its name in its paper.
        about: the paper and what the method is, one sentence.
        kind: its class.
    """

    choice: str
    title: str
    about: str
    kind: type[Recommender]


def all_methods() -> list[Method]:
    """Every method with settings of its own, in alphabetical order."""
    found = []
    kinds = components_of_groups()["model"]
    per_module = Counter(kind.__module__ for kind in kinds.values())
    for choice, kind in kinds.items():
        about = inspect.getdoc(inspect.getmodule(kind)) or ""
        title = re.split(r" \(|:", about)[0]
        if per_module[kind.__module__] > 1:
            title, about = kind.__name__, inspect.getdoc(kind) or ""
        found.append(Method(choice, title, about.split("\n\n")[0].replace("\n", " "), kind))
    return sorted(found, key=lambda method: method.title.lower())


def navigation() -> list[str]:
    return ["methods/index.md", *(f"methods/{method.choice}.md" for method in all_methods())]


def pages() -> dict[str, str]:
    """Path among the site's sources -> Markdown: a page for every method, and the table of them."""
    methods = all_methods()
    return {"methods/index.md": overview(methods)} | {f"methods/{one.choice}.md": method_page(one) for one in methods}


def overview(methods: list[Method]) -> str:
    rows = ["| method | what it is | looks at modalities | choices of `model=` | measured |", "|---|---|---|---|---|"]
    for method in methods:
        choices = ", ".join(f"`{name}`" for name in (method.choice, *variants_of(method.choice)))
        looks = "yes" if method.kind.uses_modalities else "no"
        measured = f"[yes]({method.choice}.md#measured)" if measured_rows(method) else "not yet"
        rows.append(f"| [{method.title}]({method.choice}.md) | {method.about} | {looks} | {choices} | {measured} |")
    intro = (
        "Each page is made from the method's own docstring and settings when the site is built. *Measured* means that "
        "a [study](../experiments/index.md) has rows of it; every method passes the conformance suite."
    )
    return "\n".join(["# Methods", "", intro, "", *rows, ""])


def method_page(method: Method) -> str:
    parts = [f"# {method.title}", method.about if method.about.endswith(".") else f"{method.about}."]
    if not method.kind.trained:
        parts.append("It is not trained: one pass over the training pairs is all.")
    if not method.kind.uses_modalities:
        parts.append("It looks at no modality: its numbers are the same under every missing setting.")
    parts.append(f"    python train.py model={method.choice} dataset=tiktok_va missing=mtmt")
    parts += ["## Equations", prose(method.kind.__doc__ or "")]
    settings = settings_of(method.kind)
    if settings is not None:
        own = method.kind.Settings.__doc__ if "__doc__" in vars(method.kind.Settings) else ""
        parts += ["## Settings", prose(own or ""), *settings_tables(settings(), "model")]
    for title, files in (
        ("Variants", [ROOT / "conf" / "model" / f"{name}.yaml" for name in variants_of(method.choice)]),
        ("Settings of datasets", sorted((ROOT / "conf" / "settings").glob(f"{method.choice}_*.yaml"))),
    ):
        if files:
            parts.append(f"## {title}")
            parts += [part for file in files for part in (f"### `{file.stem}`", *choice_file(file))]
    space = ROOT / "conf" / "search" / f"{method.choice}.yaml"
    if space.is_file():
        parts += ["## Search space", f"`python train.py search=default model={method.choice}` tries:"]
        parts.append(f"```yaml\n{search_space(space)}\n```")
    parts += ["## Measured", measured_rows(method) or "Not measured yet."]
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(docstring: str) -> str:
    """A docstring as Markdown: its indented equations are blocks of code, its other characters stand for themselves."""
    text = inspect.cleandoc(docstring)
    text = re.split(r"^(?:Args|Raises|Attributes|Returns):$", text, flags=re.MULTILINE)[0].rstrip()
    return "\n".join(line if line.startswith("    ") else escaped(line) for line in text.split("\n"))


def escaped(line: str) -> str:
    """A line of a docstring with the characters that Markdown would read; what stands in backticks is left."""
    parts = re.split(r"(``.*?``|`[^`]*`)", line)
    parts[::2] = [re.sub(r"([*_<|\[\]])", r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [re.sub("`+", "`", part) for part in parts[1::2]]
    return "".join(parts)


def settings_tables(settings: ComponentSettings, key: str, *, without: Collection[str] = ()) -> list[str]:
    """A table of a group of settings, then one of each group inside it; ``without`` names settings to leave out."""
    fields = type(settings).model_fields
    declared = dict.fromkeys(name for kind in type(settings).__mro__ for name in inspect.get_annotations(kind))
    names = [name for name in declared if name in fields and name not in without]
    plain = [name for name in names if nested_settings(fields[name]) is None]
    parts = []
    if plain:
        rows = [f"| `{key}.` | default | values | meaning |", "|---|---|---|---|"]
        rows += [setting_row(name, getattr(settings, name), fields[name]) for name in plain]
        parts.append("\n".join(rows))
    for name in (name for name in names if name not in plain):
        parts += [f"### `{key}.{name}`", escaped(fields[name].description or "")]
        parts += settings_tables(getattr(settings, name), f"{key}.{name}")
    return parts


def setting_row(name: str, value: Any, field: FieldInfo) -> str:
    words = {True: "true", False: "false", None: "null"}
    shown = words[value] if isinstance(value, bool | None) else f"{value:g}" if isinstance(value, float) else f"{value}"
    values = range_of(field) or ", ".join(str(choice) for choice in choices_of(field.annotation))
    return f"| `{name}` | `{shown}` | {escaped(values)} | {escaped(field.description or '')} |"


def variants_of(choice: str, folder: str = "model") -> list[str]:
    """The choices of a folder of conf/ that start from this one, directly or through others."""
    bases = {}
    for path in sorted((ROOT / "conf" / folder).glob("*.yaml")):
        defaults = (yaml.safe_load(path.read_text("utf-8")) or {}).get("defaults", [])
        bases[path.stem] = next((entry for entry in defaults if isinstance(entry, str) and entry != "_self_"), None)
    found = [choice]
    for name in found:
        found += [other for other, base in bases.items() if base == name]
    return sorted(found[1:])


def choice_file(path: Path) -> list[str]:
    """What a file of conf/ says about itself, and its keys."""
    lines = path.read_text("utf-8").rstrip().split("\n")
    header = [line for line in lines if line.startswith("#")]
    about = " ".join(line.lstrip("# ").strip() for line in header if "@package" not in line)
    body = "\n".join(line for line in lines if not line.startswith("#")).strip()
    return [escaped(about), f"```yaml\n{body}\n```"]


def search_space(path: Path) -> str:
    """The keys below ``params:`` with their comments."""
    _, _, below = path.read_text("utf-8").partition("params:")
    return "\n".join(line.strip() for line in below.split("\n")[1:] if line.strip())


def measured_rows(method: Method) -> str:
    """The rows of the studies' tables that begin with the method's name, each table under what introduces it."""
    parts = []
    for study in STUDIES:
        lines = (ROOT / study).read_text("utf-8").split("\n")
        section, lead = "", ""
        for number, line in enumerate(lines):
            if line.startswith("#"):
                section, lead = line.lstrip("# "), ""
            elif line.startswith("|---") and number:
                table = [lines[number - 1], line]
                body = takewhile(lambda row: row.startswith("|"), lines[number + 1 :])
                column = column_of_methods(lines[number - 1])
                rows = [row for row in body if is_of(method, row, column)]
                if rows:
                    link = "../" + study.removeprefix("docs/").replace("README.md", "index.md")
                    said = f": {lead.rstrip(':')}" if lead else ""
                    parts += [f"From [{section}]({link}){said}", "\n".join([*table, *rows])]
            elif line and not line.startswith(("|", "    ", "-")) and line.endswith(":") and len(line) < 160:
                lead = line
    return "\n\n".join(parts)


def column_of_methods(header: str) -> int:
    names = [cell.strip() for cell in header.strip("| ").split("|")]
    return names.index("model") if "model" in names else 0


def is_of(method: Method, row: str, column: int) -> bool:
    cell = row.strip("| ").split("|")[column].translate(str.maketrans("", "", MARKS))
    name = re.split(r"[,(]", cell)[0].strip()
    return name.lower() in (method.title.lower(), method.choice)
