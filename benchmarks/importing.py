"""Seconds and peak memory of `data import --from amazon` on made files in the exact formats of 2014.

    python benchmarks/importing.py --interactions 100000 --items 10000      # a hundredth of what is asked for
    python benchmarks/importing.py                                          # 10 million reviews, a million image rows

The files lie in a temporary folder (``--folder``: where) and are deleted at the end; the whole size needs about 45 GB
there. Each user has 10 reviews of items drawn uniformly, of about 800 bytes each; nine of ten items have an image row
and nine of ten a description. Prints one row of a Markdown table; the peak is that of the process that imports, with
the pages of files that it has mapped.
"""

import argparse
import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from recmm.data.formats.amazon_images import ROW

BLOCK = 10_000  # lines written at a time
PER_USER = 10  # reviews
REVIEW = (
    '{"reviewerID": "A%013d", "asin": "B%09d", "reviewerName": "a name", "helpful": [0, 0], "reviewText": "%s", '
    '"overall": 5.0, "summary": "a summary of it", "unixReviewTime": %d, "reviewTime": "07 23, 2013"}\n'
)
META = (
    "{'asin': 'B%09d', %s'title': '%s', 'price': 9.99, 'imUrl': 'picture.jpg', 'related': {'also_bought': %s}, "
    "'salesRank': {'Baby': 12}, 'brand': 'a brand', 'categories': [['Baby', 'Nursery', 'Bedding']]}\n"
)


def words(random: np.random.Generator) -> str:
    """About a megabyte of made words, some of them frequent."""
    letters = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", "S1")
    weights = 1 / np.arange(1, len(letters) + 1)
    lexicon = [
        b"".join(random.choice(letters, n, p=weights / weights.sum())).decode() for n in random.integers(2, 11, 3000)
    ]
    frequent = 1 / np.arange(1, len(lexicon) + 1)
    chosen = random.choice(len(lexicon), 170_000, p=frequent / frequent.sum())
    return " ".join(lexicon[word] for word in chosen)


def write_reviews(path: Path, n: int, n_items: int, pool: str, random: np.random.Generator) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for start in range(0, n, BLOCK):
            count = min(BLOCK, n - start)
            items = random.integers(0, n_items, count).tolist()
            places = random.integers(0, len(pool) - 1200, count).tolist()
            lengths = random.integers(50, 1150, count).tolist()
            times = random.integers(1_200_000_000, 1_400_000_000, count).tolist()
            rows = zip(range(start, start + count), items, places, lengths, times, strict=True)
            text = [REVIEW % (row // PER_USER, item, pool[p : p + length], t) for row, item, p, length, t in rows]
            file.write("".join(text).encode())


def write_meta(path: Path, n_items: int, pool: str, random: np.random.Generator) -> None:
    related = str([f"B{item:09d}" for item in range(30)])
    with gzip.open(path, "wb", compresslevel=1) as file:
        for start in range(0, n_items, BLOCK):
            items = range(start, min(start + BLOCK, n_items))
            places = random.integers(0, len(pool) - 1200, len(items)).tolist()
            descriptions = (
                f"'description': '{pool[p : p + 600]}', " if item % 10 else ""
                for item, p in zip(items, places, strict=True)
            )
            rows = zip(items, descriptions, places, strict=True)
            file.write("".join(META % (item, text, pool[p : p + 50], related) for item, text, p in rows).encode())


def write_images(path: Path, n_items: int, random: np.random.Generator) -> None:
    rows = np.zeros(256, ROW)
    rows["values"] = np.maximum(random.standard_normal(rows["values"].shape, np.float32), 0)
    items = np.arange(n_items)
    items = random.permutation(items[items % 10 != 3])
    with path.open("wb") as file:
        for start in range(0, len(items), len(rows)):
            block = items[start : start + len(rows)]
            rows["asin"][: len(block)] = np.char.mod(b"B%09d", block)
            file.write(rows[: len(block)].tobytes())


def size(path: Path) -> float:
    return path.stat().st_size / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the files are made")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    pool = words(random)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as temporary:
        folder = Path(temporary)
        reviews, meta, images = (
            folder / name for name in ("reviews_X.json.gz", "meta_X.json.gz", "image_features_X.b")
        )
        start = time.perf_counter()
        write_reviews(reviews, arguments.interactions, arguments.items, pool, random)
        write_meta(meta, arguments.items, pool, random)
        write_images(images, arguments.items, random)
        sizes = " + ".join(f"{size(path):.2f}" for path in (reviews, meta, images))
        print(f"made in {time.perf_counter() - start:.0f} s: {sizes} GB", file=sys.stderr, flush=True)
        start = time.perf_counter()
        command = [sys.executable, "-m", "recmm", "data", "import", str(folder), "--from", "amazon", "--out"]
        subprocess.run([*command, str(folder / "out")], check=True, env=os.environ, stdout=sys.stderr)
        seconds = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = used.ru_maxrss / (1024**3 if sys.platform == "darwin" else 1024**2)
        cells = {
            "reviews": f"{arguments.interactions:,}",
            "items": f"{arguments.items:,}",
            "reviews + metadata + images (GB)": sizes,
            "seconds": f"{seconds:.0f}",
            "of a core": f"{used.ru_utime + used.ru_stime:.0f}",
            "peak memory (GB)": f"{peak:.2f}",
        }
        for row in (cells, ["---"] * len(cells), cells.values()):
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
