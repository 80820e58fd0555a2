"""What a method without training reaches on the test split of a real dataset."""

from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from recmm.data.batches.ranking import RankingBatches
from recmm.evaluation.metrics import RankingMetrics
from recmm.evaluation.ranking import rank_positives
from recmm.experiment.config.build import build, configure
from recmm.experiment.config.folder import config_folder
from recmm.experiment.config.identity import register_resolvers
from recmm.experiment.config.schema import register_schema
from recmm.models.base import Recommender


def recall_at_20(dataset: str, folder: Path, method: type[Recommender], *overrides: str, **values: Any) -> float:
    """Test Recall@20 with no modality in use, ``overrides`` for the dataset, ``values`` for the method."""
    register_schema()
    register_resolvers()
    given = [f"dataset={dataset}", f"paths.data={folder}", "dataset.modalities=[]", "missing=full", "logger=csv"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        cfg = compose("train", [*given, *overrides])
    datamodule = configure(build(cfg.dataset), cfg)
    model, metrics = method(datamodule.catalog, **values), RankingMetrics()
    with torch.no_grad():
        for batch in RankingBatches(datamodule.dataset, "test"):
            scores = model.score(batch.users, datamodule.view("test"))
            metrics.update(rank_positives(scores, batch), len(batch.users))
    return float(metrics.compute()["recall@20"])
