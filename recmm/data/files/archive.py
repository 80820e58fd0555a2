"""One file out of an untrusted .zip archive."""

import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from recmm.errors import DownloadError

# The others are decompressed without a bound on what comes out of one block.
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    ValueError,
    OSError,
    LookupError,
)


def unpack(archive: Path, member: str, target: Path, *, limit: int) -> None:
    """Write the one file called ``member``, in whatever folder of the archive it lies, to ``target``.

    Raises:
        DownloadError: not a readable zip; a path that leaves the archive, a link, a file beyond ``limit`` bytes or
            bigger than announced, a rare compression; no or several such members.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                _check_entry(entry, limit)
            files = {
                entry: PurePosixPath(entry.filename).parts
                for entry in opened.infolist()
                if not entry.filename.endswith("/")
            }
            found = [entry for entry, parts in files.items() if parts[-1:] == (member,) and "__MACOSX" not in parts]
            if len(found) != 1:
                raise DownloadError(f"The archive holds {len(found)} files called {member}, expected one.")
            if found[0].compress_type not in COMPRESSIONS:
                raise DownloadError(f"The archive's member {member} is compressed in a rare way: refused.")
            with opened.open(found[0]) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)  # zipfile reads no further than the size checked above
    except DAMAGED as error:
        raise DownloadError(f"The archive that should hold {member} cannot be read ({error}).") from error


def _check_entry(entry: zipfile.ZipInfo, limit: int) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise DownloadError(f"The archive's member {entry.filename!r} points outside the archive: refused.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DownloadError(f"The archive's member {entry.filename!r} is a link: refused.")
    if entry.file_size > limit:
        raise DownloadError(
            f"The archive's member {entry.filename!r} has {entry.file_size:,} bytes, allowed are {limit:,}."
        )
