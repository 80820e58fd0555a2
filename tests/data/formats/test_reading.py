"""One reader for two purposes: the first error is raised, or all findings are collected."""

import logging
from pathlib import Path

import numpy as np
import pytest

from recmm.data.dataset import Split
from recmm.data.finding import Finding
from recmm.data.formats.reading import Contents, Reading, attempt, is_there, only_strictly, read_features, strictly
from recmm.errors import ColumnError, DataError, IdError, MissingFileError


def refuse(sentence: str) -> int:
    raise ColumnError(sentence)


def reading(steps: list[str]) -> Reading[str]:
    """Four findings, of which the first is no error; ``steps`` tells how far it came."""
    yield Finding("a", None, "unlisted_file", "A note.")
    steps.append("noted")
    yield Finding("b", None, message="For the log.", listed=False)
    assert (yield from attempt("c", "bad_ids", refuse, "First.")) is None
    steps.append("gone on")
    yield Finding("d", IdError("Second."))
    assert (yield from attempt("e", None, str, 5)) == "5"
    return "contents"


def collected(reading: Reading[object]) -> list[Finding]:
    return list(reading)


def test_the_first_error_is_raised_and_nothing_after_it_is_read(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[str] = []
    with caplog.at_level(logging.WARNING), pytest.raises(ColumnError, match=r"First\."):
        strictly(reading(steps))
    assert steps == ["noted"]
    assert caplog.messages == ["For the log."], "a note for `data check` alone is not logged"


def test_all_findings_are_yielded_and_the_contents_returned() -> None:
    steps: list[str] = []
    findings = collected(reading(steps))
    assert [(one.where, one.code) for one in findings if one.listed] == [
        ("a", "unlisted_file"),
        ("c", "bad_ids"),
        ("d", None),
    ]
    assert steps == ["noted", "gone on"]


def test_what_is_returned_where_nothing_is_wrong() -> None:
    assert strictly(attempt("file", None, str, 5)) == "5"


def test_a_check_for_the_strict_way_alone_is_not_listed() -> None:
    def check(value: int) -> None:
        raise DataError(f"{value} is wrong.")

    (finding,) = collected(only_strictly("file", check, 3))
    assert (str(finding.error), finding.listed) == ("3 is wrong.", False)
    with pytest.raises(DataError, match="3 is wrong"):
        strictly(only_strictly("file", check, 3))


def test_a_file_that_is_absent(tmp_path: Path) -> None:
    (finding,) = collected(is_there(tmp_path, "x.npy", "the features"))
    assert finding.message == f"There is no file x.npy in {tmp_path}."
    with pytest.raises(MissingFileError, match=r"x\.npy, the features, does not exist"):
        strictly(is_there(tmp_path, "x.npy", "the features"))
    (tmp_path / "x.npy").write_bytes(b"")
    assert strictly(is_there(tmp_path, "x.npy", "the features"))


def test_features_stay_mapped_and_those_that_are_none_are_findings(tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", np.ones((4, 2)))
    np.save(tmp_path / "complex.npy", np.ones((4, 2), np.complex64))
    np.save(tmp_path / "deep.npy", np.ones((4, 2, 2), np.float32))
    contents = Contents("toy", str(tmp_path), Split("toy", "By hand."))
    files = {name: f"{name}.npy" for name in ("good", "complex", "deep", "none")}
    codes = [(one.where, one.code) for one in collected(read_features(contents, tmp_path, files))]
    assert codes == [("complex.npy", "wrong_dtype"), ("deep.npy", "wrong_shape"), ("none.npy", None)]
    assert list(contents.features) == ["good"]
    assert isinstance(contents.features["good"], np.memmap), "doubles are copied by `assemble`, one at a time"
    assert contents.n_items == 4
    assert contents.origins == files
