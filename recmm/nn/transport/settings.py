"""What can be chosen about a transport plan."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from recmm.errors import ConfigError

Method = Literal["auto", "dense", "sparse", "lowrank"]
Domain = Literal["kernel", "log"]

LARGEST_ERROR = 1e-3
"""No plan's row or column sum is further from 1 than this."""


@dataclass(frozen=True, kw_only=True)
class TransportSettings:
    """How the entropic coupling of two clouds is found (CI2MG Eq. 6-8; methods.md C10-C13).

    Attributes:
        method: "dense" forms the plan N x N; "sparse" couples an item only with its candidate neighbours; "lowrank"
            couples both clouds with ``rank`` anchors; "auto" is dense up to 2,000 items, sparse above.
        epsilon: weight of the entropy, relative to the mean of the cost matrix (Eq. 6 as it stands, so the distance
            between the clouds' centres counts); None: found from ``perplexity``, which is ignored otherwise.
        perplexity: exp of the mean entropy of the plan's rows (which equals that of its columns), from 1 to below N.
        n_neighbours: sparse: candidates per row and per column, at least twice the perplexity.
        rank: lowrank: number of anchors, at least N / perplexity.
        domain: dense: where POT iterates, the "kernel" with absorbed potentials or the "log" domain (ten times slower).
        max_iterations: limit of each solve, Sinkhorn and conjugate-gradient iterations together.
        tolerance: largest deviation of a row or column sum from 1 at which a solve ends, at most 1e-3.
        diagonal_bonus: kappa >= 0: the cost of coupling an item with itself falls by kappa times the mean cost.
    Raises:
        ConfigError: a value that is out of its range.
    """

    method: Method = "auto"
    epsilon: float | None = None
    perplexity: float = 32.0
    n_neighbours: int = 96
    rank: int = 256
    domain: Domain = "kernel"
    max_iterations: int = 1_000
    tolerance: float = 5e-4
    diagonal_bonus: float = 0.0

    def __post_init__(self) -> None:
        self._check("method", self.method in get_args(Method), f"one of {', '.join(get_args(Method))}")
        self._check("domain", self.domain in get_args(Domain), f"one of {', '.join(get_args(Domain))}")
        self._check("epsilon", self.epsilon is None or _positive(self.epsilon), "null or a positive number")
        self._check("perplexity", _positive(self.perplexity) and self.perplexity >= 1, "a number of at least 1")
        self._check("tolerance", _positive(self.tolerance) and self.tolerance <= LARGEST_ERROR, "in (0, 1e-3]")
        self._check("diagonal_bonus", self.diagonal_bonus == 0 or _positive(self.diagonal_bonus), "at least 0")
        for key in ("n_neighbours", "rank", "max_iterations"):
            value = getattr(self, key)
            self._check(key, isinstance(value, int) and not isinstance(value, bool) and value >= 1, "at least 1")
        if self.epsilon is None and self.method in ("auto", "sparse"):
            # narrower rows could reach the perplexity only by being uniform over their candidates
            expected = f"at least twice transport.perplexity={self.perplexity:g}"
            self._check("n_neighbours", self.n_neighbours >= 2 * self.perplexity, expected)

    def _check(self, key: str, valid: bool, expected: str) -> None:
        if not valid:
            raise ConfigError(f"transport.{key} is {getattr(self, key)!r}; expected {expected}.")


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
