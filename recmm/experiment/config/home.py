"""The home folder written as ``~``: shells expand it at the beginning of a word only, and Hydra cannot read it."""

import os
import re

_TILDE = re.compile(r"(?:(?<=^)|(?<=[=,(\[:{]))(?P<quote>['\"]?)~(?=/|$|(?P=quote)(?:[,)\]}]|$))")
_SPECIAL = re.compile(r"([\\()\[\]{}:=, \t])")  # what Hydra reads in a value without quotation marks


def expand_home(path: str) -> str:
    """A path with ``~`` or ``~name`` at its beginning written out; other texts stay as they are."""
    return os.path.expanduser(path)


def expand_in_override(override: str) -> str:
    """An argument ``key=value`` with the home folder in place of ``~`` in ``~/folder``, in lists and quoted, too."""
    key, separator, value = override.partition("=")
    if "~" not in value:
        return override
    home = expand_home("~")

    def written(found: re.Match[str]) -> str:
        quote = found["quote"]
        return quote + (home.replace(quote, f"\\{quote}") if quote else _SPECIAL.sub(r"\\\1", home))

    return key + separator + _TILDE.sub(written, value)
