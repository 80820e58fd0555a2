"""Raw labels as a person gives them: in a text, or one per line of a file."""

from pathlib import Path

from recmm.data.files.text_lines import lines
from recmm.errors import DataError


def read_labels(path: Path, role: str) -> list[str]:
    """The labels in a file, one per line, in UTF-8; blank lines do not count.

    Args:
        role: what the file holds, for errors.

    Raises:
        MissingFileError: there is no such file.
        DataError: a line is not UTF-8, or there is none.
    """
    found = []
    for number, line in lines(path, role):
        try:
            found.append(line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line {number}: not text in UTF-8. Save the file as UTF-8.") from error
    if not found:
        raise DataError(f"{path} is empty: it has to hold {role}, one per line.")
    return found


def labels_or_file(given: str, role: str) -> list[str]:
    """``u1,u2``, or the name of a file with one label per line.

    Raises:
        DataError: see ``read_labels``.
    """
    path = Path(given).expanduser()
    return read_labels(path, role) if path.is_file() else [label for label in given.split(",") if label]
