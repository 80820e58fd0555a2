"""What the files of a catalogue hold, read leniently: a problem is noted, and the reading goes on."""

from dataclasses import dataclass, field

import numpy as np

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import SPLITS, MultimodalDataset, Split
from recmm.ingest.check.findings import Findings

NOTHING = SplitColumns(np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass
class Found:
    """A catalogue that may have anything wrong with it.

    Attributes:
        source: the folder, or the dataset's name.
        n_users, n_items: sizes of the id spaces as the files state them; 0 where nothing does.
        splits: "train", "val", "test" -> parallel columns whose ids may be out of range and whose pairs may repeat.
        features: modality -> real matrix [n_rows, D], possibly a memory map; what cannot be read as one is absent.
        observed: modality -> bool [n_items]; a modality that is not named has every entry.
        user_ids, item_ids: raw labels; None where there are none.
        origins: name of a split or modality, "users" or "items" -> its file, for messages.
    """

    name: str
    source: str
    split: Split
    n_users: int = 0
    n_items: int = 0
    splits: dict[str, SplitColumns] = field(default_factory=lambda: dict.fromkeys(SPLITS, NOTHING))
    features: dict[str, np.ndarray] = field(default_factory=dict)
    observed: dict[str, np.ndarray] = field(default_factory=dict)
    user_ids: list[str] | None = None
    item_ids: list[str] | None = None
    origins: dict[str, str] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    def origin(self, part: str) -> str:
        """The file of a split or modality as findings name it."""
        return self.origins.get(part, part)


def from_dataset(dataset: MultimodalDataset) -> Found:
    """A catalogue that the strict way has let through, or that was never in files."""
    return Found(
        name=dataset.name,
        source=dataset.name,
        split=dataset.split,
        n_users=dataset.n_users,
        n_items=dataset.n_items,
        splits={
            part: SplitColumns(pairs.users, pairs.items, pairs.timestamps, pairs.weights, part)
            for part, pairs in dataset.splits.items()
        },
        features=dict(dataset.features.values),
        observed={modality: present for modality, _, present in dataset.features.columns()},
        user_ids=dataset.user_ids,
        item_ids=dataset.item_ids,
    )
