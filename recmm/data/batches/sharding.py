"""How the processes of a distributed run divide its work: contiguous parts, nothing padded, nothing left out."""

from typing import NamedTuple


class Process(NamedTuple):
    """One process of a run with ``world_size`` of them, or the only one.

    Attributes:
        rank: 0..world_size - 1.
        world_size: processes of the run.
    """

    rank: int = 0
    world_size: int = 1

    def share(self, n: int) -> slice:
        """This process's part of ``n`` entries in a row; sizes differ by at most one, and some are 0 if n is small."""
        return slice(n * self.rank // self.world_size, n * (self.rank + 1) // self.world_size)


ALONE = Process()
