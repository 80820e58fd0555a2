"""What every encoder offers, and how its library and its weights are obtained or their absence is said."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from recmm.errors import ConfigError, DownloadError

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

TIMEOUT = 10.0  # seconds for a connection: a machine without a network must not hang


class Unusable(Exception):
    """An item's raw content cannot be encoded; the message is the reason that the report lists."""


class Encoder(Protocol):
    """A loaded model.

    Attributes:
        dim: D, the length of an item's feature vector.
    """

    dim: int

    def read(self, entry: str) -> Any:
        """Prepare one item's text or file for ``encode``; called from several threads.

        Raises:
            Unusable: there is nothing in it, or it cannot be read.
        """

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        """float32 [len(inputs), D]; a row depends on its own input alone, up to the last digits."""


def library(module: str, encoder: str, extra: str) -> ModuleType:
    """Import an optional library.

    Raises:
        ConfigError: it is not installed, or its compiled part does not fit the installed torch.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The encoder {encoder} needs {error.name or module}, which is not installed: pip install 'recmm[{extra}]'."
        ) from error
    except (ImportError, OSError, RuntimeError) as error:  # what a library built for another torch raises
        raise ConfigError(
            f"The encoder {encoder} needs {module}, which is installed but does not load with this torch "
            f"({_first_line(error)}). Install torch, torchvision and torchaudio from one index, all for the CPU or all "
            "for the same CUDA version."
        ) from error


def from_hub(load: Callable[[], T], what: str, through: str, instead: str) -> T:
    """What ``load`` returns, which takes weights from the Hugging Face cache or downloads them.

    Where the hub does not answer, the cache alone is asked: the libraries would retry for more than a minute.

    Raises:
        DownloadError: the weights are neither there nor to be had.
    """
    from huggingface_hub import constants

    online = not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT)
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, not online
    try:
        return load()
    except Exception as error:  # each library and version has exceptions of its own for "not there"
        reason = _first_line(error) if online else f"{constants.ENDPOINT} does not answer"
        raise no_weights(what, through, instead, reason) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def no_weights(what: str, through: str, instead: str, reason: str) -> DownloadError:
    """The error for weights that are not on this machine and cannot be fetched."""
    return DownloadError(
        f"The weights of {what} are not on this machine and could not be downloaded through {through} ({reason}). Run "
        f"the command once on a machine with a network and copy its cache folder ({_cache()}), or take --encoder "
        f"{instead}, which needs no download."
    )


def _answers(url: str) -> bool:
    """Whether anything at all answers there, an HTTP error included; goes through a proxy where one is set."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:  # URLError and timeouts are OSErrors
        return False


def _cache() -> str:
    return os.environ.get("HF_HOME") or os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
