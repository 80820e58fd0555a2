"""The table of encoders."""

import pytest

from recmm.errors import ConfigError
from recmm.ingest.encode.registry import ENCODERS, RAW_COLUMN, find


def test_names_and_patterns_are_found() -> None:
    assert find("minilm-offline", "textual").dim == 384
    assert find("sentence-transformers/all-mpnet-base-v2", "textual").dim is None
    assert find("timm/convnext_tiny", "visual").name == "timm/MODEL"
    assert {entry.modality for entry in ENCODERS} == set(RAW_COLUMN)


@pytest.mark.parametrize(
    ("name", "modality", "message"),
    [
        ("minilm-ofline", "textual", r"did you mean minilm-offline\? Encoders:\n  minilm-offline: 384-d"),
        ("vgg16", "textual", r"--encoder vgg16 is unknown for --modality textual"),
        ("timm/", "visual", r"is unknown"),
        ("", "acoustic", r"Encoders:\n  logmel-stats: 128-d(.|\n)*wav2vec2-base: 768-d.*downloads"),
    ],
)
def test_an_unknown_name_gets_the_list(name: str, modality: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find(name, modality)
