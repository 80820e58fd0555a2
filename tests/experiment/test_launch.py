"""From the command line to the run, in real processes where messages and exit codes matter."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig

import recmm
from recmm.errors import ConfigError, DataError
from recmm.experiment import launch

REPOSITORY = Path(recmm.__file__).resolve().parents[1]
QUICK = ["dataset.n_users=60", "dataset.n_items=40", "model=popularity", "logger=csv", "trainer.progress=false"]


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"}
    env |= {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(REPOSITORY / "train.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


class Recorder:
    """Stands in for the training: notes what it was given, and raises what it was told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.seen: list[tuple[int, str]] = []
        self.error = error

    def __call__(self, cfg: Any) -> float:
        self.seen.append((cfg.seed, HydraConfig.get().runtime.output_dir))
        if self.error is not None:
            raise self.error
        return 0.5


@pytest.fixture
def train(hydra_here: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    hydra_here.setattr("recmm.experiment.run.train", recorder)
    return recorder


def test_a_single_run_lands_in_a_folder_named_by_its_configuration(train: Recorder, tmp_path: Path) -> None:
    launch.main(["model=lightgcn", "seed=3"])
    launch.main(["seed=3", "model=lightgcn"])
    assert train.seen[0] == train.seen[1]
    seed, folder = train.seen[0]
    assert seed == 3
    assert Path(folder).parent == tmp_path / "multirun_outputs" / "single"
    assert Path(folder).name.startswith("lightgcn-synthetic-any-s3-")
    assert list(Path(folder).iterdir()) == []  # neither .hydra nor a log file


def test_the_folder_can_be_given(train: Recorder, tmp_path: Path) -> None:
    launch.main(["hydra.run.dir=here"])
    assert train.seen == [(0, str(tmp_path / "here"))]


def test_a_sweep_has_one_folder_whatever_the_order_and_one_below_it_for_each_job(train: Recorder) -> None:
    launch.main(["-m", "model=lightgcn", "seed=0,1", "settings=null"])
    launch.main(["settings=null", "-m", "seed=0,1", "model=lightgcn"])
    assert [seed for seed, _ in train.seen] == [0, 1, 0, 1]
    assert train.seen[:2] == train.seen[2:]
    assert len({folder for _, folder in train.seen}) == 2
    assert len({Path(folder).parent for _, folder in train.seen}) == 1
    launch.main(["-m", "model=lightgcn", "seed=0,1", "settings=null", "model.dim=8"])
    assert Path(train.seen[-1][1]).parent != Path(train.seen[0][1]).parent


def test_the_arguments_of_the_process_are_left_alone(train: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recmm", "train", "seed=1"])
    launch.main(["seed=2"])
    assert train.seen[0][0] == 2
    assert sys.argv == ["recmm", "train", "seed=1"]  # the processes of DDP are started with them


@pytest.mark.parametrize(("error", "code"), [(DataError("No file x."), 1), (ConfigError("No key y."), 2)])
def test_our_errors_become_a_sentence(
    train: Recorder, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    train.error = error
    with pytest.raises(SystemExit) as left:
        launch.main([])
    assert left.value.code == code
    assert capsys.readouterr().err == f"{type(error).__name__}: {error}\n"


def test_an_error_that_hydra_wrapped_is_found(train: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    from hydra.errors import InstantiationException

    train.error = InstantiationException("Error in call to target")
    train.error.__cause__ = ConfigError("lr must be positive.")
    with pytest.raises(SystemExit) as left:
        launch.main([])
    assert left.value.code == 2
    assert capsys.readouterr().err == "ConfigError: lr must be positive.\n"


def test_a_full_traceback_on_request(train: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    train.error = DataError("No file x.")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(DataError):
        launch.main([])


def test_a_failing_job_of_a_sweep_is_a_sentence_and_the_others_run(
    train: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    train.error = DataError("No file x.")
    with pytest.raises(SystemExit) as left:
        launch.main(["-m", "seed=0,1"])
    assert left.value.code == 1
    assert [seed for seed, _ in train.seen] == [0, 1]
    captured = capsys.readouterr()
    assert "failed: No file x." in captured.out and "Traceback" not in captured.out + captured.err


def test_an_interrupt_leaves_with_130(train: Recorder) -> None:
    train.error = KeyboardInterrupt()
    with pytest.raises(SystemExit) as left:
        launch.main([])
    assert left.value.code == 130


def test_nothing_starts_when_any_job_of_a_sweep_is_wrong(train: Recorder, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        launch.main(["-m", "seed=0,1,x"])
    assert left.value.code == 2
    assert train.seen == []
    assert list(tmp_path.iterdir()) == []


def test_worker_processes_find_the_task_by_name() -> None:
    assert pickle.loads(pickle.dumps(launch.task)) is launch.task


def test_the_configuration_is_found_beside_or_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "recmm"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").touch()
    monkeypatch.setattr(recmm, "__file__", str(package / "__init__.py"))
    assert launch.config_folder() == tmp_path / "conf"
    (package / "conf").mkdir(parents=True)
    (package / "conf" / "train.yaml").touch()
    assert launch.config_folder() == package / "conf"
    (package / "conf" / "train.yaml").unlink()
    (tmp_path / "conf" / "train.yaml").unlink()
    with pytest.raises(ConfigError, match=r"conf/train\.yaml"):
        launch.config_folder()


def test_a_typo_ends_the_process_with_2_and_one_sentence(tmp_path: Path) -> None:
    result = run(tmp_path, "modle=lightgcn")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("ConfigError: There is no key modle; did you mean 'model'?")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" in run(tmp_path, "modle=lightgcn", HYDRA_FULL_ERROR="1").stderr


def test_help_and_typos_do_not_wait_for_torch(tmp_path: Path) -> None:
    code = """
import sys
from recmm.experiment.launch import main
try:
    main(sys.argv[1:])
finally:
    sys.exit(3 if "torch" in sys.modules else 0)
"""
    for argument in ("--help", "modle=lightgcn", "trainer.max_epoch=1"):
        env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        result = subprocess.run(
            [sys.executable, "-c", code, argument], cwd=tmp_path, env=env, capture_output=True, check=False
        )
        assert result.returncode == 0, argument


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "== Configuration groups =="),
        (["--cfg", "job", "seed=7"], "seed: 7"),
        (["--cfg", "job", "settings=null", "-p", "eval"], "candidates: all"),
        (["--info", "searchpath"], "conf"),
    ],
)
def test_hydras_own_flags_keep_working(tmp_path: Path, arguments: list[str], expected: str) -> None:
    result = run(tmp_path, *arguments)
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout


@pytest.mark.slow
def test_one_real_run(tmp_path: Path) -> None:
    result = run(tmp_path, *QUICK, "hydra.run.dir=record")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "record" / "result.json").is_file()
    assert not (tmp_path / "record" / ".hydra").exists()
