"""Datasets as LightningDataModules: one small subclass each, which says in ``load`` where its catalogue comes from."""

from recmm.datamodules.base import MultimodalDataModule
from recmm.datamodules.embedded import Synthetic
from recmm.datamodules.folders import CanonicalFolder, MMRecFolder
from recmm.datamodules.known import Allrecipes, AmazonBaby, AmazonClothing, AmazonSports, TikTok

__all__ = [
    "Allrecipes",
    "AmazonBaby",
    "AmazonClothing",
    "AmazonSports",
    "CanonicalFolder",
    "MMRecFolder",
    "MultimodalDataModule",
    "Synthetic",
    "TikTok",
]
