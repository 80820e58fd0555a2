"""What can be wrong with a catalogue's interactions, split by split and between them."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from recmm.data.assembly import SplitColumns, refuse_overlap
from recmm.data.checks import check_not_empty, checked_ids, checked_labels, checked_numbers, most_ids
from recmm.data.dataset import SPLITS, Interactions
from recmm.data.formats.reading import NOTHING
from recmm.ingest.check.findings import Severity
from recmm.ingest.check.lenient_reading import Found
from recmm.ingest.check.times import check_times

MANY_WITHOUT_HISTORY = 0.1  # share of the ranked users from which on the metrics mostly measure popularity


def check_pairs(found: Found) -> dict[str, Interactions]:
    """Note all that is wrong with ids, splits, labels and timestamps of ``found``.

    Returns:
        The usable pairs of each split: ids in range, each pair once, sorted.
    """
    n_pairs = sum(len(columns.users) for columns in found.splits.values())
    sizes = {
        "user": _size(found, "user", found.n_users, found.user_ids, n_pairs),
        "item": _size(found, "item", found.n_items, found.item_ids, n_pairs),
    }
    splits = {part: _clean(found, part, columns, sizes) for part, columns in found.splits.items()}
    names = {
        "user": _names(found.user_ids, sizes["user"]),
        "item": _names(found.item_ids, sizes["item"]),
    }
    for first, second in combinations(SPLITS, 2):
        pair = {part: (splits[part], found.origin(part)) for part in (first, second)}
        where = f"{first} and {second}"
        found.findings.attempt(None, where, refuse_overlap, pair, names)
    check_times(found, splits)
    _check_histories(found, splits)
    return splits


def _size(found: Found, kind: str, stated: int, labels: list[str] | None, n_pairs: int) -> int:
    """The size of an id space, after checking its labels; at most what this number of pairs and labels allows."""
    where = found.origin(f"{kind}s")
    if labels is None:
        found.findings.attempt("raw_ids", where, checked_labels, kind, None, stated, n_pairs)
        return min(stated, most_ids(n_pairs))
    if len(labels) != stated:
        message = f"There are {len(labels):,} {kind} labels for {stated:,} {kind} ids; expected one label for each id."
        found.findings.add("label_count", where, message)
    found.findings.attempt("duplicate_labels", where, checked_labels, kind, labels, len(labels), n_pairs)
    if blank := [dense for dense, label in enumerate(labels) if not label.strip()]:
        message = f"{len(blank):,} {kind} labels are empty, the first that of id {blank[0]}."
        found.findings.add("bad_labels", where, message, "warning")
    return min(stated, max(len(labels), most_ids(n_pairs)))


def _names(labels: list[str] | None, size: int) -> list[str]:
    known = labels or []
    return known if len(known) >= size else [*known, *map(str, range(len(known), size))]


def _clean(found: Found, part: str, columns: SplitColumns, sizes: Mapping[str, int]) -> Interactions:
    """The usable pairs of one split; what cannot be used is noted."""
    findings, where = found.findings, f"{found.origin(part)}, {part}"
    if columns is not NOTHING:  # its file could not be read, which is a finding of its own
        findings.attempt(None, where, check_not_empty, columns.users, columns.items, part, columns.source)
    usable = np.ones(len(columns.users), bool)
    for kind, ids in (("user", columns.users), ("item", columns.items)):
        if findings.attempt("id_range", where, checked_ids, ids, kind, sizes[kind], columns.source) is None:
            usable &= (ids >= 0) & (ids < sizes[kind])
    numbers = {}
    for what, values in (("timestamp", columns.timestamps), ("weight", columns.weights)):
        fits = findings.attempt("bad_numbers", where, checked_numbers, values, what, len(usable), columns.source)
        numbers[what] = None if fits is None else fits[usable]
    users, items = columns.users[usable].astype(np.int64), columns.items[usable].astype(np.int64)
    _, kept = np.unique(users * sizes["item"] + items, return_index=True)
    if len(kept) < len(users):
        repeated = np.setdiff1d(np.arange(len(users)), kept)
        first = f"user {users[repeated[0]]}, item {items[repeated[0]]}"
        findings.add("duplicate_pairs", where, f"{len(repeated):,} pairs stand there again, the first: {first}.")
    times = numbers["timestamp"]
    return Interactions(
        users[kept], items[kept], sizes["user"], sizes["item"], None if times is None else times[kept], None
    )


def _check_histories(found: Found, splits: Mapping[str, Interactions]) -> None:
    """Users and items without training interactions, and those that occur nowhere."""
    add = found.findings.add
    train = splits["train"]
    held_out = [splits[part] for part in SPLITS if part != "train"]
    for kind, n_ids in (("user", train.n_users), ("item", train.n_items)):
        counts = [getattr(pairs, f"{kind}_counts")() for pairs in (train, *held_out)]
        trained, later = counts[0] > 0, sum(counts[1:])
        nowhere = np.flatnonzero(~trained & (later == 0))
        if len(nowhere):
            message = f"{len(nowhere):,} of {n_ids:,} {kind}s occur in no split, the first is id {nowhere[0]}."
            add(f"unused_{kind}s", found.origin(f"{kind}s"), message)
        new = np.flatnonzero(~trained & (later > 0))
        if not len(new):
            continue
        share = f"{int(later[new].sum()):,} of {int(later.sum()):,} held-out pairs are theirs"
        if kind == "item":
            message = f"{len(new):,} of {n_ids:,} items occur in validation or test alone, the first is id {new[0]}"
            add("cold_items", "train", f"{message}; {share}.")
        else:
            ranked = int(np.count_nonzero(later))
            message = f"{len(new):,} of {ranked:,} users with held-out pairs have no training pair"
            severity: Severity | None = "warning" if len(new) > MANY_WITHOUT_HISTORY * ranked else None
            add("users_without_history", "train", f"{message}, the first is id {new[0]}; {share}.", severity)
