"""What can be chosen about a transport plan."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from recmm.errors import ConfigError
from recmm.settings import ComponentSettings, hp

Domain = Literal["kernel", "log"]

LARGEST_ERROR = 1e-3
"""No plan's row or column sum is further from 1 than this."""


class TransportSettings(ComponentSettings):
    """How the entropic coupling of two clouds is found (CI2MG Eq. 6-8), and how often anew."""

    key: ClassVar[str] = "model.transport"

    method: Literal["auto", "dense", "sparse", "lowrank"] = hp(
        "auto",
        "dense, the plan as N x N matrix | sparse, each item with its candidate neighbours | lowrank, through anchors "
        "| auto, dense up to 500 items, sparse above",
    )
    epsilon: float | None = hp(
        None,
        "weight of the entropy relative to the mean cost of Eq. 6, to which the distance of the clouds' centres "
        "belongs | null, found from perplexity; paper: none",
        gt=0,
    )
    perplexity: float = hp(
        32.0,
        "below the number of items; exp of the mean entropy of the plan's rows, ignored where epsilon is given; "
        "ours: a plan of fixed epsilon becomes uniform or underflows when the embeddings shrink or grow",
        ge=1,
    )
    n_neighbours: int = hp(96, "sparse: candidates per row and column, at least twice the perplexity", ge=1)
    rank: int = hp(256, "lowrank: anchors, at least items / perplexity", ge=1)
    domain: Domain = hp("kernel", "dense: kernel, with absorbed potentials | log, ten times slower")
    max_iterations: int = hp(1_000, "of one solve, Sinkhorn and conjugate-gradient iterations together", ge=1)
    tolerance: float = hp(
        5e-4, "largest deviation of a row or column sum from 1 at which a solve ends", gt=0, le=LARGEST_ERROR
    )
    diagonal_bonus: float = hp(
        0.0,
        "times the mean cost: how much less an item costs to couple with itself; paper 0 in Eq. 6, though its text "
        'wants "aligned distributions in the same item"',
        ge=0,
    )
    refresh: Literal["epoch", "step"] | Annotated[int, Field(ge=1)] = hp(
        "epoch", "when plans are solved: at every epoch | at every step | every n epochs, an integer >= 1; paper: open"
    )

    @model_validator(mode="after")
    def _candidates_can_reach_the_perplexity(self) -> Self:
        """Narrower rows could reach the perplexity only by being uniform over their candidates."""
        found = self.epsilon is None and self.method in ("auto", "sparse")
        if found and self.n_neighbours < 2 * self.perplexity:
            raise ConfigError(
                f"{self.key}.n_neighbours must be at least twice {self.key}.perplexity={self.perplexity:g}; "
                f"got {self.n_neighbours}."
            )
        return self
