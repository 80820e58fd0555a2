"""Runs that cannot be paired with each other."""

from collections.abc import Callable

import numpy as np
import polars as pl

from recmm.errors import RunError

PerUser = Callable[[str], np.ndarray]
"""Folder of a run -> float64 [n_users]."""


def refuse_mixed_data(frame: pl.DataFrame) -> None:
    """Refuse runs of one dataset that differ in data, split or evaluation: users are paired by id.

    Raises:
        RunError: two such runs differ.
    """
    for same_name in frame.partition_by("dataset", maintain_order=True):
        for column, what in (("data_digest", "data digests"), ("split", "splits"), ("protocol", "evaluation settings")):
            _refuse_difference(
                same_name,
                column,
                what,
                f"on dataset {same_name['dataset'][0]}",
                "compare only runs of the same kind, or run one of them again on the other's data and split.",
            )


def refuse_mixed_masks(family: pl.DataFrame) -> None:
    """Refuse runs of one condition and mask seed whose masks differ.

    Raises:
        RunError: two such runs differ.
    """
    for same_seed in family.filter("uses_modalities").partition_by("mask_seed", maintain_order=True):
        _refuse_difference(
            same_seed,
            "masks_digest",
            "mask digests",
            f"under {same_seed['condition'][0]} with missing.seed={same_seed['mask_seed'][0]}",
            "leave one of them out, or run it again so that all methods see the same masks.",
        )


def refuse_damaged(family: pl.DataFrame, per_user: PerUser) -> None:
    """Refuse metrics per user that have other users than the first run of the same data, or values that are no number.

    Raises:
        RunError: the metrics of a run are such.
    """
    folders = family["folder"].unique(maintain_order=True)
    for folder in folders:
        values, expected = per_user(folder), len(per_user(folders[0]))
        if len(values) != expected or not np.isfinite(values).all():
            raise RunError(
                f"per_user.parquet of {folder} is damaged: {np.isfinite(values).sum()} users have a value, where "
                f"{folders[0]}, on the same data, has {expected} users. Run it again with overwrite=true."
            )


def _refuse_difference(frame: pl.DataFrame, column: str, what: str, where: str, advice: str) -> None:
    (first, value), *others = frame.select("folder", column).unique(column, maintain_order=True, keep="first").rows()
    if others:
        folder, other = others[0]
        if column.endswith("digest"):
            value, other = value[:12], other[:12]
        raise RunError(
            f"The {what} of runs {where} differ: {value} in {first}, {other} in {folder}. They cannot be paired: "
            f"{advice}"
        )
