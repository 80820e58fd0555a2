"""Optional libraries and pretrained weights of the encoders, with errors that say how to obtain them."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TypeVar

from recmm.errors import ConfigError, DownloadError

T = TypeVar("T")

TIMEOUT = 10.0  # seconds for a connection, so that the command does not hang without a network


def library(module: str, encoder: str, extra: str) -> ModuleType:
    """Import an optional library.

    Raises:
        ConfigError: it is not installed, or its binaries do not match the installed torch.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The encoder {encoder} needs {error.name or module}, which is not installed: pip install 'recmm[{extra}]'."
        ) from error
    except (ImportError, OSError, RuntimeError) as error:  # raised by a library built for another version of torch
        raise ConfigError(
            f"The encoder {encoder} needs {module}, which is installed but does not load with this version of torch "
            f"({_first_line(error)}). Install torch, torchvision and torchaudio from one index, all for the CPU or all "
            "for the same CUDA version."
        ) from error


def from_hub(load: Callable[[], T], what: str, through: str, instead: str) -> T:
    """The result of ``load``, which takes weights from the Hugging Face cache or downloads them.

    If the hub does not answer, only the cache is used; otherwise the libraries would retry for more than a minute.

    Args:
        what: the model, for the error.
        through: the library that downloads it, for the error.
        instead: an encoder that needs no download, for the error.

    Raises:
        DownloadError: the weights are not in the cache and cannot be downloaded.
    """
    from huggingface_hub import constants

    online = not constants.HF_HUB_OFFLINE and _answers(constants.ENDPOINT)
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, not online
    try:
        return load()
    except Exception as error:  # each library and version raises its own exceptions for absent weights
        reason = _first_line(error) if online else f"{constants.ENDPOINT} does not answer"
        raise no_weights(what, through, instead, reason) from error
    finally:
        constants.HF_HUB_OFFLINE = before


def no_weights(what: str, through: str, instead: str, reason: str) -> DownloadError:
    """The error for weights that are not on this machine and cannot be downloaded."""
    return DownloadError(
        f"The weights of {what} are not on this machine and could not be downloaded through {through} ({reason}). Run "
        f"the command once on a machine with a network and copy its cache folder ({_cache()}), or use --encoder "
        f"{instead}, which needs no download."
    )


def _answers(url: str) -> bool:
    """Whether a server answers at ``url``, if only with an HTTP error; uses the proxy settings of the environment."""
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
