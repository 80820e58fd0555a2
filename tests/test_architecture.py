"""Rules that the source itself shows: imports go down without circles, folders stay small, no machine is named."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).resolve().parents[1]

# The parts of recmm by floor, counted from the ground. A part imports only from lower floors, not from its own.
FLOORS = {
    "deferred": -1,  # below 0, so that the package itself may import it
    "terminal": -1,
    "errors": 0,
    "offline": 0,
    "seeding": 0,
    "settings": 1,
    "trust": 1,
    "data": 2,
    "graph": 3,
    "missing": 4,
    "datamodules": 5,
    "losses": 6,
    "nn": 6,
    "evaluation": 6,
    "models": 7,
    "adapters": 8,
    "experiment": 9,
    "report": 10,
    "deploy": 11,
    "league": 11,
    "ingest": 11,
    "api": 12,
    "cli": 12,
    "__main__": 13,
}
# The same inside a part: its modules and folders by floor.
INNER_FLOORS = {
    "data": {
        "files": 0,
        "finding": 0,
        "catalog": 1,
        "checks": 1,
        "sources": 1,
        "splitting": 1,
        "times": 2,
        "joins": 1,
        "dataset": 2,
        "assembly": 3,
        "batches": 3,
        "excerpt": 4,
        "protocols": 4,
        "raw": 4,
        "synthetic": 4,
        "formats": 5,
    },
    "ingest": {
        "cli": 0,
        "feature_scan": 1,
        "open_catalogue": 1,
        "alignment": 2,
        "download": 3,
        "importing": 3,
        "encode": 3,
        "check": 3,
        "describe": 3,
        "commands": 4,
    },
    "report": {"records": 0, "results": 1, "comparison": 2, "figures": 3, "page": 4, "command": 5, "wandb": 5},
    "experiment": {
        "config": 0,
        "checkpoints": 1,
        "curves": 1,
        "machine": 1,
        "provenance": 1,
        "verification": 1,
        "claims": 2,
        "records": 3,
        "tables": 4,
        "callbacks": 5,
        "loggers": 5,
        "progress": 6,
        "study": 6,
        "run": 7,
        "sweep": 8,
        "search": 9,
        "dry_run": 10,
        "launch": 10,
    },
}
MOST_FILES = 16  # Python files directly in one folder
FREE_OF_SIZE = {"models", "nn"}  # one file per method, one per block
MODULES = sorted((ROOT / "recmm").rglob("*.py"))
BEYOND_A_METHOD = ("recmm.data.formats", "recmm.experiment", "omegaconf", "hydra")
PYTHON_FOLDERS = ("recmm", "hydra_plugins", "tests", "benchmarks", "experiments", "docs")
TEXT_SUFFIXES = {".py", ".yaml", ".yml", ".toml", ".txt", ".md", ".cff", ".csv", ".json", ".sh", ".cfg", ".ini"}
TEXT_FILES = ("Makefile", "Dockerfile", "LICENSE", ".ci/run", ".gitignore", ".gitattributes", ".editorconfig")


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


@cache
def imports_of(path: Path) -> set[str]:
    return set(imports(path.read_text(encoding="utf-8"), module_name(path), package=path.name == "__init__.py"))


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def part(name: str, package: str = "recmm") -> str:
    """recmm.data.formats.mmrec -> data; the package itself, which every part may import -> """ ""
    return name.removeprefix(package).removeprefix(".").partition(".")[0]


def arrows_up(module: str, imported: set[str], package: str = "recmm", floors: Mapping[str, int] = FLOORS) -> list[str]:
    """The imports inside ``package`` that lead neither to the module's own part nor to a lower floor."""
    here = part(module, package)
    there = {name: part(name, package) for name in imported if within(name, package)}
    return sorted(
        name for name, other in there.items() if other and other != here and floors[other] >= floors.get(here, 0)
    )


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others: strongly connected components.

    Args:
        graph: module -> what it imports, inside functions too; names that are no keys are left out.
    """
    names = sorted(graph)
    number = {name: place for place, name in enumerate(names)}
    edges = [(number[name], number[other]) for name in names for other in graph[name] if other in number]
    rows, columns = np.array(edges, int).reshape(-1, 2).T
    matrix = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(names), len(names)))
    _, labels = connected_components(matrix, connection="strong")
    return [
        [names[place] for place in np.flatnonzero(labels == label)] for label in np.flatnonzero(np.bincount(labels) > 1)
    ]


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


def test_the_walk_sees_arrows_inside_a_part() -> None:
    seen = {"recmm.errors", "recmm.ingest.cli.help", "recmm.ingest.check.pairs", "recmm.ingest.encode.text"}
    above = ["recmm.ingest.check.pairs", "recmm.ingest.encode.text"]
    floors = INNER_FLOORS["ingest"]
    assert arrows_up("recmm.ingest.alignment", seen, "recmm.ingest", floors) == above
    assert arrows_up("recmm.ingest.check.times", seen, "recmm.ingest", floors) == above[1:]
    assert arrows_up("recmm.ingest.commands", seen, "recmm.ingest", floors) == []


def test_the_search_finds_circles() -> None:
    graph = {"a": {"b", "numpy"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"f"}, "f": {"e"}, "g": set()}
    assert circles(graph) == [["a", "b", "c"], ["e", "f"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_every_part_has_a_floor() -> None:
    unknown = {part(module_name(path)) for path in MODULES} - set(FLOORS) - {""}
    assert not unknown, f"give these parts of recmm a floor in FLOORS: {sorted(unknown)}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_only_go_down(path: Path) -> None:
    up = arrows_up(module_name(path), imports_of(path))
    assert not up, f"{module_name(path)} imports from its own floor or a higher one: {up}"


@pytest.mark.parametrize("name", INNER_FLOORS)
def test_imports_only_go_down_inside_a_part(name: str) -> None:
    package, floors = f"recmm.{name}", INNER_FLOORS[name]
    modules = {module_name(path): path for path in MODULES if within(module_name(path), package)}
    unknown = {part(module, package) for module in modules} - set(floors) - {""}
    assert not unknown, f"give these parts of {package} a floor in INNER_FLOORS: {sorted(unknown)}"
    found = {module: arrows_up(module, imports_of(path), package, floors) for module, path in modules.items()}
    up = {module: names for module, names in found.items() if names}
    assert not up, f"imports from the own floor or a higher one: {up}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = circles({module_name(path): imports_of(path) for path in MODULES})
    assert not found, f"circles of imports: {found}"


def test_no_folder_holds_too_many_files() -> None:
    counts = Counter(path.parent.relative_to(ROOT / "recmm").as_posix() for path in MODULES)
    crowded = {name: n for name, n in counts.items() if n > MOST_FILES and name not in FREE_OF_SIZE}
    assert not crowded, f"more than {MOST_FILES} Python files in a folder: {crowded}"


def test_a_method_sees_neither_files_nor_configuration() -> None:
    for path in (ROOT / "recmm" / "models").rglob("*.py"):
        forbidden = {name for name in imports_of(path) if within(name, *BEYOND_A_METHOD)}
        assert not forbidden, f"{module_name(path)} imports {sorted(forbidden)}"


def test_only_one_module_of_the_methods_touches_evaluation() -> None:
    touching = {
        module_name(path)
        for path in (ROOT / "recmm" / "models").rglob("*.py")
        if any(within(name, "recmm.evaluation") for name in imports_of(path))
    }
    assert touching == {"recmm.models.evaluation"}


def python_files() -> list[Path]:
    return [ROOT / "train.py", *(path for folder in PYTHON_FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))]


def test_lightning_goes_by_one_name() -> None:
    """pytorch_lightning and lightning are two copies of one library, whose classes do not know each other."""
    for path in python_files():
        names = {name for name in imports_of(path) if within(name, "lightning", "lightning_fabric")}
        assert not names, f"{path.relative_to(ROOT)} imports {sorted(names)}; import pytorch_lightning instead"
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert not re.search(r"_target_:\s*lightning\b", path.read_text(encoding="utf-8")), path.relative_to(ROOT)


def test_only_one_module_uses_private_parts_of_hydra() -> None:
    touching = {
        path.relative_to(ROOT).as_posix()
        for path in python_files()
        if any(within(name, "hydra._internal") for name in imports_of(path))
    }
    assert touching == {"recmm/experiment/config/hydra_private.py"}


def text_files() -> Iterator[Path]:
    yield from (ROOT / name for name in TEXT_FILES)
    for folder in ("", ".devcontainer", ".github", "conf", *PYTHON_FOLDERS):
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
