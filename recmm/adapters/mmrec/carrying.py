"""From the model that is trained to one that is built from another phase's features: what goes over, and what stays."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recmm.missing.view import ModalityView

log = logging.getLogger(__name__)

_TABLES = ("_parameters", "_buffers", "_modules", "training")


def fingerprint(x: Tensor) -> bytes:
    """Equal for tensors of equal shape, type and bits."""
    x = x.detach()
    parts = [x.coalesce().indices(), x.coalesce().values()] if x.layout == torch.sparse_coo else [x.to_dense()]
    content = hashlib.blake2b(f"{x.dtype} {tuple(x.shape)}".encode())
    for part in parts:
        content.update(part.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return content.digest()


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those that no checkpoint holds too."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


class Built:
    """A model as its constructor left it.

    Args:
        model: just built.
        view: from whose features.
        folder: what it may keep files in; held as long as the model is.
    """

    def __init__(self, model: nn.Module, view: ModalityView, folder: Any) -> None:
        self.model, self.view, self._folder = model, view, folder
        self.initial = {name: fingerprint(x) for name, x in tensors_of(model).items()}
        self._attributes = {name: dict(vars(part)) for name, part in model.named_modules()}

    def restore_attributes(self) -> None:
        """Set all plain attributes as the constructor left them."""
        for name, part in self.model.named_modules():
            tables = {key: vars(part)[key] for key in _TABLES}
            vars(part).clear()
            vars(part).update(self._attributes.get(name, {}) | tables)

    def changed_attributes(self) -> dict[str, dict[str, Any]]:
        """Numbers and dense tensors that training has set since, by module and name: what a checkpoint needs too."""
        changed: dict[str, dict[str, Any]] = {}
        for name, part in self.model.named_modules():
            before = self._attributes.get(name, {})
            for key, value in vars(part).items():
                if key in _TABLES or value is before.get(key):
                    continue
                if isinstance(value, Tensor) and value.layout == torch.strided:
                    changed.setdefault(name, {})[key] = value.detach().clone()
                elif isinstance(value, bool | int | float) and value != before.get(key):
                    changed.setdefault(name, {})[key] = value
        return changed

    def set_attributes(self, changed: Mapping[str, Mapping[str, Any]]) -> None:
        """What ``changed_attributes`` returned."""
        parts = dict(self.model.named_modules())
        for name, values in changed.items():
            for key, value in values.items():
                setattr(parts[name], key, value)


def carry(trained: Built, other: Built, features: Mapping[str, str]) -> None:
    """Give ``other``, built from another view with the same seed, what ``trained`` has learnt.

    A parameter or buffer that both had alike in the beginning gets its trained value. A table that began as the raw
    features is the other view's features, and what training added to the rows that both views show. Of what else
    depends on features, trained parameters get their trained value, and graphs in buffers stay the other view's. Where
    shapes differ, nothing can be carried.

    Args:
        features: attribute -> modality, of what the models were given.
    """
    begun = {
        fingerprint(trained.view.features[modality]): modality
        for modality in features.values()
        if modality in trained.view.features
    }
    learnt = tensors_of(trained.model)
    with torch.no_grad():
        for name, x in tensors_of(other.model).items():
            now, start = learnt.get(name), trained.initial.get(name, b"")
            if now is None or now.shape != x.shape or now.layout != x.layout:
                if x.requires_grad:
                    log.warning("%s has another shape under another phase's features: it is not carried over.", name)
            elif start in begun:
                x.copy_(_offset(now, trained.view, other.view, begun[start]))
            elif start == other.initial[name] or x.requires_grad:
                x.copy_(now)


def _offset(now: Tensor, trained: ModalityView, other: ModalityView, modality: str) -> Tensor:
    shown = (trained.visible(modality) & other.visible(modality)).to(now.device)[:, None]
    change = now - trained.features[modality].to(now.device)
    return other.features[modality].to(now.device) + change * shown
