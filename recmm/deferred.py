"""Start-up time: what `import recmm` offers is loaded when it is used, and of torchmetrics what Lightning uses.

Lightning imports torchmetrics for two classes. torchmetrics then imports all its metrics, with SciPy's signal
processing and, where they are installed, transformers and others: a third of the CPU time of a short run.
"""

import logging
import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any

LIGHTNING_USES = {
    "__version__": "torchmetrics.__about__",
    "Metric": "torchmetrics.metric",
    "MetricCollection": "torchmetrics.collections",
}
"""Name in torchmetrics -> the module that defines it."""

PUBLIC = {
    "Data": "recmm.api.data",
    "Run": "recmm.api.runs",
    "compare": "recmm.api.runs",
    "dataset_from_frames": "recmm.api.data",
    "load_dataset": "recmm.api.data",
    "load_run": "recmm.api.runs",
    "train": "recmm.api.training",
}
"""What `recmm` offers by name -> the module that defines it; `recmm/__init__.pyi` says the same to type checkers."""


def public(name: str) -> Any:
    """The object that `recmm` offers under this name.

    Raises:
        AttributeError: it offers none.
    """
    if name not in PUBLIC:
        raise AttributeError(f"module 'recmm' has no attribute {name!r}")
    return getattr(import_module(PUBLIC[name]), name)


def defer_torchmetrics() -> None:
    """Place torchmetrics in ``sys.modules`` such that its `__init__` runs at the first name outside `LIGHTNING_USES`.

    Nothing changes where it is imported already, or absent.
    """
    spec = None if "torchmetrics" in sys.modules else find_spec("torchmetrics")
    if spec is None or spec.loader is None:
        return
    loader, package = spec.loader, module_from_spec(spec)

    def attribute(name: str) -> Any:
        if name in LIGHTNING_USES:
            import_module("torchmetrics.utilities")  # before torchmetrics.metric, which it imports in a circle
            return getattr(import_module(LIGHTNING_USES[name]), name)
        if name.startswith("__"):
            raise AttributeError(name)
        del package.__getattr__
        loader.exec_module(package)
        return getattr(package, name)

    package.__getattr__ = attribute  # type: ignore[method-assign]
    package._logger = logging.getLogger("torchmetrics")  # type: ignore[attr-defined]  # its modules expect it there
    sys.modules["torchmetrics"] = package
