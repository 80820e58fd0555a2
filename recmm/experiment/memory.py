"""Peak memory of one run among several in a process."""

import contextlib
import gc
import sys
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")


def start_peak_memory() -> None:
    """Count peaks anew from what the process holds now: a sweep's job does not inherit those of the jobs before it.

    On the host where the system can do it (Linux); elsewhere peaks are those since the start of the process.
    """
    gc.collect()
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5")  # man 5 proc: resets the peak resident set size
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_mb() -> dict[str, float]:
    """Peak memory on the host and, if one was used, on the GPU (MB), of this process since ``start_peak_memory``."""
    if sys.platform == "win32":
        return {}
    import resource  # not there on Windows

    unit = 1024**2 if sys.platform == "darwin" else 1024
    peaks = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated() / 1024**2
    return {name: round(value, 1) for name, value in peaks.items()}
