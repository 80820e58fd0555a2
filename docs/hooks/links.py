"""Pages and files from elsewhere in the repository, and what their links become on the site."""

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

ROOT = Path(__file__).resolve().parents[2]
ALONE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
ATTACHED = ("experiments/*/*.png", "experiments/*/*.csv", "benchmarks/*.png", "benchmarks/*.csv", "LICENSE", "*.cff")
WRITTEN_BY_STUDIES = ("docs/league.md",)
"""Files that long runs write; a checkout may not have them yet."""
_LINK = re.compile(r"(?P<text>!?\[[^\]]*\])\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def published() -> dict[str, str]:
    """Path in the repository -> path among the site's sources, of every page and attachment outside of docs/."""
    pages = {"README.md": "index.md"} | {name: name for name in ALONE if (ROOT / name).is_file()}
    for readme in (*ROOT.glob("experiments/**/README.md"), ROOT / "benchmarks" / "README.md"):
        path = readme.relative_to(ROOT).as_posix()
        pages[path] = join(dirname(path), "index.md")
    files = (path.relative_to(ROOT).as_posix() for pattern in ATTACHED for path in ROOT.glob(pattern))
    return pages | {path: path for path in files}


def rebased(text: str, source: str, path: str) -> str:
    """The links of a file of the repository, as they are for its page.

    Args:
        text: Markdown.
        source: the file's path in the repository.
        path: the page's path among the site's sources.
    """
    known = published()

    def replaced(match: re.Match[str]) -> str:
        target = match["target"]
        if re.match(r"[a-z]+:", target):
            return match[0]
        wanted = normpath(join(dirname(source), target))
        if (ROOT / wanted).is_dir() and f"{wanted}/README.md" in known:
            wanted += "/README.md"
        if wanted.startswith("docs/") and (ROOT / wanted).is_file():
            found = wanted.removeprefix("docs/")
        elif wanted in known:
            found = known[wanted]
        elif (ROOT / wanted).exists() or wanted in WRITTEN_BY_STUDIES:
            return match["text"].removeprefix("[").removesuffix("]")
        else:
            return match[0]  # the strict build names it
        return f"{match['text']}({relpath(found, dirname(path) or '.')}{match['anchor'] or ''})"

    return _LINK.sub(replaced, text)
