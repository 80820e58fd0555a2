"""Checks of timestamps: one unit, few ties, no test pair before a training pair if the split claims to follow time."""

import re
from collections.abc import Mapping

import numpy as np

from recmm.data.dataset import Interactions
from recmm.data.times import UNITS, leave_one_out_ties, recognised_unit, resolution
from recmm.ingest.check.lenient_reading import Found

MANY_TIES = 0.01  # share of the decisions of a split by time from which on ties are a warning
DAY = 24 * 60 * 60  # seconds
CLAIMS_TIME = re.compile(r"(?<![a-z])(temporal|chronolog\w*|by time|in time|timestamps?|latest|last|newest)", re.I)


def check_times(found: Found, splits: Mapping[str, Interactions]) -> None:
    """Note timestamps in several units, times that tie, and test pairs that are older than a user's training pairs."""
    times = {part: pairs.timestamps for part, pairs in splits.items() if pairs.timestamps is not None and len(pairs)}
    if not times:
        return
    together = np.concatenate(list(times.values()))
    _check_units(found, together)
    _check_ties(found, np.concatenate([splits[part].users for part in times]), together)
    if "train" in times and "test" in times:
        _check_order(found, splits["train"], splits["test"])


def _check_units(found: Found, times: np.ndarray) -> None:
    places = recognised_unit(times)
    units = list(UNITS.values())
    counts = {unit: int(np.count_nonzero(places == place)) for place, unit in enumerate(units)}
    used = {unit: count for unit, count in counts.items() if count}
    if len(used) > 1:
        told = ", ".join(f"{count:,} look like {unit}" for unit, count in used.items())
        example = times[places == units.index(min(used, key=lambda unit: used[unit]))][0]
        message = f"The timestamps are in several units: of {len(times):,} {told} since 1970, such as {example:.0f}."
        found.findings.add("mixed_time_units", found.origin("train"), message)


def _check_ties(found: Found, users: np.ndarray, times: np.ndarray) -> None:
    """Do the times order each user's last pairs, and can their type tell them apart?"""
    where = found.origin("train")
    apart = resolution(times)
    if apart > 1:
        message = f"The timestamps are {times.dtype}, which cannot hold these closer together than {apart:g}."
        found.findings.add("coarse_times", where, message)
    decisions, ties = leave_one_out_ties(users, times)
    if ties:
        days = found.time_unit in (None, "s") and (recognised_unit(times) == 0).all() and not (times % DAY).any()
        message = (
            f"A split by time would be arbitrary where times are equal: {ties:,} of the {decisions:,} choices of a "
            f"user's last pair and the one before it ({ties / decisions:.1%}) are ties, decided by item id"
            f"{'; all times are whole days' if days else ''}."
        )
        found.findings.add("tied_times", where, message, "warning" if ties >= MANY_TIES * decisions else "note")


def _check_order(found: Found, train: Interactions, test: Interactions) -> None:
    """Of users with training and test pairs: has one a test pair that is older than one of its training pairs?"""
    assert train.timestamps is not None and test.timestamps is not None
    text = f"{found.split.name.replace('_', ' ')} {found.split.recipe}"
    if not CLAIMS_TIME.search(text) or "-cold" in found.split.name:  # a split by new items, drawn from one by time
        return
    # In the type of the times: as float64, nanoseconds would become equal.
    newest = np.full(train.n_users, train.timestamps.min(), train.timestamps.dtype)
    oldest = np.full(train.n_users, test.timestamps.max(), test.timestamps.dtype)
    np.maximum.at(newest, train.users, train.timestamps)
    np.minimum.at(oldest, test.users, test.timestamps)
    both = (train.user_counts() > 0) & (test.user_counts() > 0)
    leaking = np.flatnonzero(both & (oldest < newest))
    if len(leaking):
        n_both = int(np.count_nonzero(both))
        message = (
            f"The split {found.split.name!r} says that it follows time, but {len(leaking):,} of {n_both:,} users have "
            f"a test pair that is older than one of their training pairs, the first is user {leaking[0]}."
        )
        mostly = 2 * len(leaking) > n_both
        found.findings.add("temporal_leak", found.origin("test"), message, "error" if mostly else "warning")
