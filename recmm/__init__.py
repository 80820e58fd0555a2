"""recmm: multimodal recommendation when modalities are missing."""

from typing import Any

from recmm.deferred import defer_torchmetrics, public

defer_torchmetrics()  # before anything imports Lightning

__version__ = "0.1.0"

RESULTS_VERSION = 2
"""Raised by hand when a change alters numbers; part of every run's signature."""

__all__ = [  # defined in recmm.api, and loaded when they are used
    "RESULTS_VERSION",
    "Data",
    "Run",
    "__version__",
    "compare",
    "dataset_from_frames",
    "load_dataset",
    "load_run",
    "train",
]


def __getattr__(name: str) -> Any:
    return public(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
