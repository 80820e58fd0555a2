"""`python -m recmm data check`."""


def check() -> None:
    """To be written."""
    raise NotImplementedError
