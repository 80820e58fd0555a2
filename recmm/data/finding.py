"""A problem met while a catalogue was read. It is apart from the readers, as commands name it before they load any."""

from dataclasses import dataclass

from recmm.errors import DataError


@dataclass(frozen=True)
class Finding:
    """One problem that a reader has met.

    Attributes:
        where: the file, relative to the catalogue's folder.
        error: what ``strictly`` raises; None where it goes on.
        code: a key of ``recmm.ingest.check.findings.CODES``; None for the code of the error's class.
        message: the sentence for `data check` where it differs from the error's.
        listed: False where `data check` finds the same later, in more detail; ``strictly`` logs it if it has no error.
    """

    where: str
    error: DataError | None
    code: str | None = None
    message: str = ""
    listed: bool = True
