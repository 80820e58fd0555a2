"""Write the new folder with the features and its reports, and print a summary."""

import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer

from recmm.data.dataset import ItemFeatures, MultimodalDataset
from recmm.data.files.atomic import atomic_folder
from recmm.data.files.quoting import write_rows
from recmm.data.formats.canonical_writer import fill_canonical
from recmm.data.formats.manifest import RAW
from recmm.ingest.cli.help import train_line
from recmm.ingest.encode.resumable import Encoded
from recmm.terminal import printable


def write(
    dataset: MultimodalDataset, folder: Path, out: Path, modality: str, found: Encoded, about: dict[str, object]
) -> None:
    """Write the new folder, completely or not at all: the catalogue, its raw content and the reports of all encodings.

    Args:
        dataset, folder: the catalogue and the canonical folder that it was read from.
        out: the new folder.
        found: the features of ``modality``.
        about: settings of the encoding, for encode_<modality>.json.
    """
    columns = {name: observed for name, _, observed in dataset.features.columns()} | {modality: found.observed}
    values = dataset.features.values | {modality: found.values}
    features = ItemFeatures(values, np.column_stack(list(columns.values())))
    with atomic_folder(out) as new:
        if (folder / RAW).is_file():
            shutil.copyfile(folder / RAW, new / RAW)
        for earlier in sorted(folder.glob("encode_*.*")):
            shutil.copyfile(earlier, new / earlier.name)
        report = io.StringIO()
        reasons = ((item, dataset.item_ids[item], reason) for item, reason in sorted(found.reasons.items()))
        write_rows(report, [("id", "item", "reason"), *reasons])
        (new / f"encode_{modality}.csv").write_text(report.getvalue(), encoding="utf-8")
        (new / f"encode_{modality}.json").write_text(
            json.dumps(about | {"observed": int(found.observed.sum()), "missing": len(found.reasons)}, indent=2) + "\n",
            encoding="utf-8",
        )
        fill_canonical(replace(dataset, features=features), new)  # last, so that the manifest lists the reports too


def summarise(out: Path, modality: str, found: Encoded, dim: int, unknown: int) -> None:
    """Print how many items were encoded, and the most frequent reasons for the others."""
    typer.echo(f"{out}: {modality}, {dim:,}-d, {int(found.observed.sum()):,} of {len(found.observed):,} items.")
    if found.reasons:
        typer.echo(f"{len(found.reasons):,} items are missing entries, listed in {out / f'encode_{modality}.csv'}:")
        for reason, count in Counter(found.reasons.values()).most_common(5):
            typer.echo(f"  {count:,}: {printable(reason)}")
    if unknown:
        typer.echo(f"{unknown:,} rows or files of the source belong to no item of the catalogue.")
    typer.echo(f"Next: {train_line(out, 'model=vbpr')}")
