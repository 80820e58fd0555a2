"""What is thrown at the readers, and what they have to do with it: read it, or say in a DataError which file and why.

A reader of a folder is fuzzed with one line:

    test_my_table = fuzzed(write_valid_folder, read_folder, "table.csv", tables(["user", "item"]))

RECMM_FUZZ=10000 raises the number of examples of each test from its default and draws them anew in every run.
"""

import io
import os
import pickle
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recmm.data.files.pickles import ADMITTED
from recmm.errors import DataError

LONG = int(os.environ.get("RECMM_FUZZ", "0"))
HANG = 60  # seconds: far beyond what any example takes
FREE_MEMORY, MEMORY_PER_BYTE = 4 << 20, 64  # bytes that a reader may allocate; of a file's bytes
LONGEST_MESSAGE = 2000
NUMBERS = [
    0,
    1,
    -1,
    2,
    255,
    2**15,
    2**31 - 1,
    2**31,
    -(2**31),
    10**12,
    2**62,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64,
    10**30,
]


def fuzzed(
    write: Callable[[Path], object],
    read: Callable[[Path], object],
    name: str,
    *further: st.SearchStrategy[bytes],
    repair: Callable[[Path], object] = lambda _: None,
    examples: int = 40,
) -> Callable[..., None]:
    """A test that replaces one file of a valid folder again and again.

    Args:
        write: makes the valid folder.
        read: reads it.
        name: the file, relative to the folder; it is replaced by mutations of itself, by random bytes, by its text in
            other encodings, and by what ``further`` draws.
        repair: makes the folder's digests those of its files again.
    """

    @settings(
        max_examples=LONG or examples,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def test(tmp_path: Path, data: st.DataObject) -> None:
        original = tmp_path / ".original"
        if not original.exists():
            write(tmp_path)
            original.write_bytes((tmp_path / name).read_bytes())
            read(tmp_path)
        valid = original.read_bytes()
        content = data.draw(st.one_of(mutations(valid), st.binary(max_size=300), encodings(valid), *further))
        (tmp_path / name).write_bytes(content)
        repair(tmp_path)
        read_or_refuse(lambda: read(tmp_path), tmp_path)

    return test


def read_or_refuse(read: Callable[[], object], folder: Path) -> DataError | None:
    """Fail unless ``read`` ends in time, in bounded memory, and well or with a DataError of a useful message."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    refusal = None
    tracemalloc.start()
    try:
        with ends():
            read()
    except DataError as error:
        refusal = error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < FREE_MEMORY + MEMORY_PER_BYTE * size, f"{peak:,} bytes for files of {size:,}"
    if refusal is not None:
        message = str(refusal)
        named = [path.name for path in folder.rglob("*") if path.name in message]
        assert named, message
        assert len(message.replace(str(folder), "")) in range(25, LONGEST_MESSAGE), message
        assert all(letter.isprintable() or letter == "\n" for letter in message), message
    return refusal


@contextmanager
def ends() -> Iterator[None]:
    """Interrupt what hangs."""

    def stop(_: int, __: FrameType | None) -> None:
        raise AssertionError(f"it hangs: not ended after {HANG} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def mutations(draw: st.DrawFn, valid: bytes) -> bytes:
    """``valid`` with up to four flips, overwritten numbers, cuts, insertions and repetitions."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        upto = min(len(content), at + draw(st.integers(1, 12)))
        match draw(st.sampled_from(["flip", "number", "truncate", "delete", "insert", "repeat", "digits"])):
            case "flip" if at < len(content):
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "number":
                width, order = draw(st.sampled_from([1, 2, 4, 8])), draw(st.sampled_from(["little", "big"]))
                number = draw(st.sampled_from(NUMBERS)) % (1 << 8 * width)
                content[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
            case "truncate":
                del content[at:]
            case "delete":
                del content[at:upto]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=12))
            case "repeat":
                content[at:at] = content[at:upto] * draw(st.sampled_from([1, 2, 100]))
            case "digits":
                content[at:at] = str(draw(st.sampled_from(NUMBERS))).encode()
    return bytes(content)


