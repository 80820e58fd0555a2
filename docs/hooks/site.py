"""What MkDocs does not know by itself: generated pages, pages from elsewhere in the repository, and links to them.

A page of the repository keeps links that work where the repository is read. On the site they lead to the published
page; a link to a file that the site does not publish, such as a method's source, becomes plain text.
"""

import re
from collections.abc import Iterator
from typing import Any

import masks
import methods
import reference
from links import ROOT, published, rebased
from mkdocs.structure.files import File, Files


def generated() -> dict[str, str]:
    """Path among the site's sources -> text of every page that follows from the code."""
    return methods.pages() | masks.pages() | reference.pages()


def on_config(config: Any) -> Any:
    """The folders that the navigation names are filled with their pages."""
    studies = sorted(path for path in published().values() if re.fullmatch(r"experiments/.+/index\.md", path))
    named = set(re.findall(r"[\w/]+\.md", str(config["nav"])))
    own = (path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
    others = [path for path in own if path not in named]
    folders = {"methods/": methods.navigation(), "experiments/": studies, "others/": others}
    config["nav"] = _filled(config["nav"], folders)
    return config


def _filled(nav: Any, folders: dict[str, list[str]]) -> Any:
    if isinstance(nav, list):
        return [page for entry in nav for page in (folders[entry] if entry == "others/" else [_filled(entry, folders)])]
    if isinstance(nav, dict):
        return {title: _filled(entry, folders) for title, entry in nav.items()}
    return folders.get(nav, nav)


def on_files(files: Files, config: Any) -> Files:
    for source, path in published().items():
        if path.endswith(".md"):
            text = rebased((ROOT / source).read_text("utf-8"), source, path)
            files.append(File.generated(config, path, content=text))
        else:
            files.append(File.generated(config, path, abs_src_path=str(ROOT / source)))
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    path = page.file.src_uri
    if page.file.generated_by is None:  # a file of docs/
        markdown = rebased(markdown, f"docs/{path}", path)
    return "\n".join(_with_blank_lines(markdown.split("\n")))


def _with_blank_lines(lines: list[str]) -> Iterator[str]:
    """A list that follows a paragraph's last line needs an empty line before it here, unlike elsewhere."""
    fenced, previous = False, ""
    for line in lines:
        fenced ^= line.startswith("```")
        starts = re.match(r"(-|\d+\.) ", line)
        if starts and not fenced and previous.strip() and not re.match(r"(-|\d+\.| ) ?", previous):
            yield ""
        yield line
        previous = line
