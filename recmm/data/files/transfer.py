"""One file over HTTP: continued where it was cut, and bounded in size, waiting, attempts and redirects.

The content is not trusted: the caller verifies it (``recmm.data.files.fetch``).
"""

import http.client
import logging
import re
import ssl
import string
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from recmm import __version__
from recmm.errors import DigestError, DownloadError

log = logging.getLogger(__name__)

CHUNK = 1 << 18  # bytes read at a time
REDIRECTS = 5  # followed in a row
MOVED = (301, 302, 303, 307, 308)
LATER = (408, 429, 500, 502, 503, 504)  # answers that another attempt may change
BROKEN = (TimeoutError, ConnectionError, http.client.IncompleteRead, ssl.SSLError)  # while a connection is there


@dataclass(frozen=True)
class Patience:
    """How long to wait for a source.

    Attributes:
        timeout: seconds without a byte after which a connection is given up.
        retries: further attempts after a connection that broke or stalled, or an answer such as 503. There is none if
            no connection could be made, so that a machine without a network does not hang.
        pause: seconds before the first of them, twice as long before each further one.
    """

    timeout: float = 10.0
    retries: int = 3
    pause: float = 1.0


PATIENCE = Patience()


class UnreachableError(DownloadError):
    """No connection could be made, so other files of the same source cannot be reached either."""


class _Passing(DownloadError):
    """A failure that may be gone at the next attempt."""


def receive(url: str, part: Path, *, size: int | None, limit: int, patience: Patience) -> None:
    """Make ``part`` the whole content of ``url``, continued from the bytes it holds already; a progress bar on stderr.

    What was received stays in ``part`` when the connection fails, for another call to go on with; a part that cannot
    be of this file is removed.

    Args:
        size: bytes that the file must have; None where that is not known.
        limit: bytes beyond which a file of unknown size is refused.
    Raises:
        UnreachableError: no connection.
        DownloadError: an HTTP error, a connection that breaks or stalls too often, bad redirects.
        DigestError: the file has another size.
        OSError: ``part`` cannot be written.
    """
    for attempt in range(patience.retries + 1):
        try:
            return _attempt(url, part, size, limit, patience.timeout)
        except _Passing as error:
            if attempt == patience.retries:
                tries = f"{attempt + 1} attempts" if attempt else "1 attempt"
                raise DownloadError(f"{error} Given up after {tries}.") from error
            wait = patience.pause * 2**attempt
            log.warning("%s Trying again in %g s.", error, wait)
            time.sleep(wait)


def _attempt(url: str, part: Path, size: int | None, limit: int, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have == size:
        return  # killed before it was checked
    if have > (limit if size is None else size):
        part.unlink()
        have = 0
    try:
        with _open(url, have, timeout) as response:
            _append(response, part, have, size, limit, url)
    except BROKEN as error:
        reason = f"no byte came for {timeout:g} s" if isinstance(error, TimeoutError) else _words(error)
        raise _Passing(f"{url}: the connection broke ({reason}).") from error
    except urllib.error.URLError as error:
        raise UnreachableError(f"{url} could not be reached ({_words(error.reason)}).") from error
    except (http.client.HTTPException, ValueError) as error:  # a URL or a location that is none
        raise DownloadError(f"{url} could not be downloaded ({_words(error)}).") from error


def _words(error: object) -> str:
    return getattr(error, "strerror", None) or str(error) or repr(error)


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse:
    """The response that holds the file from byte ``start`` on, or the whole of it."""
    opener = urllib.request.OpenerDirector()  # without the handlers of file: and ftp:, and without blind redirects
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    headers = {"User-Agent": f"recmm/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    here = url
    for _ in range(REDIRECTS + 1):
        try:
            return opener.open(urllib.request.Request(here, headers=headers), timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416 and start:  # what is there is not a part of this file
                    return _open(url, 0, timeout)
                location = error.headers.get("Location")
                if error.code not in MOVED or not location:
                    kind = _Passing if error.code in LATER else DownloadError
                    raise kind(f"{here} answered {error.code} {error.reason}.") from error
                here = urljoin(here, quote(location, encoding="iso-8859-1", safe=string.punctuation))
                if urlsplit(here).scheme not in ("http", "https"):
                    raise DownloadError(f"{url} redirects to {here}, which is not http or https: refused.") from error
    raise DownloadError(f"{url} redirects more than {REDIRECTS} times: given up.")


def _append(response: http.client.HTTPResponse, part: Path, have: int, size: int | None, limit: int, url: str) -> None:
    """Stream the response into ``part``, behind its ``have`` bytes if that is what the server sends."""
    start = _first_byte(response, part, have, url)
    announced = None if response.length is None else start + response.length
    bound, expected = (limit, f"at most {limit:,}") if size is None else (size, f"pinned are {size:,}")
    if announced is not None and (announced > bound or size not in (None, announced)):
        part.unlink(missing_ok=True)
        raise DigestError(f"{url} has {announced:,} bytes, {expected}.")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    part.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered: what was received is in the file even if this process is killed.
    with (
        Progress(*columns, console=Console(stderr=True)) as progress,
        part.open("ab" if start else "wb", buffering=0) as file,
    ):
        task = progress.add_task(url.rpartition("/")[2], total=size or announced, completed=start)
        there = start
        while chunk := response.read1(CHUNK):
            there += len(chunk)
            if there > bound:
                part.unlink()
                raise DigestError(f"{url} sends more than the {bound:,} bytes expected.")
            file.write(chunk)
            progress.advance(task, len(chunk))
    total = size if announced is None else announced
    if total is not None and there < total:
        raise _Passing(f"{url} was cut short after {there:,} of {total:,} bytes.")


def _first_byte(response: http.client.HTTPResponse, part: Path, have: int, url: str) -> int:
    """Where in the file the response begins: 0 where the server ignores the range that was asked for."""
    if response.status == 200:
        return 0
    if response.status != 206:
        raise DownloadError(f"{url} answered {response.status} {response.reason}.")
    described = response.headers.get("Content-Range", "")
    found = re.match(r"bytes (\d{1,19})-", described)
    if have and found and int(found[1]) == have:
        return have
    part.unlink(missing_ok=True)
    raise _Passing(f"{url} answered with another part ({described or 'not described'}) than was asked for.")
