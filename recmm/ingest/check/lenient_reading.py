"""What a catalogue holds together with everything that is wrong with it."""

from dataclasses import dataclass, field
from pathlib import Path

from recmm.data.assembly import SplitColumns
from recmm.data.dataset import TIME_UNIT, MultimodalDataset
from recmm.data.formats.manifest import MANIFEST, guessed_manifest
from recmm.data.formats.reading import Contents, Reading
from recmm.ingest.check.findings import Findings


@dataclass
class Found(Contents):
    """A catalogue that may have anything wrong with it: ids out of range, repeated pairs, too few rows."""

    findings: Findings = field(default_factory=Findings)

    def origin(self, part: str) -> str:
        """The file of a split or modality as findings name it."""
        return self.origins.get(part, part)


def read_leniently(reading: Reading[Contents]) -> Found:
    """What a reader returns, with all of its findings."""
    findings = Findings()
    while True:
        try:
            findings.take(next(reading))
        except StopIteration as end:
            return Found(**vars(end.value), findings=findings)


def from_dataset(dataset: MultimodalDataset) -> Found:
    """A catalogue that was built as for a run, or that was never in files."""
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
        time_unit=str(dataset.notes[TIME_UNIT]) if TIME_UNIT in dataset.notes else None,
    )


def note_unlisted(found: Found, folder: Path) -> None:
    """Note files of a canonical ``folder`` that its manifest does not list, if it lists any."""
    listed = {*guessed_manifest(folder)["files"], MANIFEST}
    here = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    more = [file for file in here if file not in listed]
    if more and len(listed) > 1:
        message = f"{len(more):,} files are not in the manifest, the first: {more[0]}."
        found.findings.add("unlisted_file", more[0], message)
