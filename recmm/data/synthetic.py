"""The embedded dataset: a catalogue with three modalities, made from a seed, that needs no file and no network.

Users and items share latent tastes. Each modality shows some of the items' tastes plus noise, and modalities overlap.
One taste is shown by no modality and can only be learned from interactions. Interactions follow taste and a Zipf-like
popularity: modalities improve a ranking, popularity alone is a baseline, and hiding modalities lowers the metrics.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recmm.data.assembly import SplitColumns, assemble
from recmm.data.dataset import MultimodalDataset, Split
from recmm.errors import DataError
from recmm.seeding import stream


@dataclass(frozen=True)
class SyntheticModality:
    """What a modality shows: tastes ``[first, last)``, mixed into ``dim`` columns, ``signal`` against noise of 1."""

    dim: int
    first: int
    last: int
    signal: float


TASTES = 12  # latent tastes; the last one is shown by no modality
MODALITIES = {
    "visual": SyntheticModality(dim=64, first=0, last=6, signal=1.0),
    "textual": SyntheticModality(dim=48, first=4, last=9, signal=0.6),
    "acoustic": SyntheticModality(dim=32, first=8, last=11, signal=0.4),
}
CANDIDATES = 512  # items that a user comes across, drawn by popularity; taste chooses among them
ZIPF = 0.6  # exponent of the popularity over ranks
SHARPNESS = 1.5  # how strongly taste decides, against chance
MEDIAN_HISTORY, SPREAD, LEAST, MOST = 17, 0.7, 5, 100  # interactions per user: log-normal, mean about 22
SMALLEST = 20  # users and items
USERS_WITHOUT_HISTORY = 5  # two interactions each, so one for validation, one for test, none for training
COLD_ITEMS = 0.05  # share of items that never occur in training
FIRST_SECOND, SECONDS = 1_577_836_800, 366 * 86_400  # the year 2020, in which everything happens if there are times


def synthetic(
    *,
    n_users: int = 2000,
    n_items: int = 1200,
    modalities: Sequence[str] = tuple(MODALITIES),
    scale: float = 1.0,
    natural_missing: float = 0.04,
    seed: int = 0,
    timestamps: bool = False,
) -> MultimodalDataset:
    """A catalogue made from ``seed`` alone; the same numbers whichever modalities are asked for.

    Args:
        n_users, n_items: sizes before ``scale`` multiplies both.
        modalities: among visual (64 columns, the strongest), textual (48) and acoustic (32, the weakest); may be empty.
        natural_missing: share of each modality's items that lack it, in [0, 1).
        timestamps: whether interactions have times (``_times``), which are part of the digest and change nothing else.
    Raises:
        DataError: too small, an unknown modality, or a scale, a share or a seed out of range.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise DataError(f"scale must be a positive number, not {scale}: it multiplies n_users and n_items.")
    if seed < 0:
        raise DataError(f"seed must be an integer from 0, not {seed}.")
    n_users, n_items = round(n_users * scale), round(n_items * scale)
    if min(n_users, n_items) < SMALLEST:
        raise DataError(
            f"synthetic needs at least {SMALLEST} users and items, not {n_users} users and {n_items} items."
        )
    if not 0.0 <= natural_missing < 1.0:
        raise DataError(f"natural_missing must lie in [0, 1), not {natural_missing}.")
    item_tastes = stream(seed, 0, "item tastes").standard_normal((n_items, TASTES), dtype=np.float32)
    users, items = _interactions(seed, n_users, item_tastes)
    times = _times(seed, users, items, n_users, n_items) if timestamps else None
    splits = {
        part: SplitColumns(users[rows], items[rows], None if times is None else times[rows])
        for part, rows in _split(seed, users, items, n_items).items()
    }
    values, observed = {}, np.ones((n_items, len(MODALITIES)), dtype=bool)
    for column, name in enumerate(MODALITIES):
        values[name] = _features(seed, name, item_tastes)
        lacking = stream(seed, 0, f"{name} lacking").permutation(n_items)[: round(natural_missing * n_items)]
        observed[lacking, column] = False
        values[name][lacking] = np.nan  # must not be read; NaN makes it visible if it is
    dataset = assemble(
        name="synthetic",
        split=Split("synthetic", "per user at random: 80/10/10, one validation and one test pair where fewer than 10"),
        splits=splits,
        n_users=n_users,
        n_items=n_items,
        features=values,
        observed=observed,
        user_ids=[f"user{number}" for number in range(n_users)],
        item_ids=[f"item{number}" for number in range(n_items)],
    )
    return dataset.select(modalities)


