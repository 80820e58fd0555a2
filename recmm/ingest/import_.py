"""`python -m recmm data import`."""


def import_() -> None:
    """To be written."""
    raise NotImplementedError
