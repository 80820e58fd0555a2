"""From masks and an imputer to the views that methods see; every method's features are imputed here."""

import hashlib
import json
from collections.abc import Callable

import numpy as np
import torch

from recmm.data.dataset import MultimodalDataset
from recmm.data.files.mapped import require_mapped
from recmm.errors import MissingSettingError
from recmm.missing.imputers import Features, Imputer
from recmm.missing.masks import PHASES, Masks, Phase
from recmm.missing.view import ModalityView


def hide(features: dict[str, np.ndarray], mask: np.ndarray) -> Features:
    """A float32 copy of the features in which hidden rows are zero; their values are not read.

    Args:
        features: modality -> float16 or float32 [n_items, D_m], possibly memory-mapped; hidden rows hold any value.
        mask: bool [n_items, M], True where visible, columns in the order of ``features``.
    """
    hidden: Features = {}
    for column, (modality, values) in enumerate(features.items()):
        require_mapped(values)
        copy = np.zeros(values.shape, dtype=np.float32)
        np.copyto(copy, values, where=mask[:, column, None], casting="same_kind")
        hidden[modality] = copy
    return hidden


def build_views(
    dataset: MultimodalDataset,
    masks: Masks,
    imputer: Imputer,
    replace: Callable[[Features, np.ndarray], None] | None = None,
) -> dict[Phase, ModalityView]:
    """One view per phase; the imputer is fitted once, on what training sees. Phases that see the same share one object.

    Args:
        dataset: whose features are shown.
        masks: which of them each phase shows.
        imputer: fills the holes.
        replace: replaces features in the phases that ``masks.replaced`` names, as ``MissingSetting.replace``.

    Raises:
        MissingSettingError: the masks were not drawn for this dataset's items and modalities.
    """
    if masks.modalities != tuple(dataset.modalities) or masks.n_items != dataset.n_items:
        raise MissingSettingError(
            f"The masks are for {masks.n_items} items with the modalities ({', '.join(masks.modalities)}), but "
            f"{dataset.name} has {dataset.n_items} items with ({', '.join(dataset.modalities)}); draw the masks for it."
        )
    if any((masks.phase(phase) & ~dataset.features.observed).any() for phase in PHASES):
        raise MissingSettingError(
            f"The masks show entries that the data of {dataset.name} lacks; draw the masks for this dataset."
        )
    if masks.replaced and replace is None:
        raise MissingSettingError(
            "The masks say that features are replaced, but not how: pass the setting's replace to build_views."
        )
    views: dict[Phase, ModalityView] = {}
    for phase in PHASES:
        mask, replaced = masks.phase(phase), masks.replaced.get(phase)
        alike = (other for other in views if masks.replaced.get(other) == replaced)
        twin = next((other for other in alike if np.array_equal(masks.phase(other), mask)), None)
        if twin is not None:
            views[phase] = views[twin]
            continue
        features = hide(dataset.features.values, mask)
        if replaced is not None and replace is not None:
            replace(features, mask)
        if phase == "train":
            imputer.fit(features, mask, dataset.train)
        views[phase] = _view(imputer.transform(features, mask), mask)
    return views


def _view(features: Features, mask: np.ndarray) -> ModalityView:
    sha = hashlib.sha256(json.dumps([mask.shape, *((m, x.shape) for m, x in features.items())]).encode())
    sha.update(mask.tobytes())
    for values in features.values():
        sha.update(values.data)
    tensors = {modality: torch.from_numpy(values) for modality, values in features.items()}
    return ModalityView(tensors, torch.from_numpy(mask.copy()), sha.hexdigest())
