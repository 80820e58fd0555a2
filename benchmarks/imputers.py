"""Seconds and peak memory of every imputer on made catalogues, as a Markdown table.

    python benchmarks/imputers.py                                     # 5k, 20k and 100k items: an hour or two
    python benchmarks/imputers.py --sizes 5000,20000 --imputers feat_prop,ppr

A catalogue has as many users as items, about 9 interactions per item whose popularity follows a power law, 50 tastes
that users and items share, and two modalities of 128 and 64 columns, half of whose entries are hidden. Each imputer
runs with its shipped settings, fit and one transform, in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import torch
from omegaconf import OmegaConf

from recmm.data.dataset import Interactions
from recmm.experiment.config.build import build
from recmm.experiment.config.folder import config_folder
from recmm.experiment.machine import peak_memory_mb
from recmm.missing.imputers import Features, Imputer

CONF = config_folder() / "imputer"
IMPUTERS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "paper")
PER_ITEM = 9
TASTES = 50
DIMS = {"visual": 128, "textual": 64}
FAITHFUL = 0.6  # share of a user's interactions with items of the user's own taste


def catalogue(n_items: int) -> tuple[Interactions, Features, np.ndarray]:
    """Interactions, features with hidden rows zero, and the mask."""
    random = np.random.default_rng(0)
    n_pairs = round(PER_ITEM * n_items * 1.15)  # repeats drop out
    popularity = random.permutation(np.arange(1, n_items + 1) ** -0.8)
    activity = np.clip(np.exp(np.log(6) + 0.8 * random.standard_normal(n_items)), 3, 200)
    users = random.choice(n_items, n_pairs, p=activity / activity.sum())
    items = random.choice(n_items, n_pairs, p=popularity / popularity.sum())
    user_taste, item_taste = random.integers(0, TASTES, (2, n_items))
    faithful = random.random(n_pairs) < FAITHFUL
    for taste in range(TASTES):
        places = np.flatnonzero(faithful & (user_taste[users] == taste))
        fitting = np.flatnonzero(item_taste == taste)
        items[places] = random.choice(fitting, len(places), p=popularity[fitting] / popularity[fitting].sum())
    pairs = np.unique(users * n_items + items)
    mask = random.random((n_items, len(DIMS))) < 0.5
    features: Features = {}
    for column, (modality, dim) in enumerate(DIMS.items()):
        centres = random.standard_normal((TASTES, dim), dtype=np.float32)
        values = centres[item_taste] + random.standard_normal((n_items, dim), dtype=np.float32)
        features[modality] = values * mask[:, column, None]
    return Interactions(pairs // n_items, pairs % n_items, n_items, n_items), features, mask


def measure(name: str, n_items: int) -> dict[str, float]:
    """Seconds of fit and of transform, peak memory of this process before and after them in MB."""
    train, features, mask = catalogue(n_items)
    imputer: Imputer = build(OmegaConf.load(CONF / f"{name}.yaml"))
    before, start = peak_memory_mb()["host"], time.perf_counter()
    imputer.fit(features, mask, train)
    fitted = time.perf_counter()
    imputer.transform(features, mask)
    return {
        "fit": fitted - start,
        "transform": time.perf_counter() - fitted,
        "before": before,
        "peak": peak_memory_mb()["host"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="5000,20000,100000", help="comma separated numbers of items")
    parser.add_argument("--imputers", default=",".join(IMPUTERS), help="comma separated")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each process")
    parser.add_argument("--one", action="store_true", help="measure one imputer and size here, and print it as JSON")
    arguments = parser.parse_args()
    sizes, names = [int(size) for size in arguments.sizes.split(",")], arguments.imputers.split(",")
    if arguments.one:
        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(names[0], sizes[0])))
        return
    print("| imputer | items | fit | transform | peak memory | of it the catalogue and the libraries |")
    print("|---|---|---|---|---|---|")
    for name in names:
        for size in sizes:
            command = [sys.executable, __file__, "--one", f"--imputers={name}", f"--sizes={size}"]
            command.append(f"--threads={arguments.threads}")
            environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}  # for NumPy's matrix products
            output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            found = json.loads(output.splitlines()[-1])
            print(
                f"| `{name}` | {size:,} | {found['fit']:.1f} s | {found['transform']:.1f} s "
                f"| {found['peak']:,.0f} MB | {found['before']:,.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
