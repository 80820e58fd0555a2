"""`python -m recmm data download`."""


def download() -> None:
    """To be written."""
    raise NotImplementedError
