"""Checks of timestamps: one unit, and no test pair before a training pair if the split claims to follow time."""

import re
from collections.abc import Mapping

import numpy as np

from recmm.data.dataset import Interactions
from recmm.ingest.check.lenient_reading import Found

# Seconds since 1970 stay below 1e11 until the year 5138, and milliseconds above it since 1973; likewise upwards.
UNITS = {"seconds": 0.0, "milliseconds": 1e11, "microseconds": 1e14, "nanoseconds": 1e17}
CLAIMS_TIME = re.compile(r"(?<![a-z])(temporal|chronolog\w*|by time|in time|timestamps?|latest|last|newest)", re.I)


def check_times(found: Found, splits: Mapping[str, Interactions]) -> None:
    """Note timestamps in several units, and test pairs that are older than training pairs of the same user."""
    times = {part: pairs.timestamps for part, pairs in splits.items() if pairs.timestamps is not None and len(pairs)}
    if not times:
        return
    _check_units(found, np.concatenate(list(times.values())))
    if "train" in times and "test" in times:
        _check_order(found, splits["train"], splits["test"])


def _check_units(found: Found, times: np.ndarray) -> None:
    positive = times[times > 0]
    places = np.searchsorted(list(UNITS.values()), positive, side="right") - 1
    counts = {unit: int(np.count_nonzero(places == place)) for place, unit in enumerate(UNITS)}
    used = {unit: count for unit, count in counts.items() if count}
    if len(used) > 1:
        told = ", ".join(f"{count:,} look like {unit}" for unit, count in used.items())
        example = positive[places == list(UNITS).index(min(used, key=lambda unit: used[unit]))][0]
        message = f"The timestamps are in several units: of {len(times):,} {told} since 1970, such as {example:.0f}."
        found.findings.add("mixed_time_units", found.origin("train"), message)


def _check_order(found: Found, train: Interactions, test: Interactions) -> None:
    """Of users with training and test pairs: has one a test pair that is older than one of its training pairs?"""
    assert train.timestamps is not None and test.timestamps is not None
    text = f"{found.split.name.replace('_', ' ')} {found.split.recipe}"
    if not CLAIMS_TIME.search(text) or "-cold" in found.split.name:  # a split by new items, drawn from one by time
        return
    newest, oldest = np.full(train.n_users, -np.inf), np.full(train.n_users, np.inf)
    np.maximum.at(newest, train.users, train.timestamps.astype(np.float64))
    np.minimum.at(oldest, test.users, test.timestamps.astype(np.float64))
    both = np.isfinite(newest) & np.isfinite(oldest)
    leaking = np.flatnonzero(both & (oldest < newest))
    if len(leaking):
        n_both = int(np.count_nonzero(both))
        message = (
            f"The split {found.split.name!r} says that it follows time, but {len(leaking):,} of {n_both:,} users have "
            f"a test pair that is older than one of their training pairs, the first is user {leaking[0]}."
        )
        mostly = 2 * len(leaking) > n_both
        found.findings.add("temporal_leak", found.origin("test"), message, "error" if mostly else "warning")
