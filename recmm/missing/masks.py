"""Masks: which (item, modality) entries are visible in which phase, and the missing rates that were drawn."""

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recmm.data.files.atomic import atomic_file
from recmm.errors import DataError, MissingFileError
from recmm.missing.patterns import any_modality

Phase = Literal["train", "val", "test"]
PHASES: tuple[Phase, ...] = ("train", "val", "test")

FORMAT_VERSION = 1

TEST_ITEMS_SENTENCE = (
    "These masks were drawn over the items that occur in test: they reveal which items are in the test set."
)


@dataclass(frozen=True, eq=False)
class Masks:
    """One mask per phase. True means visible; an entry that the data lacks is never visible.

    Attributes:
        modalities: column names of the masks; may be empty.
        train, val, test: bool [n_items, M], read-only.
        rates: plain rows; per phase one of the items (``modality`` is "items") and one of each modality's entries:
            ``phase``, ``modality``,
            ``n``: number of items; ``n_eligible``: those that the data has and that the setting drew from,
            ``requested``: share of the eligible ones that the setting asks for, None where it asks in another unit,
            ``n_drawn``, ``drawn``: how many this phase's draw hides, and their share of the eligible ones,
            ``n_missing``, ``total``: how many are missing in this phase, and their share of n. They were drawn, the
            data lacks them, or training hid them and they stay hidden.
            An item counts as drawn or missing if at least one of its entries is.
        sees_test_items: whether a draw was made over the items of the test interactions, a leakage from the test set.
        replaced: phase -> what stands in place of which features there; see ``MissingSetting.replaced``.
        provenance: plain values that say which setting drew these masks and on which data.
    """

    modalities: tuple[str, ...]
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    rates: list[dict[str, Any]] = field(default_factory=list)
    sees_test_items: bool = False
    replaced: dict[Phase, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for phase in PHASES:
            mask = np.ascontiguousarray(getattr(self, phase)).view()
            if mask.dtype != np.bool_ or mask.shape != (len(self.train), len(self.modalities)):
                raise DataError(
                    f"The {phase} mask is {mask.dtype} of shape {mask.shape}; expected bool of shape "
                    f"({len(self.train)}, {len(self.modalities)}): one row per item, one column per modality."
                )
            mask.flags.writeable = False
            object.__setattr__(self, phase, mask)

    @property
    def n_items(self) -> int:
        return len(self.train)

    def phase(self, phase: Phase) -> np.ndarray:
        """bool [n_items, M]: the mask of one phase."""
        return {"train": self.train, "val": self.val, "test": self.test}[phase]

    @cached_property
    def digest(self) -> str:
        """sha256 over the modality names, the three masks, and what replaces features, if anything does."""
        sha = hashlib.sha256(json.dumps([FORMAT_VERSION, self.n_items, *self.modalities]).encode())
        for phase in PHASES:
            sha.update(self.phase(phase).tobytes())
        if self.replaced:
            sha.update(json.dumps(self.replaced, sort_keys=True).encode())
        return sha.hexdigest()

    def summary(self) -> str:
        """The requested, drawn and total missing rates as a table of text; phases with equal rows are grouped."""
        setting = self.provenance.get("setting", "given")
        lines = [
            f"Missing setting {setting}, seed {self.provenance.get('seed', '-')}, masks {self.digest[:12]}:",
            f"  {'phase':<18}{'of':<14}{'requested':>10}{'drawn':>26}{'missing in total':>26}",
        ]
        for phases, rows in self._grouped_rates():
            for row in rows:
                requested = "-" if row["requested"] is None else f"{row['requested']:.1%}"
                drawn = f"{row['n_drawn']:,} of {row['n_eligible']:,} ({row['drawn']:.1%})"
                total = f"{row['n_missing']:,} of {row['n']:,} ({row['total']:.1%})"
                lines.append(f"  {phases:<18}{row['modality']:<14}{requested:>10}{drawn:>26}{total:>26}")
        for told in dict.fromkeys(self.replaced.values()):
            phases = ", ".join(phase for phase in PHASES if self.replaced.get(phase) == told)
            lines.append(f"  In {phases}, features are replaced: {told}.")
        if self.sees_test_items:
            lines.append(f"  {TEST_ITEMS_SENTENCE}")
        return "\n".join(lines)

    def _grouped_rates(self) -> list[tuple[str, list[dict[str, Any]]]]:
        groups: list[tuple[str, list[dict[str, Any]]]] = []
        for phase in PHASES:
            rows = [{k: v for k, v in row.items() if k != "phase"} for row in self.rates if row["phase"] == phase]
            if groups and groups[-1][1] == rows:
                groups[-1] = (f"{groups[-1][0]}, {phase}", rows)
            else:
                groups.append((phase, rows))
        return groups

    def save(self, path: Path) -> None:
        """Write an .npz without pickles; an interrupted write leaves no partial file."""
        notes = {"version": FORMAT_VERSION, "digest": self.digest}
        notes |= {
            name: getattr(self, name) for name in ("modalities", "rates", "sees_test_items", "replaced", "provenance")
        }
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file, train=self.train, val=self.val, test=self.test, notes=np.array(json.dumps(notes), dtype=np.str_)
            )

    @classmethod
    def load(cls, path: Path) -> "Masks":
        """Read what ``save`` wrote.

        Raises:
            MissingFileError: there is no such file.
            DataError: the file is damaged, of another version, or its masks do not match the digest in it.
        """
        if not path.is_file():
            raise MissingFileError(f"There are no masks at {path}.")
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {phase: archive[phase] for phase in PHASES}
                notes = json.loads(str(archive["notes"]))
            version, digest = notes.pop("version"), notes.pop("digest")
            masks = cls(modalities=tuple(notes.pop("modalities")), **arrays, **notes)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is not a whole mask file of recmm ({error}); draw the masks anew.") from error
        if version != FORMAT_VERSION or digest != masks.digest:
            raise DataError(
                f"The masks in {path} are not of the version and digest that the file states; draw them anew."
            )
        return masks


