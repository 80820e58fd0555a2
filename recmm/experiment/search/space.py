"""The search space: the listed values and intervals of a search's arguments, in Hydra's syntax."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override

from recmm.errors import ConfigError

if TYPE_CHECKING:
    import optuna

SEARCHED = ("model", "imputer", "trainer")
"""The groups whose keys may be searched. All others set the conditions under which values are compared."""

Values = Mapping[str, Any]
"""One value for each searched key."""


@dataclass(frozen=True)
class Dimension:
    """One searched key.

    Attributes:
        values: its values, in order; None for an interval of real numbers.
        low, high, log: bounds of an interval, and whether its scale is logarithmic.
    """

    values: Sequence[Any] | None
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def distribution(self) -> Any:
        """As a distribution of Optuna."""
        from optuna import distributions

        if self.values is None:
            return distributions.FloatDistribution(self.low, self.high, log=self.log)
        if isinstance(self.values, range):
            return distributions.IntDistribution(self.values[0], self.values[-1], log=self.log)
        return distributions.CategoricalDistribution(self.values)

    def __str__(self) -> str:
        ends = f"from {self.low} to {self.high}{' (log)' if self.log else ''}"
        return ends if self.values is None or isinstance(self.values, range) else ", ".join(self.values)


@dataclass(frozen=True)
class Space:
    """The searched keys, and the arguments that all trials share."""

    dimensions: Mapping[str, Dimension]
    fixed: Sequence[str]

    @property
    def size(self) -> float:
        """Number of combinations; infinite with an interval of real numbers."""
        return math.prod(math.inf if d.values is None else len(d.values) for d in self.dimensions.values())

    def arguments(self, values: Values) -> list[str]:
        """``key=value`` for each searched key."""
        return [f"{key}={value}" for key, value in self.shown(values).items()]

    def shown(self, values: Values) -> dict[str, str]:
        """The values as text for a command line; real numbers with four digits."""
        written = ((key, values[key]) for key in self.dimensions)
        return {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in written}

    def first(self) -> Values:
        """The first listed values, the lower ends of intervals."""
        return {key: d.low if d.values is None else d.values[0] for key, d in self.dimensions.items()}

    def key(self, values: Values) -> tuple[Any, ...]:
        """The values as a tuple, to compare combinations."""
        return tuple(values[key] for key in self.dimensions)

    def tried(self, study: "optuna.Study") -> dict[tuple[Any, ...], list["optuna.trial.FrozenTrial"]]:
        """The study's trials by the key of their values, in order; trials that have no values yet are left out."""
        result: dict[tuple[Any, ...], list[optuna.trial.FrozenTrial]] = {}
        for trial in study.get_trials(deepcopy=False):
            if trial.params.keys() == self.dimensions.keys():
                result.setdefault(self.key(trial.params), []).append(trial)
        return result

    def unseen(self, seen: Collection[tuple[Any, ...]], start: int) -> dict[str, Any]:
        """The first combination whose key is not in ``seen``, from combination number ``start`` on.

        The space has to be finite, and at least one of its combinations unseen.
        """
        while self.key(values := self._combination(start)) in seen:
            start += 1
        return values

    def _combination(self, number: int) -> dict[str, Any]:
        """Combination ``number`` in the order of nested loops, last key fastest; starts over after the last one."""
        chosen: dict[str, Any] = {}
        for key, dimension in reversed(list(self.dimensions.items())):
            assert dimension.values is not None
            number, place = divmod(number, len(dimension.values))
            chosen[key] = dimension.values[place]
        return chosen


def read_space(overrides: Sequence[Override]) -> Space:
    """Split arguments into the space, those with several values, and the fixed ones.

    Raises:
        ConfigError: no argument has several values, or one outside the groups ``SEARCHED`` has; an interval is empty.
    """
    dimensions, fixed = {}, []
    for key, override in {o.get_key_element(): o for o in overrides}.items():  # the last one counts, as in Hydra
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif key.lstrip("+").split(".")[0] not in SEARCHED:
            raise ConfigError(
                f"{key} has several values, but a search compares the values of one method under the same conditions: "
                f"keys of {', '.join(SEARCHED)}. Give it one value, or sweep it later with the values found."
            )
        else:
            dimensions[key] = _dimension(key, override)
    if not dimensions:
        raise ConfigError(
            "The search space is empty: list values (model.dim=32,64), give an interval "
            "('model.training.lr=tag(log,interval(1e-4,1e-2))'), or choose a space of conf/search."
        )
    return Space(dimensions, fixed)


def _dimension(key: str, override: Override) -> Dimension:
    if override.is_discrete_sweep():
        return Dimension(list(dict.fromkeys(override.sweep_string_iterator())))
    interval = override.value()
    assert isinstance(interval, IntervalSweep) and interval.start is not None and interval.end is not None
    low, high, log = interval.start, interval.end, "log" in interval.tags
    if not low < high or (log and low <= 0):
        raise ConfigError(
            f"{key}: from {low} to {high} is not a valid interval{' on a logarithmic scale' if log else ''}."
        )
    if isinstance(low, int) and isinstance(high, int):
        return Dimension(range(low, high + 1), low, high, log)
    return Dimension(None, low, high, log)
