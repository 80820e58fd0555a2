"""Peak memory of one run, also when a process runs several."""

import contextlib
import gc
import sys
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")


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