@dataclass(frozen=True)
class PhaseDraw:
    """What one phase hides, before it becomes a mask.

    Attributes:
        drawn: bool [n_items, M], the entries that this phase's own draw hides; a subset of what the data has.
        eligible: bool [n_items], the items that the draw was made over.
        requested: modality or "items" -> the share asked for; absent where the setting asks for none in this unit.
        carried: bool [n_items, M], entries hidden because training hid them already.
    """

    drawn: np.ndarray
    eligible: np.ndarray
    requested: dict[str, float] = field(default_factory=dict)
    carried: np.ndarray | None = None

    def visible(self, observed: np.ndarray) -> np.ndarray:
        """bool [n_items, M]: the entries of the data that are not hidden."""
        hidden = self.drawn if self.carried is None else self.drawn | self.carried
        return observed & ~hidden

    def rates(self, phase: Phase, modalities: tuple[str, ...], observed: np.ndarray) -> list[dict[str, Any]]:
        """The rows of ``Masks.rates`` for this phase."""
        missing = ~self.visible(observed)
        open_entries = observed & self.eligible[:, None]
        rows = [("items", any_modality(open_entries), any_modality(self.drawn), any_modality(missing))]
        rows += [(m, open_entries[:, k], self.drawn[:, k], missing[:, k]) for k, m in enumerate(modalities)]
        return [
            {
                "phase": phase,
                "modality": name,
                "requested": self.requested.get(name),
                "drawn": _share(drawn, eligible),
                "total": _share(lacking, np.ones_like(lacking)),
                "n": len(observed),
                "n_eligible": int(eligible.sum()),
                "n_drawn": int(drawn.sum()),
                "n_missing": int(lacking.sum()),
            }
            for name, eligible, drawn, lacking in rows
        ]


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    return float(part.sum() / max(int(whole.sum()), 1))
