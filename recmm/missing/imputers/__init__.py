"""Imputers: how missing entries are filled in. Fitted once on what training sees, then applied to every phase."""

from recmm.missing.imputers.autoencoder import Autoencoder
from recmm.missing.imputers.base import Borrower, Features, Imputer, ImputerSettings
from recmm.missing.imputers.constant import Mean, Random, Zero
from recmm.missing.imputers.graph import FeatProp, Heat, NeighMean, Ppr
from recmm.missing.imputers.nearest import Knn

__all__ = [
    "Autoencoder",
    "Borrower",
    "FeatProp",
    "Features",
    "Heat",
    "Imputer",
    "ImputerSettings",
    "Knn",
    "Mean",
    "NeighMean",
    "Ppr",
    "Random",
    "Zero",
]
