"""Build the objects that a configuration names."""

from collections.abc import Callable
from functools import cache
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from recmm.data.batches.ranking import EvaluationSettings
from recmm.data.catalog import Catalog
from recmm.data.dataset import MultimodalDataset
from recmm.datamodules.base import MultimodalDataModule
from recmm.models.base import Recommender
from recmm.seeding import seed_torch


def build(node: DictConfig, **injected: Any) -> Any:
    """Call the node's ``_target_`` with its keys and with the objects that only the run has (``catalog``, ``record``).

    ``hydra.utils.instantiate`` would turn dataclasses among its keyword arguments into mappings and wrap the
    constructor's errors. A partial passes both through unchanged.
    """
    return instantiate(node, _partial_=True, _convert_="all")(**injected)


def configure(datamodule: MultimodalDataModule, cfg: DictConfig) -> MultimodalDataModule:
    """The same datamodule with the missing setting, the imputer and the evaluation protocol of ``cfg``."""
    missing, imputer = build(cfg.missing), build(cfg.imputer)
    datamodule.configure(missing=missing, imputer=imputer, evaluation=EvaluationSettings(**cfg.eval))
    return datamodule


def build_model(cfg: DictConfig, catalog: Catalog) -> Recommender:
    """The method, with initial weights drawn from the run's seed."""
    seed_torch(cfg.seed, 0, "initialisation")
    model: Recommender = build(cfg.model, catalog=catalog)
    return model


def dataset_reader() -> Callable[[DictConfig], MultimodalDataset]:
    """A function from a run's configuration to its dataset; jobs that share a dataset read it once."""

    @cache
    def read(node: str) -> MultimodalDataset:
        dataset: MultimodalDataset = build(OmegaConf.create(node)).dataset  # type: ignore[arg-type]
        return dataset

    return lambda cfg: read(OmegaConf.to_yaml(cfg.dataset, resolve=True))