def _interactions(seed: int, n_users: int, item_tastes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unique pairs (users, items), sorted. Each user takes the best of the items met, by taste plus Gumbel noise.

    Sums over tastes run column by column, not through a matrix product, so that no BLAS or thread count changes a pair.
    """
    n_items = len(item_tastes)
    random = stream(seed, 0, "interactions")
    user_tastes = random.standard_normal((n_users, TASTES), dtype=np.float32)
    popularity = np.arange(1, n_items + 1, dtype=np.float64) ** -ZIPF
    met = np.cumsum(random.permutation(popularity / popularity.sum()))
    lengths = np.exp(np.log(MEDIAN_HISTORY) + SPREAD * random.standard_normal(n_users)).round().astype(np.int64)
    lengths = np.clip(lengths, LEAST, min(MOST, max(LEAST, n_items // 3)))
    lengths[random.permutation(n_users)[: min(USERS_WITHOUT_HISTORY, n_users // 20)]] = 2
    users, items = [], []
    for start in range(0, n_users, 2048):
        rows = slice(start, min(start + 2048, n_users))
        draws = np.sort(random.random((rows.stop - start, CANDIDATES)), axis=1)  # found faster, and repeats adjoin
        candidates = np.minimum(np.searchsorted(met, draws, side="right"), n_items - 1)
        utility = random.gumbel(size=candidates.shape).astype(np.float32)
        for taste in range(TASTES):
            utility += SHARPNESS * user_tastes[rows, taste, None] * item_tastes[:, taste][candidates]
        utility[:, 1:][candidates[:, 1:] == candidates[:, :-1]] = -np.inf
        best = np.argpartition(-utility, MOST, axis=1)[:, :MOST]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(utility, best, axis=1), axis=1), axis=1)
        taken = np.arange(MOST) < lengths[rows, None]
        taken &= np.take_along_axis(utility, best, axis=1) > -np.inf
        users.append(np.nonzero(taken)[0] + start)
        items.append(np.take_along_axis(candidates, best, axis=1)[taken])
    pairs = np.sort(np.concatenate(users) * n_items + np.concatenate(items))
    return pairs // n_items, pairs % n_items


def _split(seed: int, users: np.ndarray, items: np.ndarray, n_items: int) -> dict[str, np.ndarray]:
    """Split name -> int64 [n], the indices of its pairs.

    A user's pairs with cold items are the first to be held out; what does not fit there is dropped, never trained on.
    """
    random = stream(seed, 0, "split")
    sold = np.bincount(items, minlength=n_items)
    rare = np.flatnonzero((sold >= 2) & (sold <= np.median(sold)))  # a popular cold item would dominate both parts
    cold = np.zeros(n_items, dtype=bool)
    cold[random.permutation(rare)[: round(COLD_ITEMS * n_items)]] = True
    order = np.lexsort((random.random(len(users)), ~cold[items], users))
    counts = np.bincount(users)
    per_part = np.where(counts < 10, 1, np.round(0.1 * counts)).astype(np.int64)  # validation pairs; as many test pairs
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = place < 2 * per_part[users]  # ``users`` is sorted, so it is also the user of each place
    val_first = random.random(int(counts.size)) < 0.5
    is_val = held_out & ((place % 2 == 0) == val_first[users])
    train = np.sort(order[~held_out])
    return {
        "train": train[~cold[items[train]]],
        "val": np.sort(order[is_val]),
        "test": np.sort(order[held_out & ~is_val]),
    }


def _times(seed: int, users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> np.ndarray:
    """int64 [n], seconds since 1970, after the user joined and the item came out, drawn uniformly from what is left.

    Users join all over the first half; most items are there early, and some come out at the very end.
    """
    random = stream(seed, 0, "timestamps")
    joined, released = 0.5 * random.random(n_users), random.random(n_items) ** 3
    since = np.maximum(joined[users], released[items])
    return FIRST_SECOND + (SECONDS * (since + (1 - since) * random.random(len(users)))).astype(np.int64)


def _features(seed: int, name: str, item_tastes: np.ndarray) -> np.ndarray:
    """float32 [n_items, D]: the shown tastes, mixed into all columns, plus noise."""
    modality = MODALITIES[name]
    random = stream(seed, 0, f"{name} features")
    mixing = random.standard_normal((TASTES, modality.dim), dtype=np.float32)
    values = random.standard_normal((len(item_tastes), modality.dim), dtype=np.float32)
    for taste in range(modality.first, modality.last):
        values += modality.signal * item_tastes[:, taste, None] * mixing[taste]
    return values
