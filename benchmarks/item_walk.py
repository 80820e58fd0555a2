"""Seconds and memory of ModWalk's walk on catalogues of random interactions and clustered features.

    python benchmarks/item_walk.py --items 1000000 --interactions 10000000 --threads 1

Degrees of users and items are heavy-tailed. Prints the seconds of the neighbours in the features, of the walk's tensors
and of a block of users, and the peak of the process's memory.
"""

import argparse
import time

import numpy as np
import torch

from recmm.experiment.machine import peak_memory_mb
from recmm.graph.sparse import row_starts
from recmm.missing.view import ModalityView
from recmm.models.history import history_rows
from recmm.nn.item_walk import ItemWalk, feature_neighbours, no_neighbours, walk_tensors


def interactions(n_users: int, n_items: int, n: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """About n distinct pairs, sorted by user and then item."""
    users = (n_users * rng.random(n) ** 1.5).astype(np.int64)
    items = (n_items * rng.random(n) ** 2).astype(np.int64)
    keys = np.unique(users * n_items + items)
    return torch.from_numpy(keys // n_items), torch.from_numpy(keys % n_items)


def features(n_items: int, width: int, rng: np.random.Generator) -> ModalityView:
    centres = rng.standard_normal((max(n_items // 50, 1), width), dtype=np.float32)
    noise = rng.standard_normal((n_items, width), dtype=np.float32)
    x = centres[rng.integers(len(centres), size=n_items)] + noise
    return ModalityView({"visual": torch.from_numpy(x)}, torch.ones(n_items, 1, dtype=torch.bool), "random")


def peak() -> float:
    """MiB of this process at its largest."""
    return peak_memory_mb()["host"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=64, help="columns of the features; 0: interactions alone")
    parser.add_argument("--block", type=int, default=64, help="users walked at a time")
    parser.add_argument("--hops", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rng, clock = np.random.default_rng(0), time.perf_counter
    n_users = given.interactions // 10
    users, items = interactions(n_users, given.items, given.interactions, rng)
    view = features(given.items, max(given.width, 1), rng)
    print(f"{n_users:,} users, {given.items:,} items, {len(items):,} interactions; {peak():,.0f} MiB before")
    started = clock()
    neighbours = feature_neighbours(view, 10, [1.0]) if given.width else no_neighbours(view)
    print(
        f"neighbours: {clock() - started:.1f} s, {len(neighbours.rows):,} edges; {peak():,.0f} MiB",
        flush=True,
    )
    started, starts = clock(), row_starts(users, n_users)
    coefficients = [0.2 * 0.8**h for h in range(given.hops)]
    made = walk_tensors(
        starts, items, given.items, neighbours, kappa=5.0, coefficients=coefficients, popularity_exponent=0.7
    )
    walk = ItemWalk(made)
    walk.scores(history_rows(starts, items, torch.arange(1), given.items))  # both CSR forms
    print(f"tensors: {clock() - started:.1f} s; {peak():,.0f} MiB", flush=True)
    started = clock()
    walk.scores(history_rows(starts, items, torch.arange(given.block), given.items))
    seconds = clock() - started
    print(f"{given.block} users: {seconds:.1f} s, {1000 * seconds / given.block:.0f} ms each; {peak():,.0f} MiB")


if __name__ == "__main__":
    main()
