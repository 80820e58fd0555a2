"""The folder that a model may read and cache in: one for each model that is built, gone with it.

Model files keep item graphs on disk under names that know neither the features nor the mask.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from recmm.adapters.mmrec.config import Config
from recmm.data.catalog import Catalog
from recmm.data.dataset import Interactions
from recmm.missing.item_graph import cooccurrence
from recmm.missing.view import ModalityView

_FILES = {"v_feat": "vision_feature_file", "t_feat": "text_feature_file", "a_feat": "audio_feature_file"}
_DATASET = "dataset"
LIKE_MINDED = 200
"""Users in a list of the file of like-minded users."""


def make_folder(
    config: Config, text: str, catalog: Catalog, features: dict[str, str], view: ModalityView, *, below_cwd: bool
) -> TemporaryDirectory[str]:
    """A new folder, named in ``config``, with those files of a dataset that the model's ``text`` mentions.

    Args:
        config: gets ``data_path`` and ``dataset``.
        text: the model's source.
        features: attribute such as ``v_feat`` -> modality.
        view: whose features are written.
        below_cwd: the model joins the working directory and ``data_path``, so the path climbs to the root first.
    """
    folder = TemporaryDirectory(prefix="recmm-model-")
    place = Path(folder.name, _DATASET)
    place.mkdir()
    for name, modality in features.items():
        if _FILES.get(name, "-") in text and modality in view.features:
            np.save(place / config[_FILES[name]], view.features[modality].cpu().numpy())
    if "user_graph_dict_file" in text:
        np.save(place / config["user_graph_dict_file"], np.array(like_minded(catalog), dtype=object))
    path = folder.name
    if below_cwd:
        climb = f"{os.pardir}{os.sep}" * (len(Path.cwd().parts) - 1)
        path = f"{os.sep}{climb}{path.lstrip(os.sep)}"
    config |= {"data_path": f"{path}{os.sep}", "dataset": _DATASET}
    return folder


def like_minded(catalog: Catalog) -> dict[int, list[list[Any]]]:
    """User -> at most LIKE_MINDED other users with most training items in common, and how many, most first."""
    by_item = np.lexsort((catalog.train_users.numpy(), catalog.train_items.numpy()))
    items, users = catalog.train_items.numpy()[by_item], catalog.train_users.numpy()[by_item]
    pairs = Interactions(items, users, catalog.n_items, catalog.n_users)
    counts: csr_matrix = cooccurrence(pairs, LIKE_MINDED, exclude_self=True)
    result: dict[int, list[list[Any]]] = {}
    for user in range(catalog.n_users):
        row = slice(counts.indptr[user], counts.indptr[user + 1])
        order = np.argsort(-counts.data[row], kind="stable")
        result[user] = [counts.indices[row][order].tolist(), counts.data[row][order].astype(int).tolist()]
    return result
