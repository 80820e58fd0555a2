"""The loop over the items: what counts as missing, what is kept, and what is refused."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmm.errors import DataError
from recmm.ingest.encode.base import Unusable
from recmm.ingest.encode.resumable import Encoded, Work, encode_items, work_digest


class Lengths:
    """A text becomes its length and its first letter; some texts are trouble."""

    dim = 2

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def read(self, entry: str) -> str:
        if entry == "torn":
            raise Unusable("the page is torn")
        if entry == "odd":
            raise ZeroDivisionError("no width")
        return entry

    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        self.batches.append(list(inputs))
        special = {"nan": (1, np.nan), "zero": (0, 0), "flat": (3, 3)}
        return np.array([special.get(text, (len(text), ord(text[0]))) for text in inputs], np.float32)


def run(entries: list[str | None], folder: Path, *, encoder: Lengths | None = None, batch_size: int = 2) -> Encoded:
    def watch(batches: Sequence[np.ndarray], n_items: int, before: int) -> Iterator[np.ndarray]:
        yield from batches

    work = Work(folder / "work", len(entries))
    with work.lock:
        return encode_items(entries, encoder or Lengths(), work, batch_size=batch_size, watch=watch)


def test_every_item_is_encoded_or_missing_with_a_reason(tmp_path: Path) -> None:
    found = run(["a", None, "nan", "bb", "torn", "zero", "flat", "c", "odd"], tmp_path)
    np.testing.assert_array_equal(found.observed, [1, 0, 0, 1, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(found.values[found.observed], [[1, 97], [2, 98], [1, 99]])
    np.testing.assert_array_equal(found.values[~found.observed], 0)
    assert found.reasons == {
        1: "no content",
        2: "the encoder's output is not finite",
        4: "the page is torn",
        5: "the encoder's output is constant (0 throughout)",
        6: "the encoder's output is constant (3 throughout)",
        8: "preparing it failed (ZeroDivisionError: no width)",
    }


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_change_nothing(tmp_path: Path, batch_size: int) -> None:
    entries = [letter * length for letter, length in zip("abcdefg", (3, 1, 4, 1, 5, 9, 2), strict=True)]
    encoder = Lengths()
    found = run([*entries], tmp_path, encoder=encoder, batch_size=batch_size)
    np.testing.assert_array_equal(found.values[:, 0], [3, 1, 4, 1, 5, 9, 2])
    assert encoder.batches[0][0] == "f" * 9, "the longest comes first"
    assert max(map(len, encoder.batches)) == min(batch_size, 7)


class Fails(Lengths):
    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        if len(self.batches) == 2:
            raise MemoryError
        return super().encode(inputs)


def test_what_was_done_is_not_done_again_even_with_another_batch_size(tmp_path: Path) -> None:
    entries = ["eeeee", "torn", "dddd", None, "ccc", "nan", "bb", "a"]
    with pytest.raises(MemoryError):
        run([*entries], tmp_path, encoder=Fails())
    with (tmp_path / "work" / "reasons.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n[7, "the line was cut by a ki')
    again = Lengths()
    found = run([*entries], tmp_path, encoder=again, batch_size=1)
    assert again.batches == [["nan"], ["bb"], ["a"]]
    fresh = run([*entries], tmp_path / "fresh")
    np.testing.assert_array_equal(found.values, fresh.values)
    assert found.reasons == fresh.reasons
    assert set(found.reasons) == {1, 3, 5}


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = Work(tmp_path / "work", 3)
    with pytest.raises(DataError, match="another process is encoding the same"):
        Work(tmp_path / "work", 3)
    first.lock.release()
    Work(tmp_path / "work", 3).lock.release()


def test_nothing_encoded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"None of the 3 items could be encoded.*, for 2 of them: the page is torn; .*'torn'"
    ):
        run(["torn", None, "torn"], tmp_path)


class Dead(Lengths):
    def encode(self, inputs: Sequence[Any]) -> np.ndarray:
        return np.tile(np.array([1, 2], np.float32), (len(inputs), 1))


def test_one_vector_for_all_is_an_error_unless_all_contents_are_the_same(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one vector for all 3 items"):
        run(["a", "b", "c"], tmp_path / "different", encoder=Dead())
    assert run(["a", "a", "a"], tmp_path / "same", encoder=Dead()).observed.all()


def test_the_digest_changes_with_whatever_changes_the_result(tmp_path: Path) -> None:
    photo = tmp_path / "p.png"
    photo.write_bytes(b"1")
    items, entries, settings = ["x", "y"], [str(photo), None], {"encoder": "a"}

    def digest(**changes: Any) -> str:
        given = {"settings": settings, "items": items, "entries": entries, "files": True} | changes
        return work_digest(**given)

    before = digest()
    assert digest() == before
    others = {digest(settings={"encoder": "b"}), digest(items=["x", "z"]), digest(entries=entries[::-1])}
    photo.write_bytes(b"23")
    assert len({before, digest(), *others}) == 5
    photo.unlink()
    assert digest() != before
