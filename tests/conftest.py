"""Fixtures that every part's tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmm.cli import main
from recmm.data.dataset import MultimodalDataset
from recmm.data.synthetic import synthetic

hypothesis.settings.register_profile("recmm", deadline=None)  # these machines are shared: time says nothing here
hypothesis.settings.load_profile("recmm")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real datasets; they may not be redistributed, so they are not in the repository."""
    folder = Path(os.environ.get("RECMM_DATA", "data"))
    if not (folder / "tiktok").is_dir():
        pytest.skip("no real data: set RECMM_DATA to the folder that holds tiktok/, amazon_baby/, ...")
    return folder.resolve()


@pytest.fixture(scope="session")
def tiny_dataset() -> MultimodalDataset:
    """60 users x 40 items with three modalities and natural gaps."""
    return synthetic(n_users=60, n_items=40, seed=0)


@pytest.fixture(scope="session")
def info_nce() -> Callable[[Tensor, Tensor, float], Tensor]:
    """InfoNCE of one ordered pair of views, written as in the textbook: what the faster forms are compared with."""

    def naive(anchors: Tensor, positives: Tensor, temperature: float) -> Tensor:
        logits = F.normalize(anchors, dim=-1) @ F.normalize(positives, dim=-1).T / temperature
        return F.cross_entropy(logits, torch.arange(len(anchors)))

    return naive


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`python -m recmm` within this process: its exit code and what it says on stderr."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["recmm", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return code if isinstance(code, int) else 0, capsys.readouterr().err

    return run


@pytest.fixture
def hydra_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Hydra in this process, in a folder of its own, with errors as a person sees them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    # Hydra takes coverage's trace function for a debugger's, and then lets errors pass as they are.
    monkeypatch.setattr("hydra._internal.utils.is_under_debugger", lambda: False)
    return monkeypatch
