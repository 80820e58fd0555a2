"""What a model file finds around it while its code runs, and nothing else does: modules, and names that have gone.

Model files of some years' age use names that newer NumPy, SciPy and Python lack.
"""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.sparse import dok_matrix
from torch import nn

from recmm.adapters.mmrec import abstract_recommender, init, loss, similarity

_ABSENT = object()


def _package(name: str, **modules: ModuleType) -> dict[str, ModuleType]:
    package = ModuleType(name)
    package.__path__ = []  # no further modules are looked for
    for inner, module in modules.items():
        setattr(package, inner, module)
    return {name: package} | {f"{name}.{inner}": module for inner, module in modules.items()}


def interface() -> dict[str, ModuleType]:
    """Name -> module, of all that a model file may import from MMRec."""
    parts = {"abstract_recommender": abstract_recommender, "loss": loss, "init": init}
    common = _package("common", **parts)
    inner = {f"models.{name}": module for name, module in common.items()}
    return common | _package("utils", utils=similarity) | _package("models", common=common["common"]) | inner


@contextmanager
def around(modules: dict[str, ModuleType], device: torch.device | None = None) -> Iterator[None]:
    """Have ``modules`` in ``sys.modules`` and the old names where they were; afterwards all is as before.

    Args:
        device: on the CPU, ``.cuda()`` does nothing.
    """
    modules_before = {name: sys.modules.get(name) for name in modules}
    names_before = [(owner, name, vars(owner).get(name, _ABSENT)) for owner, name, _ in _old_names(device)]
    sys.modules.update(modules)
    for owner, name, value in _old_names(device):
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in names_before:
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        for name, module in modules_before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _old_names(device: torch.device | None) -> list[tuple[Any, str, Any]]:
    """Owner, name and value of what is set for a while."""
    absent = (("float", float), ("int", int), ("object", object), ("bool", np.bool_), ("complex", complex))
    names: list[tuple[Any, str, Any]] = [(np, name, kind) for name, kind in absent if name not in vars(np)]
    names.append((random, "sample", _sample))
    if not hasattr(dok_matrix, "_update") or vars(dok_matrix).get("_update") is _update:
        names.append((dok_matrix, "_update", _update))
    if device is not None and device.type == "cpu":
        names += [(torch.Tensor, "cuda", _itself), (nn.Module, "cuda", _itself)]
    return names


def _update(matrix: Any, entries: dict[tuple[int, int], Any]) -> None:
    """SciPy's former ``dok_matrix._update``: set entries without a check."""
    matrix._dict.update(entries)


_random_sample: Callable[..., list[Any]] = random.sample


def _sample(population: Any, k: int, **options: Any) -> list[Any]:
    """``random.sample``, which took sets before Python 3.11."""
    ordered = tuple(population) if isinstance(population, set | frozenset) else population
    return _random_sample(ordered, k, **options)


def _itself(thing: Any, *_: Any, **__: Any) -> Any:
    return thing
