"""What turns raw text, images and sound into item features, by name; `python -m recmm data encode`."""

from recmm.ingest.encoders.catalogue import CATALOGUE, Choice, find

__all__ = ["CATALOGUE", "Choice", "find"]
