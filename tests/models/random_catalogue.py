"""A random training matrix and its catalogue, for methods that are computed from it."""

import numpy as np
import torch

from recmm.data.catalog import Catalog
from recmm.missing.view import ModalityView

R = (np.random.default_rng(3).random((20, 13)) < 0.3).astype(np.float32)
R[5] = 0  # a user without training interactions
R[:, 2] = 0  # an item without
DIMS = {"visual": 6, "textual": 4}


def catalogue(interactions: np.ndarray = R) -> Catalog:
    users, items = (torch.from_numpy(x) for x in np.nonzero(interactions))
    n_users, n_items = interactions.shape
    return Catalog(n_users, n_items, DIMS, users, items, list(map(str, range(n_users))), list(map(str, range(n_items))))


def view(seed: int = 0) -> ModalityView:
    """Item 1 lacks the first modality, item 3 the second, item 4 both; what is there instead is noise."""
    generator = torch.Generator().manual_seed(seed)
    features = {m: torch.randn(R.shape[1], width, generator=generator) for m, width in DIMS.items()}
    mask = torch.ones(R.shape[1], 2, dtype=torch.bool)
    mask[1, 0] = mask[3, 1] = mask[4] = False
    return ModalityView(features, mask, f"random{seed}")
