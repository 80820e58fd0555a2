"""`python -m recmm data encode`."""


def encode() -> None:
    """To be written."""
    raise NotImplementedError
