"""Joins by label: do the labels of a table, of feature rows or of files name the items of the catalogue?"""

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

import polars as pl

from recmm.data.files.quoting import shown
from recmm.errors import IdError

log = logging.getLogger(__name__)

FEW = 0.5  # share of the catalogue's items below which a join is worth a warning
INVISIBLE = "\ufeff\u200b"  # a byte order mark, a space without width
DIFFERENCES: Mapping[str, Callable[[str], str]] = {  # what labels of the same item may differ by, and what removes it
    "the blanks around them": lambda label: label.strip().strip(INVISIBLE).strip(),
    "the quotation marks around them": lambda label: label.strip("\"'"),
    "the '.0' at their end": lambda label: re.sub(r"(?<=\d)\.0+$", "", label),
    "their leading zeros": lambda label: label.lstrip("0") or "0",
    "their different Unicode forms, such as accents that are letters of their own": lambda label: unicodedata.normalize(
        "NFKC", label
    ),
    "the difference of upper and lower case": str.casefold,
}


def check_join(items: Iterable[str], labels: Iterable[str], *, source: str, catalogue: str = "the catalogue") -> None:
    """Refuse ``labels`` of a ``source`` that name none of ``items``, the raw labels of the ``catalogue``.

    Few matches, or labels that would match if they were written alike, are logged as a warning.

    Raises:
        IdError: no label matches; the sentence shows one of each side and what they may differ by.
    """
    ours, theirs = list(items), list(labels)
    known = set(theirs)
    left = [label for label in ours if label not in known]
    n_found = len(ours) - len(left)
    if not left:
        return
    taken = set(ours)
    example, hint = _difference(left, [label for label in theirs if label not in taken])
    told = f"one of {catalogue} that has no match is {_quoted(example[0])}"
    if example[1] is not None:
        told = f"a label there is {_quoted(example[1])}, {told}"
    if not n_found:
        raise IdError(f"{source} names none of the {len(ours):,} items of {catalogue}: {told}.{hint}")
    if hint or n_found < FEW * len(ours):
        share = f"{n_found:,} of the {len(ours):,} items of {catalogue} ({n_found / len(ours):.0%})"
        log.warning("%s names %s: %s.%s", source, share, told, hint)


def warn_of_twins(labels: pl.Series, kind: str, source: str) -> None:
    """Log that unique ``labels`` of users or items (``kind``) differ in surrounding blanks alone."""
    stripped = labels.str.strip_chars()
    twins = labels.filter(stripped.is_duplicated())
    if len(twins):
        one, other = twins[0], twins.filter(twins.str.strip_chars() == twins[0].strip())[1]
        log.warning(
            "%s: %s %s labels differ in blanks alone, such as %s and %s; each counts as another %s.",
            *(source, f"{len(twins):,}", kind, _quoted(one), _quoted(other), kind),
        )


def _difference(ours: Sequence[str], theirs: Sequence[str]) -> tuple[tuple[str, str | None], str]:
    """A label of each side, and a sentence on what most of them differ by; empty if there is no such thing."""
    example: tuple[str, str | None] = (ours[0], theirs[0] if theirs else None)
    most, name = 0, ""
    rules = {**DIFFERENCES, "all of these differences together": _plain}
    for called, rule in rules.items():
        found = {rule(label): label for label in theirs}
        pairs = [(label, found[rule(label)]) for label in ours if rule(label) in found]
        if len(pairs) > most:
            example, most, name = pairs[0], len(pairs), called
    return example, f" {most:,} of the others would match without {name}: write both alike." if most else ""


def _plain(label: str) -> str:
    """The label without any of the differences."""
    for rule in DIFFERENCES.values():
        label = rule(label)
    return label


def _quoted(label: str) -> str:
    """In quotes, with every letter outside ASCII as an escape if it is not in its composed form."""
    return shown(repr(label) if unicodedata.is_normalized("NFKC", label) else ascii(label))
