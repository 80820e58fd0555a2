"""Shares of processes: together everything, each thing once, sizes that differ by at most one."""

from hypothesis import given
from hypothesis import strategies as st

from recmm.data.batches.sharding import ALONE, Process


@given(n=st.integers(0, 200), world_size=st.integers(1, 50))
def test_shares_are_a_partition(n: int, world_size: int) -> None:
    shares = [range(n)[Process(rank, world_size).share(n)] for rank in range(world_size)]
    assert [k for share in shares for k in share] == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_process_alone_has_everything() -> None:
    assert ALONE.share(7) == slice(0, 7)
