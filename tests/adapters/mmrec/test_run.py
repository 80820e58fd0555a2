"""`model=mmrec` on the command line: a record like any other, with the files' content in its identity."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recmm.errors import ConfigError
from recmm.experiment import launch
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import config_hash
from recmm.experiment.config.jobs import check_arguments
from tests.adapters.mmrec.running import MODELS

TINY = (
    *("model=mmrec", "logger=csv", "dataset.n_users=40", "dataset.n_items=30", "missing=mtmt", "trainer.threads=1"),
    *("trainer.progress=false", "trainer.accelerator=cpu", "trainer.max_epochs=2"),
)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model files in a folder of their own, which is trusted and the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    shutil.copytree(MODELS, tmp_path / "methods")
    monkeypatch.setenv("RECMM_TRUST", "./methods")
    return tmp_path / "methods"


def test_a_run_leaves_a_record_that_names_its_files_by_content(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(folder: str, *more: str) -> dict[str, Any]:
        files = ("model.file=methods/item_graph.py", "model.config=methods/item_graph.yaml")
        launch.main([*TINY, *files, f"hydra.run.dir={folder}", *more])
        result: dict[str, Any] = json.loads(Path(folder, "result.json").read_text(encoding="utf-8"))
        return result

    first = run("first")
    assert first["status"] == "done" and first["test/recall@20"] > 0
    assert first["identity"]["model.file"].startswith("item_graph.py ") and len(first["identity"]["model.file"]) == 30
    shutil.copytree(copied, copied / "elsewhere")
    again = run("again", "model.file=methods/elsewhere/item_graph.py")
    assert again["signature"] == first["signature"] and again["test/recall@20"] == first["test/recall@20"]
    with (copied / "item_graph.py").open("a", encoding="utf-8") as file:
        file.write("# another file\n")
    with pytest.raises(SystemExit):
        run("first")
    said = capsys.readouterr().err
    assert "model.file" in said and "first" in said


def job(*arguments: str) -> Any:
    (cfg,) = check_arguments([*TINY, *arguments], config_folder())
    return cfg


def test_the_folder_of_a_run_depends_on_what_the_files_hold(copied: Path) -> None:
    names = [config_hash(job(f"model.file=methods/{name}.py")) for name in ("bpr", "lightgcn", "bpr")]
    (copied / "bpr.py").write_text((copied / "bpr.py").read_text() + "\n", encoding="utf-8")
    names.append(config_hash(job("model.file=methods/bpr.py")))
    assert names[0] == names[2] and len(set(names)) == 3
    config_hash(job())  # without a file: the run refuses it


def test_overrides_and_features_are_set_on_the_command_line(copied: Path) -> None:
    cfg = job("model.file=methods/bpr.py", "+model.overrides.reg_weight=0.5", "model.features.t_feat=acoustic")
    assert cfg.model.overrides == {"reg_weight": 0.5} and cfg.model.features.v_feat == "visual"


def test_the_check_refuses_an_untrusted_file_before_it_runs(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copied / "bites.py").write_text("open('bitten', 'w').close()\n", encoding="utf-8")
    monkeypatch.setenv("RECMM_TRUST", "./methods/bpr.py")
    for arguments in (["model.file=methods/bites.py"], ["-m", "model.file=methods/bpr.py,methods/bites.py"]):
        with pytest.raises(
            ConfigError, match=r"model\.file=methods/bites\.py is refused.*RECMM_TRUST=methods/bites\.py"
        ):
            check_arguments([*TINY, *arguments], config_folder())
    assert not Path("bitten").exists()


def test_a_run_without_a_file_says_what_it_needs(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        launch.main([*TINY, "hydra.run.dir=none"])
    assert "model.file needs a value" in capsys.readouterr().err and not Path("none").exists()
