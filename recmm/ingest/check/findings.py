"""What `data check` can find: a stable code for every kind of problem, how severe it is, and what to do about it.

error: recmm refuses to read the catalogue, or a result on it would be wrong. warning: it is read, but a result may
mislead. note: worth knowing; nothing has to be done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, ParamSpec, TypeVar

from recmm.data.finding import Finding
from recmm.errors import (
    ColumnError,
    DataError,
    DigestError,
    EmptySplitError,
    FeatureFileError,
    FeatureShapeError,
    MissingFileError,
    ObjectArrayError,
    SplitOverlapError,
    StatisticsError,
    TruncatedFileError,
    UnsafePickleError,
)

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
P = ParamSpec("P")
T = TypeVar("T")


class Code(NamedTuple):
    """One kind of problem: its usual severity, and what to do."""

    severity: Severity
    advice: str


CODES = {
    # files
    "missing_file": Code("error", "Put the file there; `python -m recmm data download` knows where public ones are."),
    "manifest": Code("error", "Write the folder again with `python -m recmm data import`."),
    "digest_drift": Code("error", "Copy the folder again, or import it again if the change was meant."),
    "unlisted_file": Code("note", "recmm does not read it: remove it, or import the folder again with it."),
    "unreadable_file": Code("error", "Copy or download the file again."),
    "truncated_file": Code("error", "Copy or download the file again."),
    "unsafe_pickle": Code("error", "Get a pickled SciPy COO or CSR matrix from a source that you trust."),
    "unreadable_data": Code("error", "Correct what the sentence names."),
    "wrong_statistics": Code("error", "Take the files of this split, or set dataset.expected=null."),
    # interactions
    "wrong_columns": Code("error", "Correct the names and types of the table's columns."),
    "bad_ids": Code("error", "Number users and items with integers from 0, without gaps."),
    "id_range": Code("error", "Number users and items from 0 without gaps; drop rows of unknown ones."),
    "raw_ids": Code("error", "Number users and items densely, and keep the raw ids as labels."),
    "unknown_split": Code("error", "Assign each row to train, val or test."),
    "empty_split": Code("error", "Split again: each of train, val and test needs interactions."),
    "duplicate_pairs": Code("warning", "Keep one row per pair; recmm keeps the first and drops the others."),
    "split_overlap": Code("error", "Keep the pair in one split: a held-out pair must not be trained on."),
    "label_count": Code("error", "Give exactly one label for each id, row = dense id."),
    "duplicate_labels": Code("error", "Merge the ids that share a label, or make their labels different."),
    "bad_labels": Code("error", "Give every id a label."),
    "bad_numbers": Code("error", "Give one finite number for each pair, or drop the column."),
    "wrong_counts": Code("warning", "Import the folder again, so that manifest and table agree."),
    "users_without_history": Code("note", "Nothing can be personalised for them; they are ranked all the same."),
    "cold_items": Code("note", "Only their features can place them; rank them alone with eval.candidates=cold."),
    "unused_users": Code("note", "They only cost memory: drop them and number the users anew."),
    "unused_items": Code("note", "They are candidates of every ranking: drop them if they should not be."),
    "mixed_time_units": Code("warning", "Convert all timestamps to one unit, best seconds since 1970."),
    "tied_times": Code("warning", "Import the times at their full resolution; report how many decisions were ties."),
    "coarse_times": Code("warning", "Write the times as integers, or as float64, and import the data again."),
    "temporal_leak": Code("warning", "Split again by time, or do not call the split a temporal one."),
    # features
    "object_dtype": Code("error", "Save the matrix again as float32 or float16."),
    "wrong_dtype": Code("error", "Save the matrix again as float32 or float16."),
    "wrong_shape": Code("error", "Save one row per item and one column per feature."),
    "copied_dtype": Code("note", "Save it as float32 or float16, which stay on the disk instead of being copied."),
    "row_count": Code("error", "Make one row per item, in the order of the item ids; mark missing ones as such."),
    "observed_shape": Code("error", "Make `observed` bool with one row per item and one column per modality."),
    "not_finite": Code("error", "Repair the rows, or mark these entries as not observed."),
    "zero_rows": Code("warning", "Mark them as not observed if the item has no such data: a zero row passes for data."),
    "duplicate_rows": Code("note", "Mark placeholders, such as a picture that says 'no image', as not observed."),
    "constant_columns": Code("note", "They say nothing; drop them if they are many."),
    "constant_rows": Code("warning", "Encode these items again, or mark them as not observed."),
    "large_values": Code(
        "warning", "Scale the features, for example to rows of norm 1, or repair what made them so large."
    ),
    "dead_modality": Code("error", "Encode this modality again, or leave it out with dataset.modalities=[...]."),
    "bare_items": Code("note", "Methods see them through interactions alone."),
    "different_scales": Code("note", "Use a method or an imputer that normalises, or scale the features."),
    "unaligned": Code(
        "note", "Check that row k of the file belongs to item id k: rows may be shuffled or of other ids."
    ),
}
OF_ERROR: dict[type, str] = {
    MissingFileError: "missing_file",
    DigestError: "digest_drift",
    ColumnError: "wrong_columns",
    EmptySplitError: "empty_split",
    SplitOverlapError: "split_overlap",
    UnsafePickleError: "unsafe_pickle",
    ObjectArrayError: "object_dtype",
    TruncatedFileError: "truncated_file",
    FeatureFileError: "unreadable_file",
    FeatureShapeError: "wrong_shape",
    StatisticsError: "wrong_statistics",
}


@dataclass(frozen=True)
class Listed:
    """One problem as `data check` lists it.

    Attributes:
        code: short stable name, a key of ``CODES``.
        where: the file, split or modality.
        message: a sentence with the count and the first example.
        advice: what to do.
    """

    code: str
    severity: Severity
    where: str
    message: str
    advice: str


@dataclass
class Findings:
    """A list of findings that grows while a catalogue is looked at."""

    found: list[Listed] = field(default_factory=list)

    def add(self, code: str, where: str, message: str, severity: Severity | None = None) -> None:
        """Note a problem; ``severity`` where it is not the usual one."""
        usual, advice = CODES[code]
        self.found.append(Listed(code, severity or usual, where, message, advice))

    def take(self, finding: Finding) -> None:
        """Note what a reader yields, unless it is looked for later."""
        if finding.listed:
            self.add(finding.code or _code(finding.error), finding.where, finding.message or str(finding.error))

    def attempt(
        self, code: str | None, where: str, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """What ``read`` returns; where it refuses the data, its sentence becomes a finding and None is returned.

        Args:
            code: of the finding; None for the one of the error's class.
        """
        try:
            return read(*args, **kwargs)
        except DataError as error:
            self.add(code or _code(error), where, str(error))
            return None

    def by_severity(self) -> list[Listed]:
        """Errors first, then warnings, then notes, each in the order in which they were found."""
        return sorted(self.found, key=lambda finding: SEVERITIES.index(finding.severity))

    def counts(self) -> dict[str, int]:
        """Severity -> number of findings."""
        return {severity: sum(one.severity == severity for one in self.found) for severity in SEVERITIES}


def _code(error: DataError | None) -> str:
    """The code of an error's class."""
    return OF_ERROR.get(type(error), "unreadable_data")
