"""McAuley's image features: rows of a 10-byte ASIN and 4,096 float32 in machine order (little-endian), nothing else."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from recmm.data.files.paths import require_file
from recmm.data.files.row_file import RowFile
from recmm.data.files.text_lines import watched
from recmm.data.joins import check_join
from recmm.errors import TruncatedFileError

DIM = 4096
ROW = np.dtype([("asin", "S10"), ("values", "<f4", (DIM,))])
BLOCK = 256  # rows in memory at a time, 4 MiB


def copy_image_rows(path: Path, items: pl.Series, target: RowFile) -> dict[str, int]:
    """Put the row of each of ``items`` (raw labels, row = dense id) into ``target``, joined by ASIN.

    Left out are rows of other items, all but the first row of an item, and rows with NaN or Inf.

    Returns:
        Kind of rows left out -> how many.

    Raises:
        MissingFileError: there is no such file.
        TruncatedFileError: its size is not a multiple of a row's.
        IdError: no row of any of the items.
    """
    asins = items.cast(pl.Binary).to_numpy().astype("S")
    order = np.argsort(asins)
    known = asins[order]
    passed = dict.fromkeys(("image rows of other items", "repeated image rows", "image rows with NaN or Inf"), 0)
    for rows in _blocks(path):
        place = np.minimum(np.searchsorted(known, rows["asin"]), len(known) - 1)
        ours = known[place] == rows["asin"]
        ids = order[place]
        first = np.zeros(len(rows), bool)
        first[np.unique(np.where(ours, ids, -1), return_index=True)[1]] = True
        new = ours & first & ~target.written[ids]
        finite = np.isfinite(rows["values"]).all(axis=1)
        target.write(ids[new & finite], rows["values"][new & finite])
        for what, rows_passed in zip(passed, (~ours, ours & ~new, new & ~finite), strict=True):
            passed[what] += int(np.count_nonzero(rows_passed))
    if not target.written.all():
        theirs = next(_blocks(path))["asin"][:1].astype("S").tolist()
        named = [*items.filter(pl.Series(target.written)), *(asin.decode(errors="replace") for asin in theirs)]
        check_join(items, named, source=str(path), catalogue="the reviews")
    return passed


def _blocks(path: Path) -> Iterator[np.ndarray]:
    """Up to ``BLOCK`` rows at a time, with plain reads: mapped pages would count as memory."""
    size = require_file(path, "the image features").stat().st_size
    if size == 0 or size % ROW.itemsize:
        raise TruncatedFileError(
            f"{path} has {size:,} bytes, which is {size // ROW.itemsize:,} rows of {ROW.itemsize:,} bytes (a 10-byte "
            f"ASIN and {DIM:,} float32) and {size % ROW.itemsize:,} more; expected whole rows. Copy or download it "
            "again."
        )
    with path.open("rb") as raw, watched(raw, path) as file:
        while block := file.read(BLOCK * ROW.itemsize):
            yield np.frombuffer(block, ROW)
