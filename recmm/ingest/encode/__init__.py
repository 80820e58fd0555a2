"""What turns raw text, images and sound into item features, by name; `python -m recmm data encode`."""

from recmm.ingest.encode.registry import CATALOGUE, Choice, find

__all__ = ["CATALOGUE", "Choice", "find"]
