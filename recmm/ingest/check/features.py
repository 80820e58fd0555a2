"""What can be wrong with a catalogue's features, modality by modality and between them."""

from collections.abc import Mapping

import numpy as np

from recmm.data.checks import check_rows
from recmm.data.dataset import Interactions
from recmm.ingest.alignment import align
from recmm.ingest.check.findings import Severity
from recmm.ingest.check.lenient_reading import Found
from recmm.ingest.feature_scan import FeatureScan, scan

PLACEHOLDER_SHARE, PLACEHOLDER_LEAST = 0.005, 3  # so many equal rows are taken for a placeholder
MANY_CONSTANT = 0.5  # of the columns
LARGE = 1e6  # value beyond which float32 keeps less than a digit behind the point
SCALES_APART = 10  # ratio of the median norms of two modalities


def check_features(found: Found, splits: Mapping[str, Interactions]) -> None:
    """Note all that is wrong with the features of ``found``, whose usable interactions are ``splits``."""
    scans = {}
    for modality, values in found.features.items():
        observed = _observed(found, modality, splits["train"].n_items)
        where = found.origin(modality)
        found.findings.attempt("row_count", where, check_rows, values, found.n_items, where)
        if values.dtype not in (np.float32, np.float16):
            message = f"The values are {values.dtype}, which recmm copies into memory as float32."
            found.findings.add("copied_dtype", where, message)
        n_rows = min(len(values), len(observed))
        scans[modality] = scan(values[:n_rows], observed[:n_rows], modality)
        _check_rows_of(found, modality, scans[modality])
        if not scans[modality].is_dead and n_rows == len(observed):
            _check_alignment(found, modality, values[:n_rows], scans[modality], splits)
    if scans:
        _check_bare_items(found, scans)
        _check_scales(found, scans)


def _observed(found: Found, modality: str, n_items: int) -> np.ndarray:
    """bool [n_items], of the size that the interactions were checked with."""
    observed = found.observed.get(modality, np.ones(0, bool))[:n_items]
    return np.concatenate([observed, np.ones(n_items - len(observed), bool)])


def _check_rows_of(found: Found, modality: str, seen: FeatureScan) -> None:
    add, where = found.findings.add, found.origin(modality)
    n_observed = int(np.count_nonzero(seen.observed))
    if not n_observed:
        add("dead_modality", where, f"Not one of the items has {modality} features.")
        return
    bad = np.flatnonzero(seen.observed & ~seen.finite)
    if len(bad):
        message = f"{seen.n_bad:,} NaN or Inf values in {len(bad):,} of {n_observed:,} observed rows, the first is row"
        add("not_finite", where, f"{message} {bad[0]}.")
    if not seen.finite.any():
        return
    _check_sizes_of(found, modality, seen)
    if seen.is_dead:
        add("dead_modality", where, f"All {n_observed:,} observed rows are the same: they tell no two items apart.")
        return
    zero = np.flatnonzero(seen.zero)
    if len(zero):
        message = f"{len(zero):,} of {n_observed:,} rows that count as observed hold zeros alone, the first is row"
        add("zero_rows", where, f"{message} {zero[0]}.")
    constant = np.flatnonzero(seen.constant)
    if len(constant):
        message = f"{len(constant):,} of {seen.dim:,} columns hold one value in all rows, the first is column"
        severity: Severity | None = "warning" if len(constant) > MANY_CONSTANT * seen.dim else None
        add("constant_columns", where, f"{message} {constant[0]}.", severity)
    flat = np.flatnonzero(seen.flat)
    if len(flat):
        message = f"{len(flat):,} of {n_observed:,} rows hold one value in all columns, the first is row {flat[0]}"
        add("constant_rows", where, f"{message}.")
    first, sizes = seen.groups
    if len(first):
        message = (
            f"{seen.n_duplicates:,} of {n_observed:,} rows repeat another one; the most frequent, first in row "
            f"{first[0]}, stands there {sizes[0]:,} times"
        )
        many = sizes[0] >= max(PLACEHOLDER_LEAST, PLACEHOLDER_SHARE * n_observed)
        add(
            "duplicate_rows",
            where,
            f"{message}{', as a placeholder would' if many else ''}.",
            "warning" if many else None,
        )


def _check_sizes_of(found: Found, modality: str, seen: FeatureScan) -> None:
    """Are values so large that products of them lose precision, or overflow?"""
    if seen.largest <= LARGE:
        return
    row = int(seen.norms.argmax())
    message = f"The largest value is {seen.largest:.3g}, and row {row} has the norm {seen.norms[row]:.3g}"
    if seen.norms[row] ** 2 > np.finfo(np.float32).max:
        found.findings.add(
            "large_values",
            found.origin(modality),
            f"{message}: its square overflows float32, so norms and products become infinite.",
            "error",
        )
    else:
        found.findings.add("large_values", found.origin(modality), f"{message}.")


def _check_alignment(
    found: Found, modality: str, values: np.ndarray, seen: FeatureScan, splits: Mapping[str, Interactions]
) -> None:
    alignment = align(values, seen, splits, modality)
    if alignment is None or not alignment.is_chance:
        return
    error = "" if alignment.error is None else f" ± {alignment.error:.3f}"
    message = (
        f"A user's mean training feature ranks its test items no better than chance: AUC {alignment.auc:.3f}{error} "
        f"over {alignment.n_users:,} users (0.5 = chance)."
    )
    found.findings.add("unaligned", found.origin(modality), message)


def _check_bare_items(found: Found, scans: Mapping[str, FeatureScan]) -> None:
    shortest = min(len(seen.observed) for seen in scans.values())
    bare = np.flatnonzero(~np.any([seen.observed[:shortest] for seen in scans.values()], axis=0))
    if len(bare):
        message = f"{len(bare):,} of {shortest:,} items have no modality at all, the first is item {bare[0]}."
        found.findings.add("bare_items", found.origin("items"), message)


def _check_scales(found: Found, scans: Mapping[str, FeatureScan]) -> None:
    norms = {name: float(np.median(seen.norms[seen.finite])) for name, seen in scans.items() if seen.finite.any()}
    norms = {name: norm for name, norm in norms.items() if norm > 0}
    if len(norms) > 1:
        large, small = max(norms, key=lambda name: norms[name]), min(norms, key=lambda name: norms[name])
        if norms[large] >= SCALES_APART * norms[small]:
            message = (
                f"The median norm of {large} is {norms[large]:.3g}, that of {small} {norms[small]:.3g}: where both are "
                f"used as they are, {large} outweighs {small} {norms[large] / norms[small]:.0f} to 1."
            )
            found.findings.add("different_scales", f"{large} and {small}", message)
