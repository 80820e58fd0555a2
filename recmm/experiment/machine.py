"""What a run takes of its machine: CPU threads, and peak memory, also when a process runs several."""

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import Literal

import torch

SMALL_CATALOGUE = 1_000_000
"""Training pairs up to which ``auto`` takes one thread: a second one costs more than it saves, and spins while it waits
for a core that another process has."""

_DEFAULT_THREADS = torch.get_num_threads()  # before a run has set another number in this process
_CLEAR_REFS = Path("/proc/self/clear_refs")


def choose_threads(wanted: int | Literal["auto"] | None, n_train: int) -> int:
    """The number of torch's threads for a catalogue with ``n_train`` training pairs.

    Args:
        wanted: a number; None, torch's default; "auto", one on catalogues of at most ``SMALL_CATALOGUE`` pairs, and on
            larger ones as many as there are idle cores, at most torch's default.
    """
    if wanted is None:
        return _DEFAULT_THREADS
    if wanted != "auto":
        return wanted
    if n_train <= SMALL_CATALOGUE:
        return 1
    busy = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(1, min(_DEFAULT_THREADS, (os.cpu_count() or 1) - busy))


def start_peak_memory() -> None:
    """Reset the peaks to what the process holds now, so that a job of a sweep does not report those of earlier jobs.

    The host's peak is reset on Linux only; elsewhere it is the peak since the start of the process.
    """
    gc.collect()
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")  # man 5 proc: resets the peak resident set size
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_mb() -> dict[str, float]:
    """Peak memory of this process since ``start_peak_memory`` in MB: `host` and, with CUDA, `gpu`."""
    if sys.platform == "win32":
        return {}
    import resource  # does not exist on Windows

    unit = 1024**2 if sys.platform == "darwin" else 1024
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated() / 1024**2
    return {name: round(value, 1) for name, value in peaks.items()}
