"""recmm: multimodal recommendation when modalities are missing."""

from recmm.deferred import defer_torchmetrics

defer_torchmetrics()  # before anything imports Lightning

__version__ = "0.1.0"

RESULTS_VERSION = 2
"""Raised by hand when a change alters numbers; part of every run's signature."""
