"""What reaches a user: bounded requirements, tested versions, and a wheel that runs on its own."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import recmm
from recmm.ingest.encode.registry import ENCODERS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


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


def test_tested_versions_lie_within_the_bounds() -> None:
    pins = constraints()
    for requirement in requirements("tensorboard", "dev"):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{requirement.name} has no tested version in constraints.txt"
        assert requirement.specifier.contains(pins[name]), f"{requirement} excludes the tested version {pins[name]}"


def test_tested_versions_name_no_build_and_no_place() -> None:
    for name, version in constraints().items():
        assert "+" not in version and "/" not in version and "@" not in version, f"{name}=={version}"


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
    own += (ROOT / "recmm").glob("**/templates/*")
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
