"""The rules of the house that can be read off the source: imports go down, and nothing is tied to one machine."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Floors from the ground. Parts on one floor stand side by side and do not know each other.
FLOORS = {
    "errors": 0,
    "seeding": 0,
    "settings": 1,
    "data": 2,
    "graph": 3,
    "missing": 4,
    "datamodules": 5,
    "losses": 6,
    "nn": 6,
    "evaluation": 6,
    "models": 7,
    "experiment": 8,
    "report": 9,
    "ingest": 10,
    "cli": 11,
    "__main__": 12,
}
MODULES = sorted((ROOT / "recmm").rglob("*.py"))
BEYOND_A_METHOD = ("recmm.data.formats", "recmm.experiment", "omegaconf", "hydra")
PYTHON_FOLDERS = ("recmm", "tests", "benchmarks", "experiments")
TEXT_SUFFIXES = {".py", ".yaml", ".yml", ".toml", ".txt", ".md", ".cff", ".csv", ".json", ".sh", ".cfg", ".ini"}
TEXT_FILES = ("Makefile", "LICENSE", ".ci/run", ".gitignore", ".gitattributes", ".editorconfig")


def module_name(path: Path) -> str:
    """recmm/data/__init__.py -> recmm.data"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def imports(source: str, module: str, *, package: bool = False) -> Iterator[str]:
    """Full names of all modules that a source imports, at its top, inside functions and for type checking alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = module.split(".")
                kept = parents[: len(parents) - node.level + package]
                origin = ".".join([*kept, *([origin] if origin else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield inner if origin.startswith("recmm") and is_module(inner) else origin


def imports_of(path: Path) -> set[str]:
    return set(imports(path.read_text(encoding="utf-8"), module_name(path), package=path.name == "__init__.py"))


def part(name: str) -> str:
    """recmm.data.formats.mmrec -> data; the package itself, whose constants all may read -> """ ""
    return name.partition(".")[2].partition(".")[0]


def arrows_up(module: str, imported: set[str]) -> list[str]:
    """The imports of a module that do not go to its own part or to a lower floor."""
    here = part(module)
    return sorted(
        name
        for name in imported
        if name.split(".")[0] == "recmm"
        and part(name)
        and part(name) != here
        and (not here or FLOORS[part(name)] >= FLOORS[here])
    )


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_the_walk_sees_every_way_to_import() -> None:
    source = "\n".join(
        [
            "import recmm.report.table as t",
            "from recmm import experiment, __version__",
            "from recmm.data import batches",
            "from ..evaluation import ranking",
            "def late():",
            "    from .base import Recommender",
        ]
    )
    seen = set(imports(source, "recmm.models.example"))
    assert {"recmm.report.table", "recmm.experiment", "recmm", "recmm.data.batches"} <= seen
    assert "recmm.models.base" in seen
    assert any(within(name, "recmm.evaluation") for name in seen)
    assert arrows_up("recmm.models.example", seen) == ["recmm.experiment", "recmm.report.table"]
    assert arrows_up("recmm.losses", {"recmm.evaluation", "recmm.graph"}) == ["recmm.evaluation"]
    assert arrows_up("recmm", {"recmm.errors"}) == ["recmm.errors"]


def test_every_part_has_a_floor() -> None:
    unknown = {part(module_name(path)) for path in MODULES} - set(FLOORS) - {""}
    assert not unknown, f"give these parts of recmm a floor in FLOORS: {sorted(unknown)}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_only_go_down(path: Path) -> None:
    up = arrows_up(module_name(path), imports_of(path))
    assert not up, f"{module_name(path)} imports from its own floor or a higher one: {up}"


def test_a_method_sees_neither_files_nor_configuration() -> None:
    for path in (ROOT / "recmm" / "models").rglob("*.py"):
        forbidden = {name for name in imports_of(path) if within(name, *BEYOND_A_METHOD)}
        assert not forbidden, f"{module_name(path)} imports {sorted(forbidden)}"


def test_only_the_base_of_the_methods_touches_evaluation() -> None:
    touching = {
        module_name(path)
        for path in (ROOT / "recmm" / "models").rglob("*.py")
        if any(within(name, "recmm.evaluation") for name in imports_of(path))
    }
    assert touching == {"recmm.models.base"}


def python_files() -> list[Path]:
    return [ROOT / "train.py", *(path for folder in PYTHON_FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]


def test_lightning_goes_by_one_name() -> None:
    """pytorch_lightning and lightning are two copies of one library, whose classes do not know each other."""
    for path in python_files():
        names = {name for name in imports_of(path) if within(name, "lightning", "lightning_fabric")}
        assert not names, f"{path.relative_to(ROOT)} imports {sorted(names)}; import pytorch_lightning instead"
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert not re.search(r"_target_:\s*lightning\b", path.read_text(encoding="utf-8")), path.relative_to(ROOT)


def text_files() -> Iterator[Path]:
    yield from (ROOT / name for name in TEXT_FILES)
    for folder in ("", "conf", *PYTHON_FOLDERS):
        found = (ROOT / folder).rglob("*") if folder else ROOT.glob("*")
        yield from (path for path in sorted(found) if path.is_file() and path.suffix in TEXT_SUFFIXES)


# A folder of somebody's machine, at the start of a word: not the /usr/bin/env of a first line, not the path of a URL.
FOLDERS = r"/(?:home|root|Users|work|opt|mnt|media|srv|scratch|data|tmp)/"
ABSOLUTE = re.compile(rf"""(?:^|[\s"'`=(\[])((?:{FOLDERS}|[A-Z]:\\)\w[^\s"'`)]*)""")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("data: /" + "home/ann/data", True),
        ("open('/" + "tmp/x.npy')", True),
        ("root = 'C:" + "\\Users'", True),
        ("#!/usr/bin/env bash", False),
        ("recmm/data/dataset.py", False),
        ("../shared/data/README.md", False),
        ("${paths.data}/tiktok", False),
    ],
)
def test_the_pattern_of_absolute_paths(line: str, found: bool) -> None:
    assert bool(ABSOLUTE.search(line)) is found


def test_no_absolute_path_in_the_tree() -> None:
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {match[1]}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := ABSOLUTE.search(line))
    ]
    assert not hits, "\n".join(hits)
