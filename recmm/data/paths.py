"""Files that must be there."""

from pathlib import Path

from recmm.errors import MissingFileError


def require_file(path: Path, role: str) -> Path:
    """``path``, if it is a file; ``role`` says in the error what it should hold.

    Raises:
        MissingFileError: the file, or the folder it should lie in, does not exist.
    """
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise MissingFileError(f"The folder {path.parent} does not exist; it should hold {path.name}, {role}.")
    raise MissingFileError(
        f"{path}, {role}, does not exist: put the file there, or correct the folder or the file name."
    )
