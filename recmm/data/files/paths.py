"""Files that must be there."""

from pathlib import Path

from recmm.errors import MissingFileError


def require_file(path: Path, role: str) -> Path:
    """``path``, if it is a file that can be read; ``role`` says in the error what it should hold.

    Raises:
        MissingFileError: the file, or the folder it should lie in, does not exist, or it must not be read.
    """
    try:
        if path.is_file():
            path.open("rb").close()
            return path
        folder_is_there = path.parent.is_dir()
    except OSError as error:  # no permission, a name that is too long
        raise MissingFileError(
            f"{path}, {role}, cannot be read ({error.strerror}): correct its permissions or its name."
        ) from error
    if not folder_is_there:
        raise MissingFileError(f"The folder {path.parent} does not exist; it should hold {path.name}, {role}.")
    raise MissingFileError(
        f"{path}, {role}, does not exist: put the file there, or correct the folder or the file name."
    )
