"""What a run's best checkpoint holds for recommending: the catalogue with its raw labels, and the method's tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from recmm.data.catalog import Catalog
from recmm.errors import CheckpointError
from recmm.experiment.checkpoints import read_checkpoint

BEST = Path("checkpoints", "best.ckpt")
"""The checkpoint of a run's folder that recommends."""


@dataclass(frozen=True)
class Deployed:
    """What suffices to recommend without the dataset.

    Attributes:
        catalog: sizes, raw labels, training pairs.
        tensors: ``users`` [n_users, d] and ``items`` [n_items, d], whose inner products are the scores; or
            ``item_item`` [n_items, n_items], dense or sparse CSR, or ``user_user`` [n_users, n_users] of a method that
            is not trained.
        method: the method's class and its settings in plain types.
        path: the checkpoint.
    """

    catalog: Catalog
    tensors: dict[str, Tensor]
    method: dict[str, Any]
    path: Path

    @property
    def name(self) -> str:
        """The class of the method: MGCN."""
        return str(self.method.get("_target_", "?")).rpartition(".")[2]


def find_checkpoint(run: Path) -> Path:
    """The best checkpoint of a run's folder, or ``run`` itself where it is a file.

    Raises:
        CheckpointError: there is none.
    """
    run = run.expanduser()
    path = run / BEST if run.is_dir() else run
    if not path.is_file():
        raise CheckpointError(
            f"{run} is neither the folder of a run with {BEST.as_posix()} in it nor a checkpoint: name the folder that "
            "the run printed after `record:`, or its best.ckpt."
        )
    return path


def read_deployed(run: Path) -> Deployed:
    """Read a run's folder or a checkpoint; its digest is verified, and nothing is unpickled.

    Raises:
        CheckpointError: there is no checkpoint, it is damaged, or it holds nothing to recommend with.
    """
    path = find_checkpoint(run)
    content = read_checkpoint(path)
    lacking = [key for key in ("catalog", "deployed", "method") if key not in content]
    if lacking:
        raise CheckpointError(
            f"{path} holds no {' and no '.join(lacking)}: it was not written by a run of this version of recmm. Run "
            "the training again."
        )
    tensors = {name: tensor.detach() for name, tensor in content["deployed"].items()}
    return Deployed(Catalog(**content["catalog"]), tensors, content["method"], path)
