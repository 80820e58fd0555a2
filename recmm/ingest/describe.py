"""`python -m recmm data describe`."""


def describe() -> None:
    """To be written."""
    raise NotImplementedError