def encodings(valid: bytes) -> st.SearchStrategy[bytes]:
    """What is text in UTF-8, in other encodings; other files as they are read by mistake."""
    text = valid.decode("utf-8", "replace").replace("\N{REPLACEMENT CHARACTER}", "\xe9")
    names = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig", "utf-7", "cp037"]
    return st.sampled_from([text.encode(name, "replace") for name in names] + [text.replace("\n", "\r").encode()])


def tables(columns: Sequence[str], *, separator: str = "\t") -> st.SearchStrategy[bytes]:
    """A header, which may be damaged, and lines of ids, some huge and some not numbers."""
    cells = st.one_of(
        st.integers(0, 5).map(str),
        st.sampled_from(
            [*map(str, NUMBERS), "", " ", "1.5", "1e400", "nan", "-0", "0x1", "\x00", "\x1b[31m", '"', "é"]
        ),
        st.text(max_size=5),
    )
    header = st.one_of(st.just(list(columns)), st.permutations(columns), st.lists(st.sampled_from(columns), max_size=6))
    rows = st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=8)
    odd = st.lists(st.lists(cells, max_size=len(columns) + 2), max_size=2)
    return st.builds(
        lambda *parts: "\n".join(separator.join(row) for row in [parts[0], *parts[1], *parts[2]]).encode(
            "utf-8", "surrogatepass"
        ),
        header,
        rows,
        odd,
    )


