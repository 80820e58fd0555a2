"""Model files of ours in MMRec's interface, and short fits of them and of recmm's own methods."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from recmm.adapters.mmrec import MMRec
from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import InMemory
from recmm.missing.imputers import Imputer, Zero
from recmm.missing.settings import Full, MissingSetting
from recmm.models.base import Recommender
from recmm.seeding import seed_torch

MODELS = Path(__file__).parent / "models"
NAMES = ("bpr", "lightgcn", "item_graph")


def adapted(name: str, dataset: MultimodalDataset, **values: Any) -> MMRec:
    return MMRec(dataset.catalog(), file=str(MODELS / f"{name}.py"), config=str(MODELS / f"{name}.yaml"), **values)


def native(method: type[Recommender], dataset: MultimodalDataset, **values: Any) -> Recommender:
    seed_torch(values.get("training", {}).get("seed", 0), 0, "initialisation")
    return method(dataset.catalog(), **values)


def fitted(
    model: Recommender,
    dataset: MultimodalDataset,
    *,
    missing: MissingSetting | None = None,
    imputer: Imputer | None = None,
    epochs: int = 2,
    ckpt_path: Path | None = None,
) -> pl.Trainer:
    datamodule = InMemory(dataset)
    datamodule.configure(missing=missing or Full(), imputer=imputer or Zero())
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, datamodule, ckpt_path=ckpt_path, weights_only=True)
    return trainer


def scores(model: Recommender, view: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval().score(torch.arange(model.catalog.n_users), view)
