"""Coverage-guided fuzzing of the readers of single files, beside the property tests in tests/data/test_fuzz.py.

    pip install atheris
    python benchmarks/fuzz_readers.py pickle -max_total_time=300    # or npy, zip; further options are libFuzzer's

Anything but a DataError stops it and leaves the input as a file crash-... here; so do 2 GB of memory or 60 s.
"""

import pickle
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
import scipy.sparse as sp

with atheris.instrument_imports(include=["recmm", "pickletools", "numpy.lib", "zipfile"]):
    from recmm.data.files.archive import unpack
    from recmm.data.files.arrays import load_features
    from recmm.data.files.pickles import load_sparse
    from recmm.errors import DataError

MATRIX = sp.coo_matrix(np.eye(3, 4, dtype=np.float32))


def write_pickles(folder: Path) -> None:
    for protocol in (2, 4, 5):
        for kind in (sp.coo_matrix, sp.csr_matrix):
            (folder / f"{kind.__name__}{protocol}").write_bytes(pickle.dumps(kind(MATRIX), protocol))


def write_npy(folder: Path) -> None:
    for dtype in ("<f4", ">f8", "|b1"):
        np.save(folder / f"{dtype[1:]}.npy", np.ones((3, 4), dtype))


def write_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/visual.npy", b"content" * 9)


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "pickle": (write_pickles, lambda path: load_sparse(path, "x")),
    "npy": (write_npy, lambda path: load_features(path, "x")),
    "zip": (write_zip, lambda path: unpack(path, "visual.npy", path.with_name("out"), limit=1 << 20)),
}


def main() -> None:
    """Fuzz the reader that the first argument names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} [libFuzzer's options]")
    write, read = TARGETS[sys.argv[1]]
    folder = Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    corpus.mkdir()
    write(corpus)
    path = folder / "fuzzed"

    def once(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except DataError as error:
            assert str(error).strip()

    options = ["-rss_limit_mb=2048", "-timeout=60", "-max_len=4096", *sys.argv[2:]]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