def jsons(keys: Sequence[str]) -> st.SearchStrategy[Any]:
    """JSON values: nested, with the layout's keys, and with numbers that are none of a catalogue."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.sampled_from(NUMBERS), st.floats(), st.text(max_size=8), st.sampled_from(keys)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(keys) | st.text(max_size=3), inner, max_size=4)
        ),
        max_leaves=12,
    )


def npy_files() -> st.SearchStrategy[bytes]:
    """Headers of .npy files made of their grammar, over a little data."""
    codes = ["<f4", ">f4", "<f2", "<f8", "|b1", "|O", "<U9", "V0", "|S0", "<M8[ns]", "f4,f4", "(2,3)f4", "3O", "<f16"]
    codes += ["<c8", "|V2147483647", "i999999999", "", "?", "\x00", "a5", ",", "(99999999999999,)f4", "M8[5"]
    lengths = st.sampled_from([*map(str, NUMBERS), "0x" + "f" * 5000, "1" * 4000, "True", "4.0", "None", "'4'", "1j"])
    shapes = st.one_of(
        st.sampled_from(["(4, 3)", "(12,)", "()", "(2, 2, 3)", "(0, 5)", "4", "[4, 3]"]),
        st.lists(lengths, max_size=3).map(lambda parts: f"({', '.join(parts)},)" if parts else "()"),
        st.integers(1, 300).map(lambda n: f"({'1, ' * n})"),
        st.integers(1, 200).map(lambda n: f"({'9' * 18 + ', '})".replace(", ", f", {'9' * 18}" * n + ",")),
    )
    descrs = st.recursive(
        st.sampled_from([repr(code) for code in codes]) | st.sampled_from(["None", "1", "b'<f4'", "...", "{}"]),
        lambda inner: (
            st.tuples(inner, shapes).map(lambda pair: f"({pair[0]}, {pair[1]})")
            | st.lists(inner.map(lambda kind: f"('a', {kind})"), max_size=3).map(lambda f: f"[{', '.join(f)}]")
            | st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]")
        ),
        max_leaves=4,
    )
    headers = st.builds(
        "{{'descr': {}, 'fortran_order': {}, 'shape': {}{}}}".format,
        descrs,
        st.sampled_from(["False", "True", "0", "'no'", "None", "[]"]),
        shapes,
        st.sampled_from(["", ", 'more': 1", ", 1: 2", ", 'shape': (1,)", "\n", " " * 2000]),
    )
    return st.builds(_npy, headers, st.sampled_from([1, 2, 3]), st.sampled_from([0, 48, 96]))


def _npy(header: str, version: int, data: int) -> bytes:
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return np.lib.format.MAGIC_PREFIX + bytes([version, 0]) + length + header.encode() + bytes(data)


def parquets(columns: dict[str, pl.Series]) -> st.SearchStrategy[bytes]:
    """Parquet tables with columns of other types, lengths and values."""
    length = len(next(iter(columns.values())))
    kinds = [pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Categorical]
    others = [pl.Series([None] * length, dtype=kind) for kind in kinds]
    others += [pl.Series([number] * length, dtype=pl.Float64) for number in (1e300, float("nan"), float("inf"), 0.5)]
    others += [pl.Series([number] * length) for number in NUMBERS if -(2**63) <= number < 2**63]
    others += [pl.Series([2**64 - 1] * length, dtype=pl.UInt64), pl.Series([2**100] * length, dtype=pl.Int128)]
    others += [pl.Series([[1]] * length), pl.Series([{"a": 1}] * length), pl.Series(["train"] * length)]
    others += [pl.Series(["1.5"] * length).cast(pl.Decimal(9, 2)), pl.Series(["a"] * length, dtype=pl.Categorical)]

    @st.composite
    def drawn(draw: st.DrawFn) -> bytes:
        table = dict(columns)
        for name in draw(st.lists(st.sampled_from([*columns, "timestamp", "weight"]), min_size=1, max_size=2)):
            table[name] = draw(st.sampled_from(others))
        if draw(st.booleans()):
            del table[draw(st.sampled_from(sorted(table)))]
        frame = pl.DataFrame(table)
        return _parquet(draw(st.sampled_from([frame, frame[:0], frame[:1], pl.concat([frame, frame])])))

    return drawn()


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def pickle_programs() -> st.SearchStrategy[bytes]:
    """Programs of the pickle machine, made of its own instructions."""
    names = [f"c{module}\n{name}\n".encode() for module, name in ADMITTED if "." not in name][:14]
    words = [b"f4", b"i8", b"O8", b"<", b"_shape", b"row", b"col", b"coords", b"data", b"indptr", b"indices", b"latin1"]
    steps = [bytes([code]) for code in b"N])}(\x85\x86\x87tldsuaebR\x810212\x94\x88\x89\x8f\x90\x91Q\x93\x97\x98"]
    steps += [b"h\x00", b"h\x01", b"j\xff\xff\xff\xff", b"q\x00", b"q\x01", b"r\xff\xff\xff\x7f", b"p9999999999\n"]
    steps += [bytes([ord("U"), len(word)]) + word for word in words] + names + names
    steps += [pickle.dumps(number, 2)[2:-1] for number in NUMBERS] + [b"G\x7f\xf0" + bytes(6), b"I01\n", b"L1L\n"]
    steps += [b"B\xff\xff\xff\x7fab", b"\x8e" + b"\xff" * 7 + b"\x0fab", b"\x96" + b"\xff" * 7 + b"\x0f", b"C\x04abcd"]
    steps += [
        b"\x95" + b"\xff" * 8,
        b"X\x02\x00\x00\x00ab",
        b"V\\ud800\n",
        b"S'a'\n",
        b"S'\n",
        b"\x80\x07",
        b"\x82\x01",
    ]
    steps += [b"ios\nsystem\n", b"Pid\n", b"\x8c\x02os\x8c\x06system\x93", b"\x8bx\x00\x00\x00"]
    ends = st.sampled_from([b".", b".", b".", b""])
    return st.builds(lambda parts, end: b"".join(parts) + end, st.lists(st.sampled_from(steps), max_size=40), ends)
