"""Stateless random streams: every use of chance is seeded anew from (seed, epoch, purpose).

An interrupted epoch is replayed from its beginning with the same numbers, so no random state has to be stored. A
purpose is a plain word such as "negatives"; two purposes never share a stream.
"""

import hashlib

import numpy as np
import torch


def derive(seed: int, epoch: int, purpose: str) -> int:
    """A 63-bit seed for one purpose in one epoch, the same on every machine."""
    text = f"{seed}/{epoch}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def stream(seed: int, epoch: int, purpose: str) -> np.random.Generator:
    """A NumPy generator for one purpose in one epoch."""
    return np.random.default_rng(derive(seed, epoch, purpose))


def seed_torch(seed: int, epoch: int, purpose: str) -> None:
    """Seed torch's global generators (CPU and every GPU): dropout and whatever a method draws with torch."""
    torch.manual_seed(derive(seed, epoch, purpose))
