"""Parquet files of unknown origin, read by another process first, because a damaged file can crash its reader."""

import os
import subprocess
import sys
from pathlib import Path

from recmm.errors import ColumnError

MEMORY, PER_BYTE = 2 << 30, 32  # the trial may take MEMORY + PER_BYTE * size of the file, in bytes
SECONDS, BYTES_PER_SECOND = 60, 1 << 20  # and SECONDS + size / BYTES_PER_SECOND
TRIAL = """
import contextlib, sys
with contextlib.suppress(ImportError, OSError, ValueError):  # not there on Windows, or already lower
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
import polars
try:
    polars.read_parquet(sys.argv[1], glob=False)
except (Exception, polars.exceptions.PanicException) as error:
    sys.exit((str(error).splitlines() or [type(error).__name__])[0])
"""


def try_parquet(path: Path) -> None:
    """See whether the whole file can be read, in bounded memory and time; takes about a second longer than that.

    Raises:
        ColumnError: it cannot.
    """
    size = path.stat().st_size
    command = [sys.executable, "-I", "-c", TRIAL, str(path), str(MEMORY + PER_BYTE * size)]
    quiet = os.environ | {"RUST_BACKTRACE": "0", "POLARS_VERBOSE": "0"}
    try:
        trial = subprocess.run(
            command, capture_output=True, timeout=SECONDS + size / BYTES_PER_SECOND, env=quiet, check=False
        )
        said = trial.stderr.decode(errors="replace").strip().splitlines()
        reason = next((line.strip() for line in reversed(said) if line[:5] != "note:"), "it cannot be read")
    except subprocess.TimeoutExpired:
        reason = "reading it does not end"
    else:
        if trial.returncode == 0:
            return
    raise ColumnError(f"{path} is not a readable Parquet file: {reason}. Write it again.")
