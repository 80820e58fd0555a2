"""Imputation by the mean of the most similar items."""

import numpy as np

from recmm.missing.imputers.base import Borrower, Features, ImputerSettings
from recmm.missing.item_graph import top_k_dense
from recmm.settings import hp

CHUNK = 4_000_000  # similarities held at a time: 16 MB, a few times over


class Knn(Borrower):
    """A hidden row is the mean of that modality over the k most similar items in which it is visible.

    The similarity of two items is the mean cosine over the modalities visible in both. Each modality is centred first,
    by its mean over the entries visible in training. No paper uses it.

    Two items without a common visible modality are not compared. Of equally similar items the lower id comes first.
    """

    class Settings(ImputerSettings):
        k: int = hp(20, "neighbours", ge=1)

    settings: Settings

    def borrow(self, features: Features, mask: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray]:
        column = list(features).index(modality)
        values, visible = features[modality], mask[:, column]
        sources = np.arange(mask.shape[1]) != column
        donors = np.flatnonzero(visible & mask[:, sources].any(axis=1))
        seekers = np.flatnonzero(~visible & mask[:, sources].any(axis=1))
        if not (len(donors) and len(seekers)):
            return seekers[:0], values[:0]
        others = [(name, x, mask[:, m]) for m, (name, x) in enumerate(features.items()) if m != column]
        directions = [self._directions(*other) for other in others]
        of_donors = [x[donors] for x in directions]
        there = mask[:, sources].astype(np.float32)
        found, rows = [], []
        for start in range(0, len(seekers), step := max(CHUNK // len(donors), 1)):
            items = seekers[start : start + step]
            similarity = sum(x[items] @ y.T for x, y in zip(directions, of_donors, strict=True))
            shared = there[items] @ there[donors].T
            similarity = np.where(shared > 0, similarity / np.maximum(shared, 1), -np.inf)
            nearest = top_k_dense(similarity, self.settings.k, above=-np.inf)
            nearest.data[:] = 1
            n_nearest = np.diff(nearest.indptr)
            near = n_nearest > 0
            found.append(items[near])
            rows.append((nearest @ values[donors])[near] / n_nearest[near, None])
        return np.concatenate(found), np.concatenate(rows)

    def _directions(self, modality: str, values: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """float32 [n_items, D]: centred rows of length 1; zero where hidden or equal to the mean of training."""
        centred = np.where(visible[:, None], values - self.means[modality], np.float32(0))
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        rounding = 4 * np.finfo(np.float32).eps * np.linalg.norm(values, axis=1, keepdims=True)
        return centred / np.where(lengths > np.maximum(rounding, 1e-12), lengths, np.float32(np.inf))
